//! What instances take that do nothing.

use std::env;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use serde::Serialize;

use crate::sides::Sides;
use crate::stopwatch::Side;

/// How many there are of each kind.
pub(crate) const INSTANCES: usize = 1000;

/// The memory of one idle instance, in bytes, as the mean over many.
#[derive(Debug, Serialize)]
pub(crate) struct Idle {
    pub(crate) kind: Kind,
    pub(crate) wasmtime: u64,
    pub(crate) larder: u64,
    pub(crate) extism: u64,
}

/// What an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Eviction,
    Provider,
}

/// Measures every side in a process of its own: an allocator does not give back what a side before let go of.
///
/// # Errors
/// A process that fails.
pub(crate) fn idle() -> Result<Vec<Idle>> {
    let of = |kind: Kind| {
        Ok(Idle {
            kind,
            wasmtime: in_fresh_process(kind, Side::Wasmtime)?,
            larder: in_fresh_process(kind, Side::Larder)?,
            extism: in_fresh_process(kind, Side::Extism)?,
        })
    };
    [Kind::Eviction, Kind::Provider].into_iter().map(of).collect()
}

fn in_fresh_process(kind: Kind, side: Side) -> Result<u64> {
    let (kind, side) = (value_name(kind)?, value_name(side)?);
    eprintln!("measuring: memory of idle instances, {kind}, {side}");
    let mut command = Command::new(env::current_exe()?);
    command.args(["--idle-of", &kind, "--side", &side]);
    let output = command.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "{side} did not tell");
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// How an option's value is written.
fn value_name(value: impl ValueEnum) -> Result<String> {
    Ok(value.to_possible_value().context("an option without a name")?.get_name().to_owned())
}

/// Makes a thousand instances of a side, has each answer a call, and looks at what this process has then. In bytes, the
/// mean over all of them.
///
/// # Errors
/// An instance can not be made, or the system does not tell (only Linux does so here).
pub(crate) fn of_instance(sides: &Sides, kind: Kind, side: Side) -> Result<u64> {
    match (kind, side) {
        (_, Side::Native) => bail!("native code has no instances"),
        (Kind::Eviction, Side::Wasmtime) => mean(|count| sides.bare_strategies(count)),
        (Kind::Eviction, Side::Larder) => mean(|count| sides.larder_strategies(count)),
        (Kind::Eviction, Side::Extism) => mean(|count| sides.peer_strategies(count)),
        (Kind::Provider, Side::Wasmtime) => mean(|count| sides.bare_providers(count)),
        (Kind::Provider, Side::Larder) => mean(|count| sides.larder_providers(count)),
        (Kind::Provider, Side::Extism) => mean(|count| sides.peer_providers(count)),
    }
}

fn mean<T>(make: impl Fn(usize) -> Result<T>) -> Result<u64> {
    // What is made once, such as a first stack and the allocator's arenas, is made before.
    drop(make(8)?);
    let before = in_use()?;
    let made = make(INSTANCES)?;
    let after = in_use()?;
    drop(made);
    Ok(after.saturating_sub(before) / INSTANCES as u64)
}

/// The memory that this process takes, in bytes. A page that many instances map, such as one of the code or of the data
/// that a guest begins with, counts once: a share of it for each (`Pss`), where `Rss` would count it as often.
///
/// # Errors
/// The system does not tell (only Linux does so here).
pub(crate) fn in_use() -> Result<u64> {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup")?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).context("the system tells no Pss")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib << 10)
}
