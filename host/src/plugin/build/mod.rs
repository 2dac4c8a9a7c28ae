//! Builds plugin crates into components.
//!
//! Cargo compiles a crate for `wasm32-unknown-unknown`, and `wit-component` makes a component of the module: what comes out
//! imports only what its world declares. The component stands beside the module, as `<name>.component.wasm`.
//!
//! Processes that build in the same target folder wait for each other, and a component appears whole or not at all.

mod component;
mod freshness;
mod plugin_crate;
mod toolchain;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::SystemTime;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use plugin_crate::PluginCrate;
use toolchain::Toolchain;

const TARGET: &str = "wasm32-unknown-unknown";

/// A plugin that was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The name of the crate.
    pub name: String,
    /// Where the component is.
    pub component: PathBuf,
    /// How many bytes it has.
    pub size: u64,
}

/// Why a plugin could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The folder is no crate of a plugin.
    #[error("{} is no plugin crate: {problem}", dir.display())]
    NotAPlugin {
        /// The folder.
        dir: PathBuf,
        /// What is not as it should be, and what would mend it.
        problem: String,
    },
    /// A compiler for wasm is not there and could not be had.
    #[error("{0}")]
    Toolchain(String),
    /// Cargo failed.
    #[error("cargo could not build {crates}:\n{output}")]
    Compile {
        /// The names of the crates.
        crates: String,
        /// All that cargo and the compiler said.
        output: String,
    },
    /// What was compiled is no component.
    #[error("{} can not be made a component: {problem}", module.display())]
    NotAComponent {
        /// The module.
        module: PathBuf,
        /// What is not as it should be, and what would mend it.
        problem: String,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl BuildError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

/// Builds the crate in `dir` into a component, whether or not it is stale. `progress` hears one line at a time of what is
/// going on.
///
/// # Errors
/// See [`BuildError`]. A component of an earlier build then stays as it is.
pub async fn build(dir: &Path, progress: impl FnMut(&str)) -> Result<Built, BuildError> {
    let mut built = build_all(&[dir], progress).await?;
    Ok(built.remove(0))
}

/// Builds the crates in `dirs` into components, those of one workspace by one call of cargo, and returns them in the same
/// order.
///
/// # Errors
/// The first [`BuildError`]: crates of a workspace are built all or none, and those of others before it are built.
pub async fn build_all(dirs: &[&Path], mut progress: impl FnMut(&str)) -> Result<Vec<Built>, BuildError> {
    let crates = dirs.iter().map(|dir| PluginCrate::read(dir)).collect::<Result<Vec<_>, _>>()?;
    let mut workspaces: Vec<(&Path, Vec<&PluginCrate>)> = Vec::new();
    for plugin in &crates {
        match workspaces.iter_mut().find(|(root, _)| *root == plugin.workspace) {
            Some((_, members)) => members.push(plugin),
            None => workspaces.push((&plugin.workspace, vec![plugin])),
        }
    }
    for (root, members) in workspaces {
        build_workspace(root, &members, &mut progress).await?;
    }
    crates.into_iter().map(PluginCrate::into_built).collect()
}

/// Whether the crate in `dir` must be built: its component is not there, or older than a source of the crate or of a crate
/// that it has by path, or than a manifest or the lock file. Takes about a millisecond, since cargo is not asked: what it
/// wrote down at the last build is.
///
/// # Errors
/// [`BuildError::NotAPlugin`] and [`BuildError::Io`].
pub fn is_stale(dir: &Path) -> Result<bool, BuildError> {
    freshness::is_stale(&PluginCrate::read(dir)?)
}

/// When the latest change was of anything that the component of the crate in `dir` was made of; absent before its first
/// build.
///
/// # Errors
/// [`BuildError::NotAPlugin`] and [`BuildError::Io`].
pub fn last_change(dir: &Path) -> Result<Option<SystemTime>, BuildError> {
    freshness::last_change(&PluginCrate::read(dir)?)
}

/// Where the component of the crate in `dir` is, once it is built.
///
/// # Errors
/// [`BuildError::NotAPlugin`] and [`BuildError::Io`].
pub fn component_path(dir: &Path) -> Result<PathBuf, BuildError> {
    Ok(PluginCrate::read(dir)?.component())
}

/// Makes a component of a core module that another toolchain compiled: it must say in a section of its own which world it
/// implements, as bindings made by `wit-bindgen` for any language let it. Returns the component's size in bytes.
///
/// # Errors
/// [`BuildError::NotAComponent`] and [`BuildError::Io`]; a component that was there before then stays as it is.
pub async fn componentize(module: &Path, component: &Path) -> Result<u64, BuildError> {
    let (module, component) = (module.to_owned(), component.to_owned());
    blocking(move || component::encode(&module, &component, SystemTime::now())).await
}

async fn build_workspace(
    root: &Path,
    members: &[&PluginCrate],
    progress: &mut impl FnMut(&str),
) -> Result<(), BuildError> {
    let _lock = lock(&root.join("target")).await?;
    let started = SystemTime::now();
    let toolchain = Toolchain::find(&members[0].dir, progress).await?;
    let modules = compile(root, members, &toolchain, progress).await?;
    for (plugin, module) in members.iter().zip(modules) {
        let component = plugin.component();
        blocking(move || component::encode(&module, &component, started)).await?;
    }
    Ok(())
}

/// Keeps other processes from building in this target folder until the file is dropped.
async fn lock(target: &Path) -> Result<File, BuildError> {
    let path = target.join(".larder-build.lock");
    let target = target.to_owned();
    blocking(move || {
        let locked = std::fs::create_dir_all(&target).and_then(|()| File::create(&path)).and_then(|file| {
            file.lock()?;
            Ok(file)
        });
        locked.map_err(BuildError::io(&path))
    })
    .await
}

/// Calls cargo, and returns the module of each crate.
async fn compile(
    root: &Path,
    members: &[&PluginCrate],
    toolchain: &Toolchain,
    progress: &mut impl FnMut(&str),
) -> Result<Vec<PathBuf>, BuildError> {
    let mut cargo = toolchain.cargo();
    cargo.current_dir(root).args(["build", "--release", "--lib", "--message-format=json-render-diagnostics"]);
    cargo.arg("--target").arg(TARGET).arg("--target-dir").arg(root.join("target"));
    if root.join("Cargo.lock").exists() {
        cargo.arg("--locked");
    }
    for plugin in members {
        cargo.arg("--package").arg(&plugin.name);
    }
    cargo.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = cargo.spawn().map_err(|error| toolchain.unusable(&error))?;
    let (Some(mut stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(BuildError::Toolchain("cargo runs without its output".to_owned()));
    };

    let mut messages = String::new();
    let mut output = String::new();
    let hear = async {
        let mut lines = BufReader::new(stderr).lines();
        while let Some(line) = lines.next_line().await? {
            progress(line.trim());
            output.push_str(&line);
            output.push('\n');
        }
        Ok::<_, io::Error>(())
    };
    let (heard, read) = tokio::join!(hear, stdout.read_to_string(&mut messages));
    let status = child.wait().await;
    let status = heard.and(read).and(status).map_err(|error| toolchain.unusable(&error))?;
    if !status.success() {
        let crates = members.iter().map(|plugin| plugin.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(BuildError::Compile { crates, output });
    }
    members.iter().map(|plugin| module_of(plugin, &messages)).collect()
}

/// The module that cargo says it made of a crate.
fn module_of(plugin: &PluginCrate, messages: &str) -> Result<PathBuf, BuildError> {
    #[derive(serde::Deserialize)]
    struct Artifact {
        reason: String,
        manifest_path: PathBuf,
        filenames: Vec<PathBuf>,
    }

    let manifest = plugin.dir.join("Cargo.toml");
    let made = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Artifact>(line).ok())
        .filter(|artifact| artifact.reason == "compiler-artifact" && artifact.manifest_path == manifest)
        .flat_map(|artifact| artifact.filenames)
        .find(|file| file.extension().is_some_and(|extension| extension == "wasm"));
    made.ok_or_else(|| plugin.not_a_plugin("cargo made no .wasm of it: set crate-type = [\"cdylib\"] under [lib]"))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BuildError> + Send + 'static,
) -> Result<T, BuildError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_is_the_one_of_that_crate() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = "[package]\nname = \"a-b\"\n[lib]\ncrate-type = [\"cdylib\"]\n";
        std::fs::write(dir.path().join("Cargo.toml"), manifest).unwrap();
        let plugin = PluginCrate::read(dir.path()).unwrap();
        let line = |path: &Path, file: &str| {
            let manifest_path = path.join("Cargo.toml");
            let files = [format!("/t/{file}.rlib"), format!("/t/{file}.wasm")];
            serde_json::json!({"reason": "compiler-artifact", "manifest_path": manifest_path, "filenames": files})
        };
        let messages = format!(
            "{}\nnot json\n{}\n{{\"reason\":\"build-finished\",\"success\":true}}\n",
            line(Path::new("/other"), "other"),
            line(&plugin.dir, "a_b")
        );
        assert_eq!(module_of(&plugin, &messages).unwrap(), Path::new("/t/a_b.wasm"));
        let error = module_of(&plugin, "").unwrap_err().to_string();
        assert!(error.contains("crate-type"), "{error}");
    }

    #[tokio::test]
    async fn a_folder_is_built_in_by_one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = lock(dir.path()).await.unwrap();
        let path = dir.path().to_owned();
        let second = tokio::spawn(async move { lock(&path).await });
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        assert!(!second.is_finished());
        drop(first);
        second.await.unwrap().unwrap();
    }
}
