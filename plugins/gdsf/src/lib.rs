//! GreedyDual-Size-Frequency, an eviction strategy that would rather have many light entries than one heavy one: what goes
//! first is what is worth least, and an entry is worth its frequency divided by its weight, more than what was dropped last
//! when it was read last. So what was popular once grows old as others are dropped.
//!
//! From Cherkasova, *Improving WWW Proxies Performance with Greedy-Dual-Size-Frequency Caching Policy*, HP Laboratories
//! report HPL-98-69R1, 1998. Of entries that are worth the same, the one goes that was not read for longest.
//!
//! ```yaml
//! plugins:
//!   gdsf:
//!     source: plugins/gdsf
//!     config:
//!       cost: hits        # what a miss costs: `hits`, as much for any object, or `packets`, one for each 536 bytes and two
//!                         # more, which favours large objects a little; `hits` if absent
//! stores:
//!   documents:
//!     provider_type: file
//!     cache: { size_limit: 64MiB, eviction_policy: gdsf }
//! ```

mod snapshot;

use std::collections::BTreeSet;

use larder_sdk::eviction::Restored;
use larder_sdk::{EntryId, EvictionStrategy, Result};

use snapshot::Resident;

/// The entries in order of what they are worth.
#[derive(Debug)]
pub struct Gdsf {
    /// By slot, all that reads touch.
    reads: Vec<Reads>,
    /// By slot.
    entries: Vec<Entry>,
    /// What each entry was worth when it was last looked at: since then it can only have become worth more.
    queue: BTreeSet<Rank>,
    /// What the last one that was dropped was worth: the age of the cache.
    clock: f64,
    /// How many entries came in or were read.
    events: u64,
    cost: Cost,
    /// Keys that were resident before a reload.
    restored: Restored<Resident>,
}

/// The reads of an entry.
#[derive(Clone, Copy, Debug, Default)]
struct Reads {
    frequency: u32,
    /// The age of the cache when it was read last.
    clock: f64,
    /// The event that was its last read.
    last: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    id: EntryId,
    hash: u64,
    /// What each read makes it worth.
    value: f64,
    /// What it stands in the queue as.
    rank: Rank,
}

/// What an entry is worth. First goes the least, then the one that was not read for longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// The bits of a number that is not negative, which are in the same order as such numbers.
    priority: u64,
    last: u64,
    slot: usize,
}

/// What the operator says.
#[derive(Clone, Copy, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What a miss costs.
    pub cost: Cost,
}

/// What a miss costs, and so what a hit is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cost {
    /// As much for any entry: for the most hits.
    #[default]
    Hits,
    /// The packets that it takes to fetch it, by the estimate of the report.
    Packets,
}

impl Cost {
    /// What a hit is worth for each unit of an entry's weight.
    fn per_unit(self, weight: u64) -> f64 {
        let weight = weight as f64;
        match self {
            Self::Hits => 1.0 / weight,
            Self::Packets => (2.0 + weight / 536.0) / weight,
        }
    }
}

impl EvictionStrategy for Gdsf {
    type Config = Config;

    fn open(Config { cost }: Config, _capacity: u64) -> Result<Self> {
        Ok(Self {
            reads: Vec::new(),
            entries: Vec::new(),
            queue: BTreeSet::new(),
            clock: 0.0,
            events: 0,
            cost,
            restored: Restored::default(),
        })
    }

    fn on_insert(&mut self, id: EntryId, hash: u64, weight: u64) {
        let slot = id.slot();
        let entry = Entry { id, hash, value: self.cost.per_unit(weight), rank: Rank { priority: 0, last: 0, slot } };
        if slot >= self.entries.len() {
            self.entries.resize(slot + 1, entry);
            self.reads.resize(slot + 1, Reads::default());
        }
        self.entries[slot] = entry;
        self.events += 1;
        let (frequency, clock) = match self.restored.get(hash) {
            Some(Resident { frequency, clock, .. }) => (frequency, clock),
            None => (1, self.clock),
        };
        self.reads[slot] = Reads { frequency, clock, last: self.events };
        self.enqueue(slot);
    }

    fn on_access(&mut self, id: EntryId) {
        self.events += 1;
        if let Some(reads) = self.reads.get_mut(id.slot()) {
            *reads = Reads { frequency: reads.frequency.saturating_add(1), clock: self.clock, last: self.events };
        }
    }

    fn on_remove(&mut self, id: EntryId) {
        self.queue.remove(&self.entries[id.slot()].rank);
    }

    fn victim(&mut self) -> Option<EntryId> {
        self.restored.clear();
        // Ends: one that was looked at again stands where it belongs.
        loop {
            let rank = self.queue.pop_first()?;
            if rank != self.rank(rank.slot) {
                self.enqueue(rank.slot);
                continue;
            }
            self.clock = f64::from_bits(rank.priority);
            return Some(self.entries[rank.slot].id);
        }
    }

    fn snapshot(&self) -> Vec<u8> {
        let mut slots: Vec<usize> = self.queue.iter().map(|rank| rank.slot).collect();
        slots.sort_by_key(|slot| self.reads[*slot].last);
        let residents = slots.into_iter().map(|slot| {
            let Reads { frequency, clock, .. } = self.reads[slot];
            Resident { hash: self.entries[slot].hash, frequency, clock }
        });
        snapshot::write(self.clock, residents)
    }

    fn restore(&mut self, memory: &[u8]) {
        let Some((clock, residents)) = snapshot::read(memory) else { return };
        self.clock = clock;
        self.restored = residents.map(|resident| (resident.hash, resident)).collect();
    }

    fn restored_place(&self, hash: u64) -> Option<usize> {
        self.restored.place(hash)
    }
}

impl Gdsf {
    /// What the entry in a slot is worth now.
    fn rank(&self, slot: usize) -> Rank {
        let Reads { frequency, clock, last } = self.reads[slot];
        let priority = clock + f64::from(frequency) * self.entries[slot].value;
        Rank { priority: priority.to_bits(), last, slot }
    }

    fn enqueue(&mut self, slot: usize) {
        let rank = self.rank(slot);
        self.entries[slot].rank = rank;
        self.queue.insert(rank);
    }
}

larder_sdk::export!(eviction: Gdsf);

#[cfg(test)]
mod tests;
