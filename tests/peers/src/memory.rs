//! What instances take that do nothing.

use anyhow::{Context, Result};
use serde::Serialize;

use crate::sides::Sides;

/// How many there are of each kind.
pub(crate) const INSTANCES: usize = 1000;

/// The memory of one idle instance, in bytes, as the mean over many.
#[derive(Debug, Serialize)]
pub(crate) struct Idle {
    pub(crate) kind: &'static str,
    pub(crate) larder: u64,
    pub(crate) extism: u64,
}

/// Makes a thousand instances on both sides, has each answer a call, and looks at what the process has then.
///
/// # Errors
/// An instance can not be made, or the system does not tell (only Linux does so here).
pub(crate) fn idle(sides: &Sides) -> Result<Vec<Idle>> {
    // What is made once, such as a first stack and the allocator's arenas, is made before.
    drop((sides.larder_strategies(8)?, sides.larder_providers(8)?, sides.peer_instances(8)?));
    let strategies = mean(|| sides.larder_strategies(INSTANCES))?;
    let providers = mean(|| sides.larder_providers(INSTANCES))?;
    let peer = mean(|| sides.peer_instances(INSTANCES))?;
    Ok(vec![
        Idle { kind: "eviction", larder: strategies, extism: peer },
        Idle { kind: "provider", larder: providers, extism: peer },
    ])
}

fn mean<T>(make: impl FnOnce() -> Result<T>) -> Result<u64> {
    let before = in_use()?;
    let made = make()?;
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
