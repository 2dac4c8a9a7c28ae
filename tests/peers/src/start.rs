//! How soon a plugin answers whose code was compiled before.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use crate::sides::Sides;

/// How many times it is loaded.
const LOADS: usize = 500;

/// Wall time from a file on disk to the first answer, in nanoseconds: half of the loads took at most `median`, and nine of
/// ten at most `most`.
#[derive(Debug, Serialize)]
pub(crate) struct Start {
    /// Whether the configuration pins the component's digest.
    pub(crate) is_pinned: bool,
    pub(crate) median: u64,
    pub(crate) most: u64,
}

/// Loads the provider over and over, with its digest pinned and without, and has each answer a call.
///
/// # Errors
/// It does not load.
pub(crate) fn start(sides: &Sides) -> Result<Vec<Start>> {
    [Some(sides.digest()?), None]
        .into_iter()
        .map(|digest| {
            let took = || (0..LOADS).map(|_| sides.load_and_ask(digest.clone())).collect::<Result<Vec<Duration>>>();
            // The first ones compile it, and warm up the threads that read it.
            took()?;
            let mut took = took()?;
            took.sort_unstable();
            let at = |share: usize| took[LOADS * share / 100].as_nanos() as u64;
            Ok(Start { is_pinned: digest.is_some(), median: at(50), most: at(90) })
        })
        .collect()
}
