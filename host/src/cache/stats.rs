use serde::{Deserialize, Serialize};

use super::Monitored;

/// What a cache has done, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheStats {
    /// Lookups that found an entry.
    pub hits: u64,
    /// Lookups that found none.
    pub misses: u64,
    /// Entries dropped to make room.
    pub evictions: u64,
    /// Entries that are there.
    pub entries: u64,
    /// What they weigh together.
    pub weight: u64,
    /// Shards that go on with a native strategy since the plugin's failed there.
    pub failed_strategies: u64,
    /// What a strategy that is monitored comes to; all zero if none is.
    pub monitored: Monitored,
}
