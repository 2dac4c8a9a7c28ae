use serde::Serialize;

use crate::cache::CacheStats;

/// What a store has done since the host started, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StorageMetrics {
    /// Objects, or ranges of objects, handed out.
    pub reads: u64,
    /// Objects stored.
    pub writes: u64,
    /// Objects deleted.
    pub deletes: u64,
    /// Bytes of the bodies handed out; of a body in pieces, all that it has, even if its reader went away early.
    pub read_bytes: u64,
    /// Bytes of the objects stored.
    pub write_bytes: u64,
    /// Bytes that the store's objects had together when they were last counted; `None` before that.
    pub storage_used: Option<u64>,
    /// How many objects there were when they were last counted; `None` before that.
    pub objects: Option<u64>,
    /// Lookups that the cache answered.
    pub cache_hits: u64,
    /// Lookups that the cache did not answer.
    pub cache_misses: u64,
    /// Entries that the cache dropped to make room.
    pub cache_evictions: u64,
    /// Entries in the cache.
    pub cache_entries: u64,
    /// Bytes that the entries in the cache weigh together.
    pub cache_bytes: u64,
    /// Requests that a monitored eviction strategy was told of.
    pub monitored_requests: u64,
    /// How many of them were hits.
    pub monitored_requests_hit: u64,
    /// How many of them would have been hits, had the monitored strategy decided.
    pub monitored_would_hit: u64,
    /// Shards of the cache that go on with a native eviction strategy since the plugin's failed there.
    pub cache_failed_strategies: u64,
}

impl StorageMetrics {
    pub(super) fn with_cache(self, cache: CacheStats) -> Self {
        Self {
            cache_hits: cache.hits,
            cache_misses: cache.misses,
            cache_evictions: cache.evictions,
            cache_entries: cache.entries,
            cache_bytes: cache.weight,
            cache_failed_strategies: cache.failed_strategies,
            monitored_requests: cache.monitored.requests,
            monitored_requests_hit: cache.monitored.hits,
            monitored_would_hit: cache.monitored.monitored_hits,
            ..self
        }
    }
}
