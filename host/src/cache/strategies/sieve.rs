use super::queues::{Queues, choose};
use crate::cache::{Batch, EntryId, EvictionStrategy};
use crate::error::Result;

/// Drops the oldest entry that was not read since a hand last passed it; reads move nothing.
///
/// SIEVE, from Zhang et al., *SIEVE is Simpler than LRU: an Efficient Turn-Key Eviction Algorithm for Web Caches*, NSDI
/// 2024.
#[derive(Debug)]
struct Sieve {
    /// One row, in the order in which the entries came in.
    queue: Queues,
    /// By slot, whether its entry was read since the hand last passed it.
    visited: Vec<bool>,
    /// Where the search for the next victim goes on; at the oldest if nowhere.
    hand: Option<EntryId>,
}

impl Sieve {
    fn new(_capacity: u64) -> Self {
        Self { queue: Queues::new(1), visited: Vec::new(), hand: None }
    }

    fn insert(&mut self, id: EntryId, weight: u64) {
        let slot = id.slot() as usize;
        if slot >= self.visited.len() {
            self.visited.resize(slot + 1, false);
        }
        // The hand stands on an entry whose slot is used again within a batch.
        if let Some(former) = self.hand.filter(|hand| hand.slot() == id.slot()) {
            self.take(former);
        }
        self.visited[slot] = false;
        self.queue.push_back(0, id, weight);
    }

    /// Takes an entry out; a hand that stands on it goes on to the next newer one.
    fn take(&mut self, id: EntryId) -> Option<u64> {
        if self.hand == Some(id) {
            self.hand = self.queue.behind(id);
        }
        self.queue.remove(id).map(|(_, weight)| weight)
    }

    fn victim(&mut self) -> Option<(EntryId, u64)> {
        let oldest = self.queue.front(0)?.0;
        let mut hand = self.hand.unwrap_or(oldest);
        // Ends: a round clears every bit.
        while std::mem::take(&mut self.visited[hand.slot() as usize]) {
            hand = self.queue.behind(hand).unwrap_or(oldest);
        }
        self.hand = Some(hand);
        self.take(hand).map(|weight| (hand, weight))
    }
}

impl EvictionStrategy for Sieve {
    fn step(&mut self, batch: &Batch, wanted: u64, max_victims: usize, victims: &mut Vec<EntryId>) -> Result<()> {
        for (&id, &weight) in batch.inserted.iter().zip(&batch.weights) {
            self.insert(EntryId(id), weight);
        }
        for &id in &batch.accessed {
            if self.queue.contains(EntryId(id)) {
                self.visited[EntryId(id).slot() as usize] = true;
            }
        }
        for &id in &batch.removed {
            self.take(EntryId(id));
        }
        choose(wanted, max_victims, victims, || self.victim());
        Ok(())
    }
}

super::factory!(Sieve, "sieve");
