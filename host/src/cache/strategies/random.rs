use std::hash::{BuildHasher, RandomState};

use super::queues::choose;
use crate::cache::{Batch, EntryId, EvictionStrategy, EvictionStrategyFactory};
use crate::error::Result;
use crate::random;

/// Drops any entry, each with the same chance.
#[derive(Debug)]
struct Random {
    entries: Vec<(EntryId, u64)>,
    /// For each slot, where among `entries` the one in it stands, if there is one.
    positions: Vec<Option<u32>>,
    numbers: random::Random,
}

impl Random {
    fn insert(&mut self, id: EntryId, weight: u64) {
        let slot = id.slot() as usize;
        if self.positions.len() <= slot {
            self.positions.resize(slot + 1, None);
        }
        // A slot that was used again within a batch: the removal of the one that had it stands further down.
        if let Some(former) = self.positions[slot] {
            self.take(former as usize);
        }
        self.positions[slot] = Some(self.entries.len() as u32);
        self.entries.push((id, weight));
    }

    fn remove(&mut self, id: EntryId) {
        let position = self.positions.get(id.slot() as usize).copied().flatten();
        if let Some(position) = position.filter(|&position| self.entries[position as usize].0 == id) {
            self.take(position as usize);
        }
    }

    fn take(&mut self, position: usize) -> (EntryId, u64) {
        let taken = self.entries.swap_remove(position);
        self.positions[taken.0.slot() as usize] = None;
        if let Some((moved, _)) = self.entries.get(position) {
            self.positions[moved.slot() as usize] = Some(position as u32);
        }
        taken
    }

    fn victim(&mut self) -> Option<(EntryId, u64)> {
        if self.entries.is_empty() {
            return None;
        }
        let position = self.numbers.below(self.entries.len());
        Some(self.take(position))
    }
}

impl EvictionStrategy for Random {
    fn step(&mut self, batch: &Batch, wanted: u64, max_victims: usize, victims: &mut Vec<EntryId>) -> Result<()> {
        for (&id, &weight) in batch.inserted.iter().zip(&batch.weights) {
            self.insert(EntryId(id), weight);
        }
        for &id in &batch.removed {
            self.remove(EntryId(id));
        }
        choose(wanted, max_victims, victims, || self.victim());
        Ok(())
    }
}

#[derive(Debug)]
pub(in crate::cache) struct Factory;

impl EvictionStrategyFactory for Factory {
    fn name(&self) -> &str {
        "random"
    }

    fn open(&self, _capacity: u64) -> Result<Box<dyn EvictionStrategy>> {
        let numbers = random::Random::new(RandomState::new().hash_one(0));
        Ok(Box::new(Random { entries: Vec::new(), positions: Vec::new(), numbers }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_goes_once_and_none_that_was_removed() {
        let mut strategy = Factory.open(0).unwrap();
        let ids: Vec<u64> = (0..100).collect();
        let batch = Batch {
            inserted: ids.clone(),
            hashes: vec![0; 100],
            weights: vec![1; 100],
            removed: vec![0, 99, 50],
            ..Batch::default()
        };
        let mut victims = Vec::new();
        strategy.step(&batch, 40, 1000, &mut victims).unwrap();
        assert_eq!(victims.len(), 40);
        strategy.step(&Batch::default(), 1000, 1000, &mut victims).unwrap();
        let mut gone: Vec<u64> = victims.iter().map(|id| id.0).collect();
        assert_ne!(
            gone,
            {
                let mut sorted = gone.clone();
                sorted.sort();
                sorted
            },
            "97 entries in order by chance"
        );
        gone.sort();
        let expected: Vec<u64> = ids.into_iter().filter(|id| ![0, 99, 50].contains(id)).collect();
        assert_eq!(gone, expected);
    }
}
