use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::entry::Resident;
use super::monitored::{self, Monitored, Tally};
use super::quick::QuickEngine;
use super::shards::Shards;
use super::slots::SlotEngine;
use super::{CacheConfig, CacheEntry, EvictionPolicy};
use crate::counter::Counter;
use crate::error::Result;
use crate::object::Key;

/// Keeps whole objects in memory, up to a limit of bytes.
///
/// It knows nothing of providers: whoever owns it decides what is current. No call waits for anything but the lock of
/// one shard, which a call of a plugin's strategy may hold for as long as the plugin's limits allow.
#[derive(Debug)]
pub struct CacheManager {
    engine: Engine,
    ttl: Option<Duration>,
    entry_limit: u64,
    /// The most that one entry may weigh: what fits into a shard.
    weight_limit: u64,
    hits: Counter,
    misses: Counter,
    tally: Arc<Tally>,
}

#[derive(Debug)]
enum Engine {
    Quick(QuickEngine),
    Slots(SlotEngine),
}

/// What a cache has done, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CacheStats {
    /// Lookups that found an entry.
    pub hits: u64,
    /// Lookups that found none.
    pub misses: u64,
    /// Entries dropped to make room.
    pub evictions: u64,
    /// Entries that are there.
    pub entries: u64,
    /// What they weigh together, in bytes.
    pub weight: u64,
    /// Shards that go on with a native strategy since the plugin's failed there.
    pub failed_strategies: u64,
    /// What a strategy that is monitored comes to; all zero if none is.
    pub monitored: Monitored,
}

impl CacheManager {
    /// An empty cache.
    ///
    /// # Errors
    /// What a strategy of other making answers when it is opened for a shard.
    pub fn new(config: &CacheConfig) -> Result<Self> {
        let entry_limit = config.entry_limit.as_u64();
        let shards = Shards::of(config.size_limit.as_u64(), entry_limit);
        let tally = Arc::<Tally>::default();
        let engine = match (config.eviction_policy.strategy(), &config.eviction_policy) {
            (None, _) => Engine::Quick(QuickEngine::new(shards)?),
            (Some(decides), EvictionPolicy::Monitored(monitored)) => {
                let (monitored, tally) = (Arc::clone(monitored), Arc::clone(&tally));
                Engine::Slots(SlotEngine::new(shards, Arc::new(monitored::Factory { decides, monitored, tally }))?)
            }
            (Some(factory), _) => Engine::Slots(SlotEngine::new(shards, factory)?),
        };
        Ok(Self {
            engine,
            ttl: config.ttl,
            entry_limit,
            weight_limit: shards.capacity,
            hits: Counter::default(),
            misses: Counter::default(),
            tally,
        })
    }

    /// Objects of more bytes are not cached.
    pub fn entry_limit(&self) -> u64 {
        self.entry_limit
    }

    /// The entry of a key, which then counts as read.
    #[inline]
    pub fn get(&self, key: &Key) -> Option<CacheEntry> {
        let found = self.peek(key);
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.count();
        found
    }

    /// The entry of a key, as [`get`](Self::get), without counting a hit or a miss.
    #[inline]
    pub(crate) fn peek(&self, key: &Key) -> Option<CacheEntry> {
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
        Some(found.entry)
    }

    /// Keeps an entry under the key in its metadata, in place of any that is there. One that is too large is not kept,
    /// and neither is the one that was there.
    pub fn insert(&self, entry: CacheEntry) {
        let key = entry.metadata.key.clone();
        let weight = entry.weight();
        if entry.bytes.len() as u64 > self.entry_limit || weight > self.weight_limit {
            self.remove(&key);
            return;
        }
        let expires_at = self.ttl.and_then(|ttl| Instant::now().checked_add(ttl));
        let resident = Resident { entry, weight, expires_at };
        match &self.engine {
            Engine::Quick(engine) => engine.insert(key, resident),
            Engine::Slots(engine) => engine.insert(resident),
        }
    }

    /// Forgets the entry of a key, and returns it.
    pub fn remove(&self, key: &Key) -> Option<CacheEntry> {
        let removed = match &self.engine {
            Engine::Quick(engine) => engine.remove(key),
            Engine::Slots(engine) => engine.remove(key),
        }?;
        (!removed.is_expired()).then_some(removed.entry)
    }

    /// Forgets all entries.
    pub fn clear(&self) {
        match &self.engine {
            Engine::Quick(engine) => engine.clear(),
            Engine::Slots(engine) => engine.clear(),
        }
    }

    /// The figures as they are now.
    pub fn stats(&self) -> CacheStats {
        let (hits, misses) = (self.hits.events(), self.misses.events());
        match &self.engine {
            Engine::Quick(engine) => CacheStats {
                hits,
                misses,
                evictions: engine.evictions(),
                entries: engine.len(),
                weight: engine.weight(),
                failed_strategies: 0,
                monitored: Monitored::default(),
            },
            Engine::Slots(engine) => CacheStats {
                hits,
                misses,
                evictions: engine.evictions(),
                entries: engine.len(),
                weight: engine.weight(),
                failed_strategies: engine.failed_strategies(),
                monitored: self.tally.read(),
            },
        }
    }
}
