//! What entries take, beside their keys and values.

use std::env;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::sides::{Side, Sides};
use crate::memory::in_use;

/// How many entries there are.
pub(super) const ENTRIES: usize = 1_000_000;

/// A key and a value, of 64 bits each.
const PAYLOAD: f64 = 16.0;

#[derive(Debug, Serialize)]
pub(super) struct Footprint {
    pub(super) side: Side,
    /// Bytes an entry, beside those of key and value.
    pub(super) overhead: f64,
}

/// Measures each side in a process of its own: an allocator does not give back what a side before let go of.
///
/// # Errors
/// A process that fails.
pub(super) fn in_fresh_processes(sides: &[Side]) -> Result<Vec<Footprint>> {
    let of = |&side: &Side| {
        eprintln!("measuring: footprint of {side}");
        let mut command = Command::new(env::current_exe()?);
        let name = serde_json::to_value(side)?;
        command.args(["cache", "--footprint-of", name.as_str().context("the name of a side")?]);
        let output = command.stderr(Stdio::inherit()).output()?;
        ensure!(output.status.success(), "{side} did not tell");
        Ok(Footprint { side, overhead: String::from_utf8(output.stdout)?.trim().parse()? })
    };
    sides.iter().map(of).collect()
}

/// Fills a cache of this process, lets it drop as many entries as it has, so that what it remembers of those counts too,
/// and returns the bytes an entry beside those of key and value.
///
/// # Errors
/// A side that does not open, or a system that does not tell.
pub(super) fn measure(side: Side) -> Result<f64> {
    let sides = Sides::load(&[side])?;
    let before = in_use()?;
    let cache = sides.open::<u64>(side, ENTRIES)?;
    for key in 0..2 * ENTRIES as u64 {
        cache.insert(key, key);
    }
    let entries = cache.entries()?;
    let taken = in_use()?.saturating_sub(before);
    ensure!(entries > 0, "nothing is there");
    Ok(taken as f64 / entries as f64 - PAYLOAD)
}
