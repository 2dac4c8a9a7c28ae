use serde::{Deserialize, Serialize};

use super::CacheStats;

/// How the cache of a store is set up, what it has done, and what it holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CacheReport {
    /// The name of the policy that picks what is dropped.
    pub eviction_policy: String,
    /// The most bytes.
    pub size_limit: u64,
    /// The most entries, if they are limited.
    pub max_entries: Option<u64>,
    /// The most bytes of an object that is cached.
    pub entry_limit: u64,
    /// How long an entry serves, if not for ever.
    pub ttl_seconds: Option<f64>,
    /// How long it is remembered that a key has no object, if it is.
    pub negative_ttl_seconds: Option<f64>,
    /// Into how many parts it is split.
    pub shards: usize,
    /// The figures.
    #[serde(flatten)]
    pub stats: CacheStats,
}
