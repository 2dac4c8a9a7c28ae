//! A strategy that decides nothing: it runs beside the one that does, over the same requests, and what it would have
//! kept is counted.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::engine::{Chooser, Limits, Stored, Table};
use super::{Batch, EntryId, EvictionStrategy, EvictionStrategyFactory, Steps};
use crate::counter::Counter;
use crate::error::Result;

/// What a strategy that is monitored comes to, beside the one that decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    pub(super) steps: Steps,
}

impl EvictionStrategyFactory for Factory {
    fn name(&self) -> &str {
        self.decides.name()
    }

    fn open(&self, capacity: u64) -> Result<Box<dyn EvictionStrategy>> {
        let decides = self.decides.open(capacity)?;
        let shadow = Shadow::new(capacity, self.steps, Chooser::open(Arc::clone(&self.monitored), capacity)?);
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

/// A shard that holds no bytes: what would be there, had the monitored strategy decided. Its keys are hashes of keys.
struct Shadow {
    table: Table<u64, ()>,
    capacity: u64,
}

impl Shadow {
    fn new(capacity: u64, steps: Steps, chooser: Chooser) -> Self {
        let limits = Limits { weight: capacity, entries: usize::MAX };
        Self { table: Table::new(limits, steps, chooser), capacity }
    }

    /// A key is read: whether it is there. If it is not, it comes in.
    fn request(&mut self, hash: u64, weight: u64) -> bool {
        if let Some((_, log_is_full)) = self.table.read(hash, &hash) {
            if log_is_full {
                self.table.tell_reads();
            }
            return true;
        }
        if weight <= self.capacity {
            self.table.insert(hash, hash, Stored { value: (), weight, expires_at: None });
        }
        false
    }

    /// A key goes for another reason than the strategy's choice.
    fn forget(&mut self, hash: u64) {
        self.table.remove_if(hash, &hash, |_| true);
    }
}
