use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;

use super::{EvictionStrategyFactory, fifo, lru, random};

/// How a cache is set up.
#[derive(Clone, Debug)]
pub struct CacheConfig {
    /// The most memory that entries take together, with their keys, metadata and bookkeeping.
    pub size_limit: ByteSize,
    /// How long an entry serves after it came in; forever when absent.
    pub ttl: Option<Duration>,
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
        Self { size_limit, ttl: None, eviction_policy: EvictionPolicy::Default, entry_limit: Self::DEFAULT_ENTRY_LIMIT }
    }
}

/// Who picks what a cache drops.
#[derive(Clone, Debug, Default)]
pub enum EvictionPolicy {
    /// The crate `quick_cache`: a variant of S3-FIFO ("FIFO queues are all you need for cache eviction", SOSP '23).
    #[default]
    Default,
    /// The entry that was not read for longest.
    Lru,
    /// The entry that came in first.
    Fifo,
    /// Any entry.
    Random,
    /// Strategies of other making, such as a plugin's.
    Custom(Arc<dyn EvictionStrategyFactory>),
    /// LRU, and beside it a strategy that decides nothing: what it would have kept is counted.
    Monitored(Arc<dyn EvictionStrategyFactory>),
}

impl EvictionPolicy {
    /// What makes the strategies that decide; none for the default, which is a cache of its own.
    pub fn strategy(&self) -> Option<Arc<dyn EvictionStrategyFactory>> {
        match self {
            Self::Default => None,
            Self::Lru | Self::Monitored(_) => Some(Arc::new(lru::Factory)),
            Self::Fifo => Some(Arc::new(fifo::Factory)),
            Self::Random => Some(Arc::new(random::Factory)),
            Self::Custom(factory) => Some(Arc::clone(factory)),
        }
    }
}
