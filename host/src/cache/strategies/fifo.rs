use super::queues::{Queues, choose};
use crate::cache::{Batch, EntryId, EvictionStrategy};
use crate::error::Result;

/// Drops the entry that came in first.
#[derive(Debug)]
struct Fifo {
    queue: Queues,
}

impl Fifo {
    fn new(_capacity: u64) -> Self {
        Self { queue: Queues::new(1) }
    }
}

impl EvictionStrategy for Fifo {
    fn step(&mut self, batch: &Batch, wanted: u64, max_victims: usize, victims: &mut Vec<EntryId>) -> Result<()> {
        for (&id, &weight) in batch.inserted.iter().zip(&batch.weights) {
            self.queue.push_back(0, EntryId(id), weight);
        }
        for &id in &batch.removed {
            self.queue.remove(EntryId(id));
        }
        choose(wanted, max_victims, victims, || self.queue.pop_front(0));
        Ok(())
    }
}

super::factory!(Fifo, "fifo");
