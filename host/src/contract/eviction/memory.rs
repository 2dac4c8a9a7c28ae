use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Trial;
use crate::cache::{Batch, EntryId, EvictionStrategy, EvictionStrategyFactory};
use crate::contract::Breach;
use crate::error::{Error, Result};

const MIB: usize = 1 << 20;
/// The least memory that is tried, and the most: what a component with a runtime of its own needs, such as Python's.
const LEAST: usize = MIB;
const MOST: usize = 256 * MIB;
/// How many entries are there at once, and how many come in with a step.
const RESIDENTS: u64 = 2_048;
const STEP: u64 = 512;
/// How many entries come and go before the memory that this takes counts as enough, and how many must then be possible.
const WARM_UP: u64 = 20_000;
const CHURN: u64 = 1_000_000;
/// How long the long churn may take. A slow strategy is then held to fewer entries.
const TIME: Duration = Duration::from_secs(20);

/// Lets entries come and go, each with a key that was never there, until `count` have come or the time is over.
fn churn(strategy: &mut dyn EvictionStrategy, count: u64, until: Instant) -> Result<u64> {
    let (mut batch, mut victims) = (Batch::default(), Vec::new());
    let mut generations = vec![0u32; RESIDENTS as usize];
    let mut free: Vec<u32> = (0..RESIDENTS as u32).rev().collect();
    let mut came = 0u64;
    while came < count && Instant::now() < until {
        let wanted = STEP.saturating_sub(free.len() as u64);
        strategy.step(&batch, wanted, RESIDENTS as usize, &mut victims)?;
        batch.clear();
        for id in victims.drain(..) {
            let Some(generation) = generations.get_mut(id.slot() as usize).filter(|next| **next == id.generation())
            else {
                return Err(Error::internal(format!("{id:?} was dropped, which was not there")));
            };
            *generation += 1;
            free.push(id.slot());
        }
        for _ in 0..STEP {
            let Some(slot) = free.pop() else {
                return Err(Error::internal("fewer were dropped than were wanted"));
            };
            let id = EntryId::new(slot, generations[slot as usize]).0;
            came += 1;
            batch.inserted.push(id);
            batch.hashes.push(came.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            batch.weights.push(1);
            if came.is_multiple_of(3) {
                batch.accessed.push(id);
            }
        }
    }
    Ok(came)
}

/// Whether the strategy gets through the warm-up with so much memory.
fn suffices(trial: &Trial, memory: usize) -> Result<bool, Breach> {
    let begun = Instant::now();
    let open = |factory: Arc<dyn EvictionStrategyFactory>| factory.open(RESIDENTS);
    let warmed_up = match trial.factory_within(memory).map(open) {
        Err(Breach::NotApplicable) => return Err(Breach::NotApplicable),
        Err(_) | Ok(Err(_)) => return Ok(false),
        Ok(Ok(mut strategy)) => churn(&mut *strategy, WARM_UP, begun + TIME),
    };
    match warmed_up {
        Ok(came) if came < WARM_UP => Err(Breach::Broken(format!("{came} entries took it {} s", TIME.as_secs()))),
        Ok(_) => Ok(true),
        Err(Error::Exhausted { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

promises! {
    /// However many entries come and go, its memory stops growing: with little more than what it needs for a while, it
    /// can go on for ever.
    fn memory_stops_growing(trial) {
        let (mut too_little, mut enough) = (0, LEAST);
        while !suffices(trial, enough)? {
            too_little = enough;
            enough *= 2;
            ensure!(enough <= MOST, "{} MiB are not enough for {RESIDENTS} entries", too_little / MIB);
        }
        while enough - too_little > MIB {
            let middle = (too_little + enough) / 2 / MIB * MIB;
            if suffices(trial, middle)? { enough = middle } else { too_little = middle }
        }
        // An allocator may take some time to find a use for all that was freed.
        let memory = enough + enough / 4 + MIB;
        let mut strategy = trial.factory_within(memory)?.open(RESIDENTS)?;
        match churn(&mut *strategy, CHURN, Instant::now() + TIME) {
            Ok(_) => Ok(()),
            Err(Error::Exhausted { message }) => Err(Breach::Broken(format!(
                "{WARM_UP} entries came and went within {} MiB, and {CHURN} need more than {}: {message}",
                enough / MIB, memory / MIB
            ))),
            Err(error) => Err(error.into()),
        }
    }
}
