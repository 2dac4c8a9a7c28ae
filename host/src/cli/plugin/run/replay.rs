use std::collections::HashMap;

use crate::cache::{Batch, EntryId, EvictionStrategy, EvictionStrategyFactory};
use crate::error::{Error, Result};

/// The most victims that a strategy is asked for at once, as by a cache.
const MAX_VICTIMS: usize = 64;

/// A cache of one shard that holds keys and weights, and drops what a strategy says at once.
#[derive(Debug)]
pub(super) struct Replay {
    strategy: Box<dyn EvictionStrategy>,
    capacity: u64,
    /// What all residents weigh together.
    weight: u64,
    residents: HashMap<String, EntryId>,
    /// Who was last in each slot, and what it weighs while it is there.
    slots: Vec<(String, EntryId, u64)>,
    free: Vec<u32>,
    pub(super) reads: u64,
    pub(super) hits: u64,
}

impl Replay {
    pub(super) fn open(factory: &dyn EvictionStrategyFactory, capacity: u64) -> Result<Self> {
        let strategy = factory.open(capacity)?;
        Ok(Self {
            strategy,
            capacity,
            weight: 0,
            residents: HashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            reads: 0,
            hits: 0,
        })
    }

    /// Reads a key, which comes in if it is not there. Returns whether it was, and what had to go for it.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for what no cache would hold; the strategy's own; and [`Error::Internal`] for one that
    /// names who is not there, or nobody.
    pub(super) fn read(&mut self, key: &str, weight: u64) -> Result<(bool, Vec<String>)> {
        if weight == 0 || weight > self.capacity {
            let capacity = self.capacity;
            return Err(Error::invalid_input(format!("{key:?} weighs {weight}, and the cache holds 1 to {capacity}")));
        }
        self.reads += 1;
        if let Some(id) = self.residents.get(key) {
            self.hits += 1;
            let batch = Batch { accessed: vec![id.0], ..Batch::default() };
            self.strategy.step(&batch, 0, 0, &mut Vec::new())?;
            return Ok((true, Vec::new()));
        }
        let id = self.place(key, weight);
        let mut batch =
            Batch { inserted: vec![id.0], hashes: vec![hash(key)], weights: vec![weight], ..Batch::default() };
        let mut dropped = Vec::new();
        loop {
            let (wanted, mut victims) = (self.weight.saturating_sub(self.capacity), Vec::new());
            self.strategy.step(&batch, wanted, MAX_VICTIMS, &mut victims)?;
            batch.clear();
            if wanted > 0 && victims.is_empty() {
                return Err(Error::internal(format!("the strategy names no victim, and {wanted} must go")));
            }
            for victim in victims {
                dropped.push(self.drop(victim)?);
            }
            if self.weight <= self.capacity {
                return Ok((false, dropped));
            }
        }
    }

    /// Takes a key out, as when its object is deleted. Returns whether it was there.
    ///
    /// # Errors
    /// The strategy's.
    pub(super) fn remove(&mut self, key: &str) -> Result<bool> {
        let Some(&id) = self.residents.get(key) else { return Ok(false) };
        self.drop(id)?;
        let batch = Batch { removed: vec![id.0], ..Batch::default() };
        self.strategy.step(&batch, 0, 0, &mut Vec::new())?;
        Ok(true)
    }

    fn place(&mut self, key: &str, weight: u64) -> EntryId {
        let id = match self.free.pop() {
            Some(slot) => EntryId::new(slot, self.slots[slot as usize].1.generation() + 1),
            None => {
                let id = EntryId::new(self.slots.len() as u32, 0);
                self.slots.push((String::new(), id, 0));
                id
            }
        };
        self.slots[id.slot() as usize] = (key.to_owned(), id, weight);
        self.residents.insert(key.to_owned(), id);
        self.weight += weight;
        id
    }

    fn drop(&mut self, id: EntryId) -> Result<String> {
        let there = self.slots.get(id.slot() as usize).filter(|(key, _, _)| self.residents.get(key) == Some(&id));
        let Some((key, _, weight)) = there.cloned() else {
            return Err(Error::internal(format!("the strategy names {id:?}, and no such entry is there")));
        };
        self.residents.remove(&key);
        self.weight -= weight;
        self.free.push(id.slot());
        Ok(key)
    }
}

/// FNV-1a: the same for the same key in every run.
fn hash(key: &str) -> u64 {
    key.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::EvictionPolicy;

    #[test]
    fn what_does_not_fit_makes_the_least_recently_read_go() {
        let lru = EvictionPolicy::Lru.strategy().unwrap();
        let mut replay = Replay::open(&*lru, 4).unwrap();
        for (key, weight, expected) in [
            ("a", 1, (false, vec![])),
            ("b", 2, (false, vec![])),
            ("a", 1, (true, vec![])),
            ("c", 2, (false, vec!["b"])),
            ("d", 4, (false, vec!["a", "c"])),
        ] {
            let (hit, dropped) = replay.read(key, weight).unwrap();
            assert_eq!((hit, dropped.iter().map(String::as_str).collect()), expected, "{key}");
        }
        assert_eq!((replay.reads, replay.hits), (5, 1));
        assert!(replay.remove("d").unwrap());
        assert!(!replay.remove("d").unwrap());
        assert_eq!(replay.read("e", 4).unwrap(), (false, vec![]));
        assert!(replay.read("f", 5).is_err());
    }

    #[derive(Debug)]
    struct Names(Option<EntryId>);

    impl EvictionStrategyFactory for Names {
        fn name(&self) -> &str {
            "names"
        }

        fn open(&self, _: u64) -> Result<Box<dyn EvictionStrategy>> {
            Ok(Box::new(Self(self.0)))
        }
    }

    impl EvictionStrategy for Names {
        fn step(&mut self, _: &Batch, wanted: u64, _: usize, victims: &mut Vec<EntryId>) -> Result<()> {
            victims.extend(self.0.filter(|_| wanted > 0));
            Ok(())
        }
    }

    #[test]
    fn a_strategy_that_names_nobody_or_a_stranger_is_found_out() {
        for (strategy, says) in [(Names(None), "no victim"), (Names(Some(EntryId(7))), "no such entry")] {
            let mut replay = Replay::open(&strategy, 1).unwrap();
            replay.read("a", 1).unwrap();
            let error = replay.read("b", 1).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
