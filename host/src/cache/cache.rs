use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use super::engine::{Limits, Moment, QuickEngine, SlotEngine, Stored};
use super::monitored::{self, Tally};
use super::{CacheOptions, CacheStats, EvictionPolicy};
use crate::counter::Counter;
use crate::error::{Error, Result};

/// A map that forgets: values under keys, up to a limit of their weights.
///
/// A hit clones the value, so one that is large is to be shared (`Arc`, `Bytes`). No call waits for anything but the lock
/// of one shard, which a call of a plugin's strategy may hold for as long as the plugin's limits allow.
///
/// ```
/// use larder::cache::{Cache, CacheOptions, EvictionPolicy};
///
/// let options = CacheOptions { eviction_policy: EvictionPolicy::Lru, ..CacheOptions::new(2) };
/// let cache = Cache::new(&options)?;
/// cache.insert("a", 1, 1);
/// cache.insert("b", 2, 1);
/// assert_eq!(cache.get(&"a"), Some(1));
/// cache.insert("c", 3, 1);
/// assert_eq!(cache.get(&"b"), None);
/// # Ok::<(), larder::error::Error>(())
/// ```
pub struct Cache<K, V> {
    engine: Engine<K, V>,
    /// The most that one entry may weigh: what fits into a shard.
    weight_limit: u64,
    hits: Counter,
    misses: Counter,
    tally: Arc<Tally>,
}

enum Engine<K, V> {
    Quick(QuickEngine<K, V>),
    Slots(SlotEngine<K, V>),
}

impl<K: Clone + Eq + Hash, V: Clone> Cache<K, V> {
    /// An empty cache.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a number of shards that is no power of two, or more shards than entries; what a
    /// strategy of other making answers when it is opened for a shard.
    pub fn new(options: &CacheOptions) -> Result<Self> {
        let &CacheOptions { capacity, max_entries, shards, estimated_entries, ref eviction_policy, steps } = options;
        if !shards.is_power_of_two() {
            return Err(Error::invalid_input(format!("a cache has 1, 2, 4 or more shards by twos, not {shards}")));
        }
        let limits = Limits {
            weight: capacity / shards as u64,
            entries: max_entries.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX) / shards),
        };
        if limits.entries == 0 {
            return Err(Error::invalid_input("a cache holds at least one entry in each shard"));
        }
        let tally = Arc::<Tally>::default();
        let engine = match (eviction_policy.strategy(), eviction_policy) {
            (None, _) => {
                let estimated = max_entries.map_or(estimated_entries, |most| estimated_entries.min(most));
                Engine::Quick(QuickEngine::new(shards, capacity, max_entries, estimated)?)
            }
            (Some(decides), EvictionPolicy::Monitored(monitored)) => {
                let (monitored, tally) = (Arc::clone(monitored), Arc::clone(&tally));
                let factory = Arc::new(monitored::Factory { decides, monitored, tally, steps });
                Engine::Slots(SlotEngine::new(shards, limits, steps, &(factory as _))?)
            }
            (Some(factory), _) => Engine::Slots(SlotEngine::new(shards, limits, steps, &factory)?),
        };
        let (hits, misses) = (Counter::default(), Counter::default());
        Ok(Self { engine, weight_limit: limits.weight, hits, misses, tally })
    }

    /// The value of a key, whose entry then counts as read.
    #[inline(always)]
    pub fn get(&self, key: &K) -> Option<V> {
        let found = self.peek(key);
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.count();
        found
    }

    /// The value of a key, as [`get`](Self::get), without counting a hit or a miss.
    #[inline(always)]
    pub fn peek(&self, key: &K) -> Option<V> {
        let found = match &self.engine {
            Engine::Quick(engine) => engine.get(key),
            Engine::Slots(engine) => engine.get(key),
        }?;
        if found.is_expired() {
            match &self.engine {
                Engine::Quick(engine) => engine.remove_expired(key),
                Engine::Slots(engine) => engine.remove_expired(key),
            }
            return None;
        }
        Some(found.value)
    }

    /// Keeps a value for as long as there is room, in place of any that the key had. It weighs at least 1. One that weighs
    /// more than a shard holds is not kept, and neither is the one that was there; the default policy may also refuse one
    /// whose key it knows.
    pub fn insert(&self, key: K, value: V, weight: u64) {
        self.put(key, Stored { value, weight, expires_at: None });
    }

    /// Keeps a value as [`insert`](Self::insert), for `ttl` at most.
    pub fn insert_for(&self, key: K, value: V, weight: u64, ttl: Duration) {
        self.put(key, Stored { value, weight, expires_at: Moment::now().checked_add(ttl) });
    }

    #[inline]
    fn put(&self, key: K, stored: Stored<V>) {
        let stored = Stored { weight: stored.weight.max(1), ..stored };
        if stored.weight > self.weight_limit {
            self.remove(&key);
            return;
        }
        match &self.engine {
            Engine::Quick(engine) => engine.insert(key, stored),
            Engine::Slots(engine) => engine.insert(key, stored),
        }
    }

    /// Forgets the entry of a key, and returns its value.
    pub fn remove(&self, key: &K) -> Option<V> {
        let removed = match &self.engine {
            Engine::Quick(engine) => engine.remove(key),
            Engine::Slots(engine) => engine.remove(key),
        }?;
        (!removed.is_expired()).then_some(removed.value)
    }

    /// Forgets the entries of all keys that are `unwanted`, and returns how many there were. It looks at every entry, a
    /// shard at a time.
    pub fn remove_all(&self, unwanted: impl Fn(&K) -> bool) -> u64 {
        match &self.engine {
            Engine::Quick(engine) => engine.remove_all(unwanted),
            Engine::Slots(engine) => engine.remove_all(unwanted),
        }
    }

    /// Forgets all entries.
    pub fn clear(&self) {
        match &self.engine {
            Engine::Quick(engine) => engine.clear(),
            Engine::Slots(engine) => drop(engine.remove_all(|_| true)),
        }
    }

    /// The figures as they are now.
    pub fn stats(&self) -> CacheStats {
        let (evictions, entries, weight, failed_strategies) = match &self.engine {
            Engine::Quick(engine) => (engine.evictions(), engine.len(), engine.weight(), 0),
            Engine::Slots(engine) => (engine.evictions(), engine.len(), engine.weight(), engine.failed_strategies()),
        };
        CacheStats {
            hits: self.hits.events(),
            misses: self.misses.events(),
            evictions,
            entries,
            weight,
            failed_strategies,
            monitored: self.tally.read(),
        }
    }
}

impl<K, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("weight_limit", &self.weight_limit).finish_non_exhaustive()
    }
}
