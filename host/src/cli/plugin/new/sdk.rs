//! The SDK that this program was built with, so that a plugin builds wherever the program runs.

use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};

static SDK: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../sdk");
static WIT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../wit");
const WORKSPACE: &str = include_str!("../../../../../Cargo.toml");

/// The files of the SDK and of the WIT package beside it, by their paths below a folder of their own. The crate is in
/// the folder `sdk`.
pub(super) fn files() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for (name, dir) in [("sdk", &SDK), ("wit", &WIT)] {
        collect(Path::new(name), dir, &mut files);
    }
    files
}

fn collect(folder: &Path, dir: &Dir<'_>, files: &mut Vec<(PathBuf, String)>) {
    for file in dir.files() {
        let Some(text) = file.contents_utf8() else { continue };
        let text = if file.path() == Path::new("Cargo.toml") { standalone(text, WORKSPACE) } else { text.to_owned() };
        files.push((folder.join(file.path()), text));
    }
    for dir in dir.dirs() {
        collect(folder, dir, files);
    }
}

/// A manifest with what it takes from its workspace written out.
fn standalone(manifest: &str, workspace: &str) -> String {
    let package = workspace_package(workspace);
    let inherited = |line: &str| {
        let name = line.strip_suffix(".workspace = true")?;
        let value = package.iter().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('='))?;
        Some(format!("{name} ={value}"))
    };
    let mut lines: Vec<String> = Vec::new();
    for line in manifest.lines() {
        // The lints are for those who change the SDK.
        if line == "workspace = true" && lines.last().is_some_and(|last| last == "[lints]") {
            lines.pop();
            lines.pop_if(|last| last.is_empty());
            continue;
        }
        lines.push(inherited(line).unwrap_or_else(|| line.to_owned()));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn workspace_package(workspace: &str) -> Vec<&str> {
    let table = workspace.lines().skip_while(|line| *line != "[workspace.package]").skip(1);
    table.take_while(|line| !line.starts_with('[')).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_file_of_the_sdk_is_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let there: BTreeSet<PathBuf> = ["sdk", "wit"]
            .into_iter()
            .flat_map(|folder| walkdir::WalkDir::new(root.join(folder)))
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| entry.path().strip_prefix(root).unwrap().to_owned())
            .collect();
        let embedded: BTreeSet<PathBuf> = files().into_iter().map(|(path, _)| path).collect();
        assert_eq!(embedded, there);
    }

    #[test]
    fn the_manifest_stands_alone() {
        let files = files();
        let (_, manifest) = files.iter().find(|(path, _)| path == Path::new("sdk/Cargo.toml")).unwrap();
        assert!(!manifest.contains("workspace"), "{manifest}");
        let parsed: toml::Table = toml::from_str(manifest).unwrap();
        assert_eq!(parsed["package"]["name"].as_str(), Some("larder-sdk"));
        assert_eq!(parsed["package"]["version"].as_str(), Some(env!("CARGO_PKG_VERSION")));
        assert!(parsed["package"]["edition"].is_str() && parsed["dependencies"].is_table(), "{manifest}");
    }
}
