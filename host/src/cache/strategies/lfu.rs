use super::queues::{Queues, Row, choose};
use crate::cache::{Batch, EntryId, EvictionStrategy};
use crate::error::Result;

/// Drops the entry that was read least often; of several, the one for which that was so longest.
///
/// A row for each number of reads makes every event O(1), as in Shah, Mitra and Matani, *An O(1) algorithm for
/// implementing the LFU cache eviction scheme*, 2010. Reads beyond [`MOST`] count no more, so that what was popular once
/// does not stay for ever: among the most popular it is LRU.
#[derive(Debug)]
struct Lfu {
    /// By number of reads.
    queues: Queues,
    /// No row below this one has an entry.
    least: Row,
}

/// The most reads that are told apart.
const MOST: Row = 255;

impl Lfu {
    fn new(_capacity: u64) -> Self {
        Self { queues: Queues::new(MOST + 1), least: 0 }
    }

    fn read(&mut self, id: EntryId) {
        if let Some((reads, weight)) = self.queues.remove(id) {
            self.queues.push_back((reads + 1).min(MOST), id, weight);
        }
    }

    fn victim(&mut self) -> Option<(EntryId, u64)> {
        loop {
            match self.queues.pop_front(self.least) {
                None if self.least < MOST => self.least += 1,
                victim => return victim,
            }
        }
    }
}

impl EvictionStrategy for Lfu {
    fn step(&mut self, batch: &Batch, wanted: u64, max_victims: usize, victims: &mut Vec<EntryId>) -> Result<()> {
        for (&id, &weight) in batch.inserted.iter().zip(&batch.weights) {
            self.queues.push_back(0, EntryId(id), weight);
            self.least = 0;
        }
        for &id in &batch.accessed {
            self.read(EntryId(id));
        }
        for &id in &batch.removed {
            self.queues.remove(EntryId(id));
        }
        choose(wanted, max_victims, victims, || self.victim());
        Ok(())
    }
}

super::factory!(Lfu, "lfu");
