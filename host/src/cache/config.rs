use std::time::Duration;

use bytesize::ByteSize;

use super::EvictionPolicy;

/// How the cache of a store is set up.
#[derive(Clone, Debug)]
pub struct CacheConfig {
    /// The most memory that entries take together, with their keys, metadata and bookkeeping.
    pub size_limit: ByteSize,
    /// The most entries; as many as there is memory for when absent.
    pub max_entries: Option<u64>,
    /// How long an entry serves after it came in; forever when absent.
    pub ttl: Option<Duration>,
    /// How long it is remembered that there is no object under a key; not at all when absent.
    pub negative_ttl: Option<Duration>,
    /// Who picks what is dropped.
    pub eviction_policy: EvictionPolicy,
    /// Objects of more bytes are not cached.
    pub entry_limit: ByteSize,
}

impl CacheConfig {
    /// The limit of one entry unless another is given.
    pub const DEFAULT_ENTRY_LIMIT: ByteSize = ByteSize::mib(1);

    /// A cache of this size: no TTL, the default policy, the default limit of one entry.
    pub fn new(size_limit: ByteSize) -> Self {
        Self {
            size_limit,
            max_entries: None,
            ttl: None,
            negative_ttl: None,
            eviction_policy: EvictionPolicy::Default,
            entry_limit: Self::DEFAULT_ENTRY_LIMIT,
        }
    }
}
