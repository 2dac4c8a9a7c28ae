use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::BuildError;
use super::plugin_crate::PluginCrate;

/// Whether the component is not there or older than anything that it was made of.
pub(super) fn is_stale(plugin: &PluginCrate) -> Result<bool, BuildError> {
    let Some(built) = modified(&plugin.component())? else { return Ok(true) };
    let Some(inputs) = inputs(plugin)? else { return Ok(true) };
    for input in &inputs {
        // What is gone was moved or deleted, and cargo must say what that means.
        if modified(input)?.is_none_or(|modified| modified >= built) {
            return Ok(true);
        }
    }
    Ok(modified(&plugin.workspace.join("Cargo.lock"))?.is_some_and(|modified| modified >= built))
}

/// When the latest change was of anything that the component was made of; absent if that is not known, as before the
/// first build.
pub(super) fn last_change(plugin: &PluginCrate) -> Result<Option<SystemTime>, BuildError> {
    let mut latest = None;
    for input in inputs(plugin)?.unwrap_or_default() {
        latest = latest.max(modified(&input)?);
    }
    Ok(latest)
}

/// What the component was made of, as cargo noted it at the last build; absent if there was none.
fn inputs(plugin: &PluginCrate) -> Result<Option<BTreeSet<PathBuf>>, BuildError> {
    let noted = plugin.artifact("d");
    let text = match std::fs::read_to_string(&noted) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(BuildError::io(&noted)(error)),
    };
    let sources = sources(&text);
    let mut inputs: BTreeSet<PathBuf> = sources.iter().filter_map(|source| manifest_of(source)).collect();
    inputs.extend(sources);
    inputs.extend([plugin.dir.join("Cargo.toml"), plugin.workspace.join("Cargo.toml")]);
    Ok(Some(inputs))
}

fn modified(path: &Path) -> Result<Option<SystemTime>, BuildError> {
    match std::fs::metadata(path).and_then(|metadata| metadata.modified()) {
        Ok(modified) => Ok(Some(modified)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(BuildError::io(path)(error)),
    }
}

/// The files that cargo notes an artifact to be made of: a rule of make, in which blanks in names are escaped.
fn sources(text: &str) -> Vec<PathBuf> {
    let Some((_artifact, rule)) = text.lines().next().and_then(|line| line.split_once(": ")) else { return Vec::new() };
    let mut sources = vec![String::new()];
    let mut characters = rule.chars().peekable();
    while let Some(character) = characters.next() {
        let source = sources.last_mut().expect("there is one from the beginning, and only more are added");
        match character {
            '\\' if characters.peek() == Some(&' ') => source.extend(characters.next()),
            ' ' => sources.push(String::new()),
            other => source.push(other),
        }
    }
    sources.into_iter().filter(|source| !source.is_empty()).map(PathBuf::from).collect()
}

/// The manifest of the crate that has this source, if it lies where crates keep theirs.
fn manifest_of(source: &Path) -> Option<PathBuf> {
    let src = source.ancestors().find(|folder| folder.file_name().is_some_and(|name| name == "src"))?;
    let manifest = src.parent()?.join("Cargo.toml");
    manifest.exists().then_some(manifest)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use super::*;

    fn write(path: &Path, text: &str, seconds: u64) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + seconds);
        File::options().write(true).open(path).unwrap().set_modified(moment).unwrap();
    }

    #[test]
    fn a_rule_of_make_is_taken_apart() {
        let text = "/t/a.wasm: /s/a.rs /s/with\\ blank/b.rs /s/back\\slash.rs\n\n/s/a.rs:\n";
        assert_eq!(sources(text), ["/s/a.rs", "/s/with blank/b.rs", "/s/back\\slash.rs"].map(PathBuf::from));
        assert!(sources("").is_empty());
    }

    #[test]
    fn a_component_is_stale_when_anything_is_newer() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap().join("with blank");
        let manifest = "[package]\nname = \"a\"\n[lib]\ncrate-type = [\"cdylib\"]\n";
        let inputs =
            ["plugin/src/lib.rs", "plugin/Cargo.toml", "Cargo.toml", "Cargo.lock", "sdk/src/lib.rs", "sdk/Cargo.toml"];
        let lay = || {
            for input in inputs {
                write(&root.join(input), if input == "Cargo.toml" { "[workspace]\n" } else { "" }, 1);
            }
            write(&root.join("plugin/Cargo.toml"), manifest, 1);
        };
        lay();
        let plugin = PluginCrate::read(&root.join("plugin")).unwrap();
        assert!(is_stale(&plugin).unwrap(), "nothing is built");

        let escaped = |input: &str| root.join(input).to_str().unwrap().replace(' ', "\\ ");
        let noted = format!("/t/a.wasm: {} {}\n", escaped("plugin/src/lib.rs"), escaped("sdk/src/lib.rs"));
        write(&plugin.component(), "", 2);
        assert!(is_stale(&plugin).unwrap(), "cargo noted nothing");
        write(&plugin.artifact("d"), &noted, 2);
        assert!(!is_stale(&plugin).unwrap());

        for input in inputs {
            lay();
            let text = std::fs::read_to_string(root.join(input)).unwrap();
            write(&root.join(input), &text, 2);
            assert!(is_stale(&plugin).unwrap(), "{input}");
        }
        lay();
        std::fs::remove_file(root.join("Cargo.lock")).unwrap();
        assert!(!is_stale(&plugin).unwrap(), "a lock file need not be there");
        std::fs::remove_file(root.join("sdk/src/lib.rs")).unwrap();
        assert!(is_stale(&plugin).unwrap(), "a source is gone");
    }
}
