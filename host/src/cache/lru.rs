use super::queue::Queue;
use super::{Batch, EntryId, EvictionStrategy, EvictionStrategyFactory};
use crate::error::Result;

/// Drops the entry that was not read for longest.
#[derive(Debug, Default)]
pub(super) struct Lru {
    /// The one that was not read for longest comes first.
    queue: Queue,
}

impl Lru {
    /// Takes note of what happened.
    pub(super) fn note(&mut self, batch: &Batch) {
        for (&id, &weight) in batch.inserted.iter().zip(&batch.weights) {
            self.queue.push_back(EntryId(id), weight);
        }
        for &id in &batch.accessed {
            self.queue.move_to_back(EntryId(id));
        }
        for &id in &batch.removed {
            self.queue.remove(EntryId(id));
        }
    }

    /// Appends entries that weigh `wanted` together, at most `max_victims` of them.
    pub(super) fn choose(&mut self, wanted: u64, max_victims: usize, victims: &mut Vec<EntryId>) {
        self.queue.pop_into(wanted, max_victims, victims);
    }
}

impl EvictionStrategy for Lru {
    fn step(&mut self, batch: &Batch, wanted: u64, max_victims: usize, victims: &mut Vec<EntryId>) -> Result<()> {
        self.note(batch);
        self.choose(wanted, max_victims, victims);
        Ok(())
    }
}

#[derive(Debug)]
pub(super) struct Factory;

impl EvictionStrategyFactory for Factory {
    fn open(&self, _capacity: u64) -> Result<Box<dyn EvictionStrategy>> {
        Ok(Box::new(Lru::default()))
    }
}
