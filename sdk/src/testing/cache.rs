use std::collections::BTreeMap;

use super::open_strategy;
use crate::error::Result;
use crate::eviction::{Batch, EvictionStrategy, Shard};

/// A shard of a cache as larder would drive it, with nothing in it but keys: to see what a strategy drops, and how often it
/// hits.
///
/// It tells the strategy of each request by itself, where larder would gather some.
///
/// ```
/// use larder_sdk::{EntryId, EvictionStrategy, Result, testing};
///
/// #[derive(Debug, Default)]
/// struct Newest(Vec<EntryId>);
///
/// impl EvictionStrategy for Newest {
///     type Config = ();
///
///     fn open(_config: (), _capacity: u64) -> Result<Self> {
///         Ok(Self::default())
///     }
///
///     fn on_insert(&mut self, id: EntryId, _hash: u64, _weight: u64) {
///         self.0.push(id);
///     }
///
///     fn on_access(&mut self, _id: EntryId) {}
///
///     fn on_remove(&mut self, id: EntryId) {
///         self.0.retain(|&stacked| stacked != id);
///     }
///
///     fn victim(&mut self) -> Option<EntryId> {
///         self.0.pop()
///     }
/// }
///
/// let mut cache = testing::Cache::<Newest>::open("null", 2).unwrap();
/// let hits = [1, 2, 1, 3, 2].map(|key| cache.request(key, 1));
/// assert_eq!(hits, [false, false, true, false, true], "there is no room for 3");
/// assert_eq!(cache.take_dropped(), [3]);
/// ```
#[derive(Debug)]
pub struct Cache<S> {
    shard: Shard<S>,
    settings: String,
    capacity: u64,
    /// By key.
    entries: BTreeMap<u64, Entry>,
    /// By slot, the key there and the id that the slot has next.
    slots: Vec<(Option<u64>, u64)>,
    free: Vec<usize>,
    weight: u64,
    dropped: Vec<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    id: u64,
    weight: u64,
}

impl<S: EvictionStrategy> Cache<S> {
    /// An empty cache, and the strategy as [`open_strategy`] opens it.
    ///
    /// # Errors
    /// Those of reading the settings, and of the strategy's `open`.
    pub fn open(settings: &str, capacity: u64) -> Result<Self> {
        Ok(Self {
            shard: open_strategy(settings, capacity)?,
            settings: settings.to_owned(),
            capacity,
            entries: BTreeMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            weight: 0,
            dropped: Vec::new(),
        })
    }

    /// Whether the key is there. If not it comes in, and others go until the capacity is kept.
    ///
    /// # Panics
    /// The strategy chose too few, or an entry that is not there.
    pub fn request(&mut self, key: u64, weight: u64) -> bool {
        if let Some(Entry { id, .. }) = self.entries.get(&key) {
            self.shard.step(Batch { accessed: &[*id], ..Batch::default() }, 0, 0);
            return true;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push((None, self.slots.len() as u64));
            self.slots.len() - 1
        });
        let (there, id) = &mut self.slots[slot];
        let entry = Entry { id: *id, weight };
        *there = Some(key);
        *id += 1 << 32;
        self.entries.insert(key, entry);
        self.weight += weight;
        let inserted = Batch { inserted: &[entry.id], hashes: &[hash(key)], weights: &[weight], ..Batch::default() };
        let wanted = self.weight.saturating_sub(self.capacity);
        for victim in self.shard.step(inserted, wanted, usize::MAX) {
            let key = self.slots[victim as u32 as usize].0.expect("a victim is resident");
            self.forget(key);
            self.dropped.push(key);
        }
        assert!(self.weight <= self.capacity, "{wanted} were wanted, and too few were dropped");
        false
    }

    /// Takes a key out, as when it is deleted.
    pub fn remove(&mut self, key: u64) {
        if let Some(Entry { id, .. }) = self.forget(key) {
            self.shard.step(Batch { removed: &[id], ..Batch::default() }, 0, 0);
        }
    }

    /// The keys that the strategy dropped since this was last asked, in that order.
    pub fn take_dropped(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.dropped)
    }

    /// The strategy, for a test to look into.
    pub const fn strategy(&self) -> &S {
        self.shard.strategy()
    }

    /// Has a fresh instance take over, as when the plugin is reloaded: it is handed the snapshot of the former one, and told
    /// of all residents in the order of their slots.
    ///
    /// # Errors
    /// Those of the strategy's `open`.
    pub fn reload(&mut self) -> Result<()> {
        let mut shard = open_strategy(&self.settings, self.capacity)?;
        shard.restore(&self.shard.snapshot());
        let keys: Vec<u64> = self.slots.iter().filter_map(|(key, _)| *key).collect();
        let column = |of: fn(u64, Entry) -> u64| keys.iter().map(|key| of(*key, self.entries[key])).collect::<Vec<_>>();
        let (inserted, hashes, weights) =
            (column(|_, entry| entry.id), column(|key, _| hash(key)), column(|_, entry| entry.weight));
        let residents = Batch { inserted: &inserted, hashes: &hashes, weights: &weights, ..Batch::default() };
        shard.step(residents, 0, 0);
        self.shard = shard;
        Ok(())
    }

    fn forget(&mut self, key: u64) -> Option<Entry> {
        let entry = self.entries.remove(&key)?;
        let slot = entry.id as u32 as usize;
        self.slots[slot].0 = None;
        self.free.push(slot);
        self.weight -= entry.weight;
        Some(entry)
    }
}

/// Spreads a key over all bits, as the host's hash does: the finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
fn hash(key: u64) -> u64 {
    let mut word = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
