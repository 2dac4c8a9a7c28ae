use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::{BuildError, TARGET};

/// Where Debian's package `rustc-web` puts its compiler.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

const HELP: &str = "\
To build plugins, larder needs Rust with the target wasm32-unknown-unknown. Any of these gives it:\n\
  - rustup (https://rustup.rs): larder then adds the target by itself, or by hand:\n\
    rustup target add wasm32-unknown-unknown\n\
  - Debian: apt-get install rustc-web rust-web-src rust-web-llvm lld\n\
Or build the plugin elsewhere, and name the component with `path:` in place of `source:`.";

/// A cargo, and how it gets at a standard library for wasm.
#[derive(Debug)]
pub(super) struct Toolchain {
    cargo: OsString,
    library: Library,
}

#[derive(Debug)]
enum Library {
    /// It is installed.
    Installed,
    /// Cargo builds it from its source, with Debian's compiler.
    FromSource,
}

impl Toolchain {
    /// Finds the toolchain to build in `dir`, and adds the target to it when it is missing.
    pub(super) async fn find(dir: &Path, progress: &mut impl FnMut(&str)) -> Result<Self, BuildError> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        if has_library(&rustc, dir).await {
            return Ok(Self { cargo, library: Library::Installed });
        }
        progress("adding the target wasm32-unknown-unknown to the Rust toolchain");
        let problem = match add_target(dir).await {
            Ok(()) if has_library(&rustc, dir).await => return Ok(Self { cargo, library: Library::Installed }),
            Ok(()) => "rustup added the target to another toolchain than that of this rustc".to_owned(),
            Err(problem) => problem,
        };
        if has_source(DEBIAN_RUSTC, dir).await {
            progress("building the standard library for wasm32-unknown-unknown from its source");
            return Ok(Self { cargo, library: Library::FromSource });
        }
        Err(BuildError::Toolchain(format!("the target wasm32-unknown-unknown is missing ({problem}).\n{HELP}")))
    }

    /// A call of cargo, without arguments yet.
    pub(super) fn cargo(&self) -> Command {
        let mut command = Command::new(&self.cargo);
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_outer_cargo(name)) {
            command.env_remove(name);
        }
        if let Library::FromSource = self.library {
            command.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1").args(["-Z", "build-std=std,panic_abort"]);
            if !is_on_path("rust-lld") && is_on_path("wasm-ld") {
                command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-ld");
            }
        }
        command
    }

    /// What to say when cargo can not be run.
    pub(super) fn unusable(&self, error: &io::Error) -> BuildError {
        BuildError::Toolchain(format!("{} can not be run: {error}.\n{HELP}", Path::new(&self.cargo).display()))
    }
}

/// Whether a variable is there because larder itself runs under cargo (or clippy, or a build script), and would change
/// how plugins are built. `RUSTUP_TOOLCHAIN` is none of them: it names the toolchain that `CARGO` belongs to, and both
/// stay together. What says where cargo is and how it reaches its registries stays too.
fn is_of_outer_cargo(name: &OsStr) -> bool {
    const KEPT: [&str; 7] = [
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_INSTALL_ROOT",
        "CARGO_NET_",
        "CARGO_REGISTRIES_",
        "CARGO_REGISTRY_",
        "CARGO_TERM_",
    ];
    const FOREIGN: [&str; 10] = [
        "CLIPPY_ARGS",
        "CLIPPY_CONF_DIR",
        "MAKEFLAGS",
        "MFLAGS",
        "OUT_DIR",
        "RUSTC_BOOTSTRAP",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTDOCFLAGS",
        "RUSTFLAGS",
        "__CARGO_DEFAULT_LIB_METADATA",
    ];
    let Some(name) = name.to_str() else { return false };
    FOREIGN.contains(&name) || (name.starts_with("CARGO") && !KEPT.iter().any(|kept| name.starts_with(kept)))
}

/// Whether a compiler has a standard library for wasm.
async fn has_library(rustc: &OsStr, dir: &Path) -> bool {
    let Some(folder) = ask(rustc, &["--print", "target-libdir", "--target", TARGET], dir).await else { return false };
    std::fs::read_dir(folder).is_ok_and(|files| {
        files.flatten().any(|file| file.file_name().to_str().is_some_and(|name| name.starts_with("libstd-")))
    })
}

/// Whether a compiler has the source of its standard library.
async fn has_source(rustc: &str, dir: &Path) -> bool {
    let sysroot = ask(OsStr::new(rustc), &["--print", "sysroot"], dir).await;
    sysroot.is_some_and(|sysroot| sysroot.join("lib/rustlib/src/rust/library/std/Cargo.toml").exists())
}

/// A path that a compiler tells.
async fn ask(rustc: &OsStr, question: &[&str], dir: &Path) -> Option<PathBuf> {
    let mut command = Command::new(rustc);
    command.args(question).current_dir(dir).stdin(Stdio::null()).kill_on_drop(true);
    let answer = command.output().await.ok().filter(|answer| answer.status.success())?;
    Some(PathBuf::from(String::from_utf8(answer.stdout).ok()?.trim()))
}

async fn add_target(dir: &Path) -> Result<(), String> {
    let mut command = Command::new("rustup");
    command.args(["target", "add", TARGET]).current_dir(dir).stdin(Stdio::null()).kill_on_drop(true);
    let answer = command.output().await.map_err(|error| format!("rustup can not be run: {error}"))?;
    if answer.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&answer.stderr);
    Err(format!("rustup could not add it: {}", said.trim()))
}

fn is_on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outer_cargo_does_not_reach_into_the_build() {
        for name in [
            "CARGO",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_MAKEFLAGS",
            "CARGO_MANIFEST_DIR",
            "CARGO_PKG_NAME",
            "CARGO_TARGET_DIR",
            "RUSTC_WORKSPACE_WRAPPER",
            "RUSTFLAGS",
        ] {
            assert!(is_of_outer_cargo(OsStr::new(name)), "{name}");
        }
        for name in ["CARGO_HOME", "CARGO_NET_OFFLINE", "CARGO_REGISTRIES_MINE_TOKEN", "PATH", "RUSTUP_TOOLCHAIN"] {
            assert!(!is_of_outer_cargo(OsStr::new(name)), "{name}");
        }
    }

    #[tokio::test]
    async fn a_compiler_that_is_not_there_has_no_library() {
        let dir = Path::new("/");
        assert!(!has_library(OsStr::new("/nowhere/rustc"), dir).await);
        assert!(!has_source("/nowhere/rustc", dir).await);
    }
}
