use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use larder::plugin::build;
use tokio::runtime::Builder;

/// What the sides run, built from source.
#[derive(Debug)]
pub(crate) struct Guests {
    /// The component of `plugins/memory`.
    pub(crate) memory: PathBuf,
    /// The component of `plugins/sieve`.
    pub(crate) sieve: PathBuf,
    /// The module of `guest`.
    pub(crate) extism: PathBuf,
}

impl Guests {
    /// Builds them.
    ///
    /// # Errors
    /// What the compiler says.
    pub(crate) fn build() -> Result<Self> {
        let mut components = build_plugins(&["memory", "sieve"])?.into_iter();
        let (memory, sieve) = components.next().zip(components.next()).context("two plugins were to be built")?;
        Ok(Self { memory, sieve, extism: build_extism_guest(&Path::new(HERE).join("guest"))? })
    }
}

/// Builds the component of one of our plugins.
///
/// # Errors
/// What the compiler says.
pub(crate) fn build_one(name: &str) -> Result<PathBuf> {
    build_plugins(&[name])?.pop().context("a plugin was to be built")
}

const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// Builds plugins of ours, as `larder plugin build` does, and adds the target for wasm to the toolchain if it is missing.
fn build_plugins(names: &[&str]) -> Result<Vec<PathBuf>> {
    let folders: Vec<PathBuf> = names.iter().map(|name| Path::new(HERE).join("../../plugins").join(name)).collect();
    let folders: Vec<&Path> = folders.iter().map(PathBuf::as_path).collect();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let built = runtime.block_on(build::build_all(&folders, |line| eprintln!("{line}")))?;
    Ok(built.into_iter().map(|built| built.component).collect())
}

/// Builds the guest of extism with cargo, as if from a shell of its own.
fn build_extism_guest(dir: &Path) -> Result<PathBuf> {
    let target = dir.join("../target/guest");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_of_outer_cargo)) {
        cargo.env_remove(name);
    }
    let status = cargo
        .current_dir(dir)
        .args(["build", "--release", "--locked", "--target", "wasm32-unknown-unknown", "--target-dir"])
        .arg(&target)
        .status()
        .context("cargo can not be run")?;
    ensure!(status.success(), "cargo could not build {}", dir.display());
    Ok(target.join("wasm32-unknown-unknown/release/peers_guest.wasm"))
}

/// Whether a variable is there because this runs under cargo, or is meant for the code around the guest.
fn is_of_outer_cargo(name: &str) -> bool {
    const KEPT: [&str; 4] = ["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTR"];
    name.starts_with("RUSTFLAGS") || (name.starts_with("CARGO") && !KEPT.iter().any(|kept| name.starts_with(kept)))
}
