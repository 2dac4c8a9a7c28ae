use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{BuildError, Built, TARGET};

/// A crate that makes a plugin, as its manifest describes it.
#[derive(Debug)]
pub(super) struct PluginCrate {
    /// Its folder, as an absolute path without links.
    pub(super) dir: PathBuf,
    /// The name of the package.
    pub(super) name: String,
    /// The name of the library: that of the files that cargo writes.
    library: String,
    /// The folder of the workspace that it belongs to, or its own.
    pub(super) workspace: PathBuf,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Manifest {
    package: Option<Package>,
    #[serde(default)]
    lib: Library,
    workspace: Option<Workspace>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    workspace: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Library {
    name: Option<String>,
    #[serde(default)]
    crate_type: Vec<String>,
}

#[derive(Deserialize)]
struct Workspace {
    #[serde(default)]
    exclude: Vec<PathBuf>,
}

impl PluginCrate {
    /// Reads the manifest in `dir`.
    pub(super) fn read(dir: &Path) -> Result<Self, BuildError> {
        let not_a_plugin = |problem: &str| BuildError::NotAPlugin { dir: dir.to_owned(), problem: problem.to_owned() };
        let dir = dir.canonicalize().map_err(|error| not_a_plugin(&error.to_string()))?;
        let manifest = read_manifest(&dir)?.ok_or_else(|| not_a_plugin("it holds no Cargo.toml"))?;
        let Some(package) = manifest.package else {
            return Err(not_a_plugin(
                "its Cargo.toml has no [package]: name the folder of one of the workspace's crates",
            ));
        };
        if !manifest.lib.crate_type.iter().any(|kind| kind == "cdylib") {
            return Err(not_a_plugin(
                "a plugin is a library of the type cdylib: write to its Cargo.toml\n\n\
                [lib]\ncrate-type = [\"cdylib\", \"rlib\"]\n",
            ));
        }
        let library = manifest.lib.name.unwrap_or_else(|| package.name.replace('-', "_"));
        let workspace = match (manifest.workspace, package.workspace) {
            (Some(_), _) => dir.clone(),
            (None, Some(named)) => dir.join(&named).canonicalize().map_err(BuildError::io(&named))?,
            (None, None) => workspace_above(&dir)?.unwrap_or_else(|| dir.clone()),
        };
        Ok(Self { dir, name: package.name, library, workspace })
    }

    /// Where cargo puts what it makes.
    pub(super) fn artifact(&self, extension: &str) -> PathBuf {
        self.workspace.join("target").join(TARGET).join("release").join(format!("{}.{extension}", self.library))
    }

    /// Where the component goes.
    pub(super) fn component(&self) -> PathBuf {
        self.artifact("component.wasm")
    }

    pub(super) fn not_a_plugin(&self, problem: &str) -> BuildError {
        BuildError::NotAPlugin { dir: self.dir.clone(), problem: problem.to_owned() }
    }

    pub(super) fn into_built(self) -> Result<Built, BuildError> {
        let component = self.component();
        let size = std::fs::metadata(&component).map_err(BuildError::io(&component))?.len();
        Ok(Built { name: self.name, component, size })
    }
}

/// The workspace that cargo would take a crate to belong to: the nearest one above it that does not exclude it.
fn workspace_above(dir: &Path) -> Result<Option<PathBuf>, BuildError> {
    for above in dir.ancestors().skip(1) {
        let Some(Manifest { workspace: Some(workspace), .. }) = read_manifest(above)? else { continue };
        let excluded = workspace.exclude.iter().any(|excluded| dir.starts_with(above.join(excluded)));
        return Ok((!excluded).then(|| above.to_owned()));
    }
    Ok(None)
}

fn read_manifest(dir: &Path) -> Result<Option<Manifest>, BuildError> {
    let path = dir.join("Cargo.toml");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(BuildError::io(&path)(error)),
    };
    let manifest = toml::from_str(&text).map_err(|error| BuildError::NotAPlugin {
        dir: dir.to_owned(),
        problem: format!("its Cargo.toml does not parse: {error}"),
    })?;
    Ok(Some(manifest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    const CDYLIB: &str = "[lib]\ncrate-type = [\"cdylib\", \"rlib\"]\n";

    #[test]
    fn a_crate_belongs_to_the_workspace_above_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        write(&root.join("Cargo.toml"), "[workspace]\nmembers = [\"a/b\"]\nexclude = [\"other\"]\n");
        write(&root.join("a/b/Cargo.toml"), &format!("[package]\nname = \"my-plugin\"\n{CDYLIB}"));
        let plugin = PluginCrate::read(&root.join("a/../a/b")).unwrap();
        assert_eq!((plugin.name.as_str(), &plugin.workspace), ("my-plugin", &root));
        let component = root.join("target/wasm32-unknown-unknown/release/my_plugin.component.wasm");
        assert_eq!(plugin.component(), component);

        write(&root.join("other/Cargo.toml"), &format!("[package]\nname = \"other\"\n{CDYLIB}name = \"lib\"\n"));
        let other = PluginCrate::read(&root.join("other")).unwrap();
        assert_eq!(other.workspace, root.join("other"));
        assert!(other.artifact("d").ends_with("release/lib.d"));
    }

    #[test]
    fn what_is_no_plugin_crate_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let problem = |name: &str, manifest: &str| {
            write(&dir.path().join(name).join("Cargo.toml"), manifest);
            PluginCrate::read(&dir.path().join(name)).unwrap_err().to_string()
        };
        assert!(PluginCrate::read(dir.path()).unwrap_err().to_string().contains("it holds no Cargo.toml"));
        assert!(PluginCrate::read(&dir.path().join("none")).unwrap_err().to_string().contains("No such file"));
        assert!(problem("workspace", "[workspace]\n").contains("has no [package]"));
        assert!(problem("rlib", "[package]\nname = \"a\"\n").contains("crate-type = [\"cdylib\", \"rlib\"]"));
        assert!(problem("broken", "[package\n").contains("does not parse"));
    }
}
