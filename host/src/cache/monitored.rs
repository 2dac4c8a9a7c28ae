//! A strategy that decides nothing: it runs beside the one that does, over the same requests, and what it would have
//! kept is counted.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;

use super::chooser::Chooser;
use super::{Batch, EntryId, EvictionStrategy, EvictionStrategyFactory};
use crate::counter::Counter;
use crate::error::Result;

/// What a strategy that is monitored comes to, beside the one that decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Monitored {
    /// Requests that both were told of: a read that was a hit, or an entry that came in since it was none.
    pub requests: u64,
    /// How many of them were hits of the cache as it is.
    pub hits: u64,
    /// How many would have been hits, had the monitored strategy decided.
    pub monitored_hits: u64,
}

/// What all shards of a cache count.
#[derive(Debug, Default)]
pub(super) struct Tally {
    requests: Counter,
    hits: Counter,
    monitored_hits: Counter,
}

impl Tally {
    pub(super) fn read(&self) -> Monitored {
        Monitored {
            requests: self.requests.events(),
            hits: self.hits.events(),
            monitored_hits: self.monitored_hits.events(),
        }
    }
}

/// Makes for each shard a strategy of one kind that decides, and one of another that is monitored.
#[derive(Debug)]
pub(super) struct Factory {
    pub(super) decides: Arc<dyn EvictionStrategyFactory>,
    pub(super) monitored: Arc<dyn EvictionStrategyFactory>,
    pub(super) tally: Arc<Tally>,
}

impl EvictionStrategyFactory for Factory {
    fn open(&self, capacity: u64) -> Result<Box<dyn EvictionStrategy>> {
        let decides = self.decides.open(capacity)?;
        let shadow = Shadow::new(capacity, Chooser::open(Arc::clone(&self.monitored), capacity)?);
        let tally = Arc::clone(&self.tally);
        Ok(Box::new(Pair { decides: Mutex::new(decides), shadow, residents: HashMap::new(), tally }))
    }
}

/// Both, over one shard.
struct Pair {
    /// The mutex lends it the `Sync` that it need not have.
    decides: Mutex<Box<dyn EvictionStrategy>>,
    shadow: Shadow,
    /// The hash and the weight of each entry that is there.
    residents: HashMap<u64, (u64, u64)>,
    tally: Arc<Tally>,
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").field("decides", &self.decides).finish_non_exhaustive()
    }
}

impl EvictionStrategy for Pair {
    fn step(&mut self, batch: &Batch, wanted: u64, max_victims: usize, victims: &mut Vec<EntryId>) -> Result<()> {
        let before = victims.len();
        self.decides.get_mut().step(batch, wanted, max_victims, victims)?;
        self.follow(batch);
        for victim in &victims[before..] {
            self.residents.remove(&victim.0);
        }
        Ok(())
    }
}

impl Pair {
    /// Has the shadow see the same requests.
    fn follow(&mut self, batch: &Batch) {
        let removed: Vec<(u64, u64)> =
            batch.removed.iter().filter_map(|id| Some((*id, self.residents.get(id)?.0))).collect();
        let replaced: HashSet<u64> = removed.iter().map(|(_, hash)| *hash).collect();
        let inserted: HashSet<u64> = batch.hashes.iter().copied().collect();
        for ((&id, &hash), &weight) in batch.inserted.iter().zip(&batch.hashes).zip(&batch.weights) {
            self.residents.insert(id, (hash, weight));
            // One that takes the place of another was written, and says nothing of what is read.
            if replaced.contains(&hash) {
                self.shadow.forget(hash);
                self.shadow.request(hash, weight);
            } else {
                self.count(hash, weight, false);
            }
        }
        for id in &batch.accessed {
            if let Some(&(hash, weight)) = self.residents.get(id) {
                self.count(hash, weight, true);
            }
        }
        for (id, hash) in removed {
            self.residents.remove(&id);
            if !inserted.contains(&hash) {
                self.shadow.forget(hash);
            }
        }
    }

    fn count(&mut self, hash: u64, weight: u64, is_hit: bool) {
        self.tally.requests.count();
        if is_hit {
            self.tally.hits.count();
        }
        if self.shadow.request(hash, weight) {
            self.tally.monitored_hits.count();
        }
    }
}

/// A shard that holds no bytes: what would be there, had the monitored strategy decided.
struct Shadow {
    capacity: u64,
    weight: u64,
    chooser: Chooser,
    /// The slot and the generation of each key, by its hash, and its weight.
    index: HashMap<u64, (EntryId, u64)>,
    /// The hash of the key in each slot, and how often the slot was used.
    slots: Vec<(Option<u64>, u32)>,
    free: Vec<u32>,
    /// Slots of entries removed since the last step, which are told of last.
    held_back: Vec<u32>,
    batch: Batch,
}

/// How many events the strategy is told of at once, at most.
const BATCH: usize = 512;
/// With fewer entries than this it is told of reads before what came in behind them, as in a cache.
const EXACT: usize = 256;

impl Shadow {
    fn new(capacity: u64, chooser: Chooser) -> Self {
        Self {
            capacity,
            weight: 0,
            chooser,
            index: HashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            held_back: Vec::new(),
            batch: Batch::default(),
        }
    }

    /// A key is read: whether it is there. If it is not, it comes in.
    fn request(&mut self, hash: u64, weight: u64) -> bool {
        if let Some((id, _)) = self.index.get(&hash) {
            self.batch.accessed.push(id.0);
            self.step_if_full();
            return true;
        }
        let excess = (self.weight + weight).saturating_sub(self.capacity);
        if excess > 0 {
            self.step(excess);
        } else if self.index.len() < EXACT && !self.batch.accessed.is_empty() {
            self.step(0);
        }
        // A strategy that names too few is topped up, as in a cache.
        while self.weight + weight > self.capacity {
            let Some(&any) = self.index.keys().next() else { break };
            self.forget(any);
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push((None, 0));
            (self.slots.len() - 1) as u32
        });
        let id = EntryId::new(slot, self.slots[slot as usize].1);
        self.slots[slot as usize].0 = Some(hash);
        self.index.insert(hash, (id, weight));
        self.weight += weight;
        self.batch.inserted.push(id.0);
        self.batch.hashes.push(hash);
        self.batch.weights.push(weight);
        self.step_if_full();
        false
    }

    fn step_if_full(&mut self) {
        if self.batch.len() >= BATCH {
            self.step(0);
        }
    }

    /// A key goes for another reason than the strategy's choice.
    fn forget(&mut self, hash: u64) {
        if let Some(id) = self.vacate(hash) {
            self.batch.removed.push(id.0);
            self.held_back.push(id.slot());
        }
    }

    fn vacate(&mut self, hash: u64) -> Option<EntryId> {
        let (id, weight) = self.index.remove(&hash)?;
        self.weight -= weight;
        let (occupant, generation) = &mut self.slots[id.slot() as usize];
        *occupant = None;
        *generation = generation.wrapping_add(1);
        Some(id)
    }

    fn step(&mut self, wanted: u64) {
        let mut victims = Vec::new();
        let index = &self.index;
        let residents = || {
            let mut residents = Batch::default();
            for (hash, (id, weight)) in index {
                residents.inserted.push(id.0);
                residents.hashes.push(*hash);
                residents.weights.push(*weight);
            }
            residents
        };
        self.chooser.step(&self.batch, wanted, self.index.len(), &mut victims, residents);
        self.batch.clear();
        self.free.append(&mut self.held_back);
        for id in victims {
            let occupant = self.slots.get(id.slot() as usize).filter(|slot| slot.1 == id.generation());
            if let Some(hash) = occupant.and_then(|slot| slot.0)
                && self.vacate(hash).is_some()
            {
                self.free.push(id.slot());
            }
        }
    }
}
