use std::mem;
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;

use crate::cache::{Batch, EvictionStrategy, EvictionStrategyFactory};
use crate::error::{Error, Result};

/// A strategy that is made and told of what is there on a thread of its own, while the shard goes on with another.
pub(super) struct Rebuild {
    /// The mutex is the thread's while it works, but for the moments in which it is asked.
    outcome: Arc<Mutex<Option<Result<Rebuilt>>>>,
}

/// A strategy that was told of what was there when that began.
pub(super) struct Rebuilt {
    strategy: Box<dyn EvictionStrategy>,
    /// The ids that it was told of, by slot.
    told: Vec<u64>,
}

/// How far a strategy is that was told of changes.
pub(super) enum CaughtUp {
    /// It knows of everything that is there.
    Ready(Box<dyn EvictionStrategy>),
    /// So much has changed that it is told on a thread again.
    NotYet(Rebuild),
}

/// How many events it is told of in one step.
const STEP: usize = 4096;

impl Rebuild {
    /// Has the factory make a strategy, which takes over `memory`, if there is any, and is told of `residents`.
    pub(super) fn start(
        factory: Arc<dyn EvictionStrategyFactory>,
        capacity: u64,
        memory: Vec<u8>,
        residents: Batch,
    ) -> Self {
        Self::spawn(move || {
            let mut strategy = factory.open(capacity)?;
            if !memory.is_empty() {
                strategy.restore(&memory)?;
            }
            Rebuilt { strategy, told: Vec::new() }.tell(residents.clone(), residents)
        })
    }

    /// What came of it, once that is known.
    pub(super) fn poll(&self) -> Option<Result<Rebuilt>> {
        match self.outcome.lock().take() {
            None if Arc::strong_count(&self.outcome) == 1 => self.outcome.lock().take().or_else(|| Some(Err(died()))),
            outcome => outcome,
        }
    }

    fn spawn(work: impl FnOnce() -> Result<Rebuilt> + Send + 'static) -> Self {
        let outcome = Arc::new(Mutex::new(None));
        let theirs = Arc::clone(&outcome);
        let run = move || {
            let result = work();
            *theirs.lock() = Some(result);
        };
        if let Err(error) = thread::Builder::new().name("cache-rebuild".to_owned()).spawn(run) {
            *outcome.lock() = Some(Err(Error::unavailable(format!("no thread could be started: {error}"))));
        }
        Self { outcome }
    }
}

fn died() -> Error {
    Error::internal("the thread that made a strategy anew has died")
}

impl Rebuilt {
    /// Tells of what has changed meanwhile: gives the strategy back, if that is little, or goes on with a thread.
    ///
    /// # Errors
    /// The strategy's.
    pub(super) fn catch_up(self, residents: Batch) -> Result<CaughtUp> {
        let changes = changes(&self.told, &residents);
        if changes.len() > STEP {
            return Ok(CaughtUp::NotYet(Rebuild::spawn(move || self.tell(changes, residents))));
        }
        Ok(CaughtUp::Ready(self.tell(changes, residents)?.strategy))
    }

    /// Tells the strategy of changes, which lead to `residents`.
    fn tell(mut self, mut changes: Batch, residents: Batch) -> Result<Self> {
        let mut victims = Vec::new();
        while !changes.is_empty() {
            self.strategy.step(&take(&mut changes), 0, 0, &mut victims)?;
        }
        self.told = residents.inserted;
        Ok(self)
    }
}

/// Splits up to [`STEP`] events off the front: insertions before removals, as a batch tells them.
fn take(changes: &mut Batch) -> Batch {
    fn front(column: &mut Vec<u64>, count: usize) -> Vec<u64> {
        let rest = column.split_off(count.min(column.len()));
        mem::replace(column, rest)
    }
    let inserted = front(&mut changes.inserted, STEP);
    let hashes = front(&mut changes.hashes, STEP);
    let weights = front(&mut changes.weights, STEP);
    // An entry is removed behind the insertion of the one that has its slot now.
    let removed = if changes.inserted.is_empty() { front(&mut changes.removed, STEP) } else { Vec::new() };
    Batch { inserted, hashes, weights, accessed: Vec::new(), removed }
}

/// What happened between two states, both by slot.
fn changes(before: &[u64], now: &Batch) -> Batch {
    let slot = |id: u64| id as u32;
    let mut changes = Batch::default();
    let mut before = before.iter().copied().peekable();
    for ((&id, &hash), &weight) in now.inserted.iter().zip(&now.hashes).zip(&now.weights) {
        while let Some(gone) = before.next_if(|&other| slot(other) < slot(id)) {
            changes.removed.push(gone);
        }
        if let Some(other) = before.next_if(|&other| slot(other) == slot(id)) {
            if other == id {
                continue;
            }
            changes.removed.push(other);
        }
        changes.inserted.push(id);
        changes.hashes.push(hash);
        changes.weights.push(weight);
    }
    changes.removed.extend(before);
    changes
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::cache::EntryId;

    fn state(slots: &[Option<u32>]) -> Batch {
        let resident =
            |(slot, generation): (usize, &Option<u32>)| generation.map(|own| EntryId::new(slot as u32, own).0);
        let inserted: Vec<u64> = slots.iter().enumerate().filter_map(resident).collect();
        Batch { hashes: inserted.clone(), weights: vec![1; inserted.len()], inserted, ..Batch::default() }
    }

    fn slots() -> impl Strategy<Value = Vec<Option<u32>>> {
        proptest::collection::vec(proptest::option::of(0..3u32), 0..20)
    }

    proptest! {
        #[test]
        fn the_changes_lead_from_one_state_to_the_other(before in slots(), now in slots()) {
            let (before, now) = (state(&before).inserted, state(&now));
            let mut changes = changes(&before, &now);
            let mut there: BTreeSet<u64> = before.into_iter().collect();
            while !changes.is_empty() {
                let step = take(&mut changes);
                there.extend(&step.inserted);
                step.removed.iter().for_each(|id| assert!(there.remove(id)));
            }
            prop_assert_eq!(there, now.inserted.into_iter().collect::<BTreeSet<u64>>());
        }
    }
}
