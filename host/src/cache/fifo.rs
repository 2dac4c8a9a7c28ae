use super::queue::Queue;
use super::{Batch, EntryId, EvictionStrategy, EvictionStrategyFactory};
use crate::error::Result;

/// Drops the entry that came in first.
#[derive(Debug, Default)]
struct Fifo {
    queue: Queue,
}

impl EvictionStrategy for Fifo {
    fn step(&mut self, batch: &Batch, wanted: u64, max_victims: usize, victims: &mut Vec<EntryId>) -> Result<()> {
        for (&id, &weight) in batch.inserted.iter().zip(&batch.weights) {
            self.queue.push_back(EntryId(id), weight);
        }
        for &id in &batch.removed {
            self.queue.remove(EntryId(id));
        }
        self.queue.pop_into(wanted, max_victims, victims);
        Ok(())
    }
}

#[derive(Debug)]
pub(super) struct Factory;

impl EvictionStrategyFactory for Factory {
    fn open(&self, _capacity: u64) -> Result<Box<dyn EvictionStrategy>> {
        Ok(Box::new(Fifo::default()))
    }
}
