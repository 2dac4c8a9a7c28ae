use std::{env, fmt, fs, thread};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// glibc 2.36 copies with `rep movsb` from 2 KiB on, which is up to 20 times slower at some alignments on processors of
/// this generation; a threshold out of reach makes it copy with vector instructions throughout.
const TUNABLE: &str = "glibc.cpu.x86_rep_movsb_threshold=4000000000";
const TUNABLES: &str = "GLIBC_TUNABLES";

/// Starts this program again with [`TUNABLE`] set, if it is not: glibc reads it once, at start.
///
/// # Errors
/// That of starting.
#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
pub(crate) fn tune() -> Result<()> {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    let tunables = env::var(TUNABLES).unwrap_or_default();
    if tunables.contains("x86_rep_movsb_threshold=") {
        return Ok(());
    }
    let tunables = if tunables.is_empty() { TUNABLE.to_owned() } else { format!("{tunables}:{TUNABLE}") };
    let mut again = Command::new(env::current_exe()?);
    let error = again.args(env::args_os().skip(1)).env(TUNABLES, tunables).exec();
    Err(error).context("could not start again with GLIBC_TUNABLES set")
}

/// There is nothing to tune where there is no glibc.
#[cfg(not(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64")))]
pub(crate) fn tune() -> Result<()> {
    Ok(())
}

/// What the figures were measured on and of.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) rustc: &'static str,
    /// The wasmtime of larder, and of the side without larder.
    pub(crate) wasmtime: String,
    pub(crate) extism: String,
    /// The wasmtime below extism.
    pub(crate) extism_wasmtime: String,
    /// Alone, and in larder.
    pub(crate) quick_cache: String,
    pub(crate) moka: String,
    pub(crate) foyer_memory: String,
    /// `GLIBC_TUNABLES`, if it is set.
    pub(crate) glibc_tunables: Option<String>,
}

impl Machine {
    /// Looks around.
    ///
    /// # Errors
    /// A lock file that does not name what is compared.
    pub(crate) fn new() -> Result<Self> {
        let lock = Lock::read()?;
        let wasmtimes = lock.versions("wasmtime");
        let [extism_wasmtime, wasmtime] = &*wasmtimes else {
            anyhow::bail!("Cargo.lock should name two versions of wasmtime, and names {wasmtimes:?}");
        };
        Ok(Self {
            cpu: cpu(),
            cores: thread::available_parallelism()?.get(),
            rustc: env!("PEERS_RUSTC"),
            wasmtime: wasmtime.clone(),
            extism: lock.versions("extism").concat(),
            extism_wasmtime: extism_wasmtime.clone(),
            quick_cache: lock.versions("quick_cache").concat(),
            moka: lock.versions("moka").concat(),
            foyer_memory: lock.versions("foyer-memory").concat(),
            glibc_tunables: env::var(TUNABLES).ok(),
        })
    }

    /// What is said of glibc.
    pub(crate) fn tunables(&self) -> String {
        self.glibc_tunables.as_ref().map_or(format!("{TUNABLES} is not set"), |set| format!("{TUNABLES}={set}"))
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} cores; {}", self.cpu, self.cores, self.rustc)
    }
}

/// The processor's name for itself.
fn cpu() -> String {
    let about = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = about.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(|| env::consts::ARCH.to_owned(), |(_, name)| name.to_owned())
}

/// What this was built from.
#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
}

impl Lock {
    fn read() -> Result<Self> {
        toml::from_str(include_str!("../Cargo.lock")).context("Cargo.lock")
    }

    /// In the order of the lock file: the lowest first.
    fn versions(&self, name: &str) -> Vec<String> {
        let named = self.package.iter().filter(|package| package.name == name);
        named.map(|package| package.version.clone()).collect()
    }
}
