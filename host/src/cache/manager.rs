use std::time::Duration;

use super::engine::shards;
use super::hot_keys::{HotKeys, TopKeys};
use super::{Cache, CacheConfig, CacheEntry, CacheOptions, CacheReport, CacheStats, EvictionPolicy, Steps};
use crate::error::Result;
use crate::object::Key;

/// Keeps whole objects in memory, up to a limit of bytes, and which keys have none.
///
/// It knows nothing of providers: whoever owns it decides what is current.
#[derive(Debug)]
pub struct CacheManager {
    cache: Cache<Key, Cached>,
    config: CacheConfig,
    shards: usize,
    entry_limit: u64,
    hot_keys: HotKeys,
}

/// What a cache knows of a key.
// A tag of its own leaves room for `None`: an optional one is then laid out alike, and moves without being taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Cached {
    /// Its object.
    Entry(CacheEntry),
    /// That there is no object under it.
    Absent,
}

/// How a cache is split into parts.
struct Split {
    /// Parts for each thread that runs at a time.
    per_thread: usize,
    /// Below this a part would be too small to choose well what it drops.
    min_bytes: u64,
    /// How many entries a part may hold at least.
    min_entries: u64,
}

impl Split {
    /// As `quick_cache` splits itself, but for its parts of 32 entries.
    const DEFAULT: Self = Self { per_thread: 4, min_bytes: 1024 * 1024, min_entries: 128 };
    /// Each part has a strategy of its own, which sees only its share of the requests, and of a plugin an instance. With
    /// 4 KiB objects 16 MiB are some 3,600.
    const STRATEGY: Self = Self { per_thread: 2, min_bytes: 16 * 1024 * 1024, min_entries: 4096 };
}

/// How many of the largest entries a part must hold at least.
const MIN_LARGEST: u64 = 16;
/// What an entry is taken to weigh when `quick_cache` sizes its memory of dropped keys.
const TYPICAL_WEIGHT: u64 = 16 * 1024;

impl CacheManager {
    /// An empty cache.
    ///
    /// # Errors
    /// What a strategy of other making answers when it is opened for a shard.
    pub fn new(config: &CacheConfig) -> Result<Self> {
        let &CacheConfig { size_limit, max_entries, ref eviction_policy, entry_limit, .. } = config;
        let (capacity, entry_limit) = (size_limit.as_u64(), entry_limit.as_u64());
        let Split { per_thread, min_bytes, min_entries } = match eviction_policy {
            EvictionPolicy::Default => Split::DEFAULT,
            _ => Split::STRATEGY,
        };
        let by_size = shards(capacity, min_bytes.max(entry_limit.saturating_mul(MIN_LARGEST)), per_thread);
        let by_entries = max_entries.map_or(by_size, |most| shards(most, min_entries, per_thread));
        let shards = by_size.min(by_entries);
        let cache = Cache::new(&CacheOptions {
            capacity,
            max_entries,
            shards,
            estimated_entries: capacity / TYPICAL_WEIGHT,
            eviction_policy: eviction_policy.clone(),
            steps: Steps::Batched,
        })?;
        Ok(Self { cache, config: config.clone(), shards, entry_limit, hot_keys: HotKeys::new() })
    }

    /// Objects of more bytes are not cached.
    pub fn entry_limit(&self) -> u64 {
        self.entry_limit
    }

    /// What is known of a key, whose entry then counts as read.
    #[inline(always)]
    pub fn get(&self, key: &Key) -> Option<Cached> {
        let found = self.cache.get(key);
        self.hot_keys.note(key, found.is_some());
        found
    }

    /// What is known of a key, as [`get`](Self::get), without counting a hit or a miss.
    #[inline]
    pub(crate) fn peek(&self, key: &Key) -> Option<Cached> {
        self.cache.peek(key)
    }

    /// Keeps an entry under the key in its metadata, in place of what was known of it, for the cache's TTL. One that is
    /// too large is not kept, and neither is what was known.
    pub fn insert(&self, entry: CacheEntry) {
        self.put(entry, self.config.ttl);
    }

    /// Keeps an entry as [`insert`](Self::insert), for `ttl` in place of the cache's.
    pub fn insert_for(&self, entry: CacheEntry, ttl: Duration) {
        self.put(entry, Some(ttl));
    }

    fn put(&self, entry: CacheEntry, ttl: Option<Duration>) {
        let key = entry.metadata.key.clone();
        if entry.bytes.len() as u64 > self.entry_limit {
            self.remove(&key);
            return;
        }
        let weight = entry.weight();
        let cached = Cached::Entry(entry);
        match ttl {
            None => self.cache.insert(key, cached, weight),
            Some(ttl) => self.cache.insert_for(key, cached, weight, ttl),
        }
    }

    /// Remembers that there is no object under a key, if the cache does so at all.
    pub fn insert_absent(&self, key: &Key) {
        if let Some(ttl) = self.config.negative_ttl {
            self.cache.insert_for(key.clone(), Cached::Absent, CacheEntry::weight_of_none(key), ttl);
        }
    }

    /// Forgets what is known of a key, and returns its entry.
    pub fn remove(&self, key: &Key) -> Option<CacheEntry> {
        match self.cache.remove(key)? {
            Cached::Entry(entry) => Some(entry),
            Cached::Absent => None,
        }
    }

    /// Forgets what is known of a key, and says whether anything was.
    pub fn forget(&self, key: &Key) -> bool {
        self.cache.remove(key).is_some()
    }

    /// Forgets what is known of all keys that begin with `prefix`, and returns how many these were. It looks at every
    /// entry.
    pub fn remove_prefix(&self, prefix: &str) -> u64 {
        self.cache.remove_all(|key| key.as_str().starts_with(prefix))
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.cache.clear();
    }

    /// The figures as they are now. Keys without an object count as entries, and as hits.
    pub fn stats(&self) -> CacheStats {
        self.cache.stats()
    }

    /// How it is set up, and the figures as they are now.
    pub fn report(&self) -> CacheReport {
        let &CacheConfig { size_limit, max_entries, ttl, negative_ttl, ref eviction_policy, .. } = &self.config;
        CacheReport {
            eviction_policy: eviction_policy.name(),
            size_limit: size_limit.as_u64(),
            max_entries,
            entry_limit: self.entry_limit,
            ttl_seconds: ttl.map(|ttl| ttl.as_secs_f64()),
            negative_ttl_seconds: negative_ttl.map(|ttl| ttl.as_secs_f64()),
            shards: self.shards,
            stats: self.stats(),
        }
    }

    /// The `limit` keys that were read most in the last minute or two, as estimated from a sample.
    pub fn top(&self, limit: usize) -> TopKeys {
        self.hot_keys.top(limit)
    }
}
