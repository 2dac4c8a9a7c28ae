use std::sync::Arc;

use super::EvictionStrategyFactory;
use super::strategies::{clock, fifo, lfu, lru, random, s3_fifo, sieve};

/// How a [`Cache`](super::Cache) is set up.
#[derive(Clone, Debug)]
pub struct CacheOptions {
    /// The most that the weights of all entries sum to, in any unit.
    pub capacity: u64,
    /// The most entries; when absent, as many as the capacity takes. The default policy keeps to it by taking every entry
    /// to weigh at least its share of the capacity.
    pub max_entries: Option<u64>,
    /// Into how many parts it is split, each with its share of the limits and a lock to itself: a power of two.
    pub shards: usize,
    /// About how many entries it will hold. For the default policy, which sizes its memory of dropped keys by it; an
    /// order of magnitude or two do not matter.
    pub estimated_entries: u64,
    /// Who picks what is dropped.
    pub eviction_policy: EvictionPolicy,
    /// How often who picks is asked; for all policies but the default.
    pub steps: Steps,
}

impl CacheOptions {
    /// A cache of this capacity in one shard, with the default policy, and batches where there are many entries.
    pub fn new(capacity: u64) -> Self {
        Self {
            capacity,
            max_entries: None,
            shards: 1,
            estimated_entries: capacity,
            eviction_policy: EvictionPolicy::Default,
            steps: Steps::Batched,
        }
    }
}

/// How often a cache tells its strategy what happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Steps {
    /// Where there are few entries, in the order of events; where there are many, in batches that tell of reads behind
    /// insertions, and with victims asked for ahead of need: a plugin is called once for many events.
    #[default]
    Batched,
    /// Always in the order of events, and for no more victims than are needed: what papers describe.
    Exact,
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
    /// The entry that was read least often.
    Lfu,
    /// The oldest entry that was not read since a hand last passed it.
    Sieve,
    /// The first entry by place that was not read since a hand last passed it. It also stands in for strategies that fail.
    Clock,
    /// Newcomers first, unless they are read twice while they are new.
    S3Fifo,
    /// Strategies of other making, such as a plugin's.
    Custom(Arc<dyn EvictionStrategyFactory>),
    /// LRU, and beside it a strategy that decides nothing: what it would have kept is counted.
    Monitored(Arc<dyn EvictionStrategyFactory>),
}

impl EvictionPolicy {
    /// The word for it in the configuration. Of two of which one decides nothing, both.
    pub fn name(&self) -> String {
        match (self, self.strategy()) {
            (Self::Monitored(monitored), Some(decides)) => {
                format!("{}, {} monitored", decides.name(), monitored.name())
            }
            (_, Some(factory)) => factory.name().to_owned(),
            (_, None) => "default".to_owned(),
        }
    }

    /// What makes the strategies that decide; none for the default, which is a cache of its own.
    pub fn strategy(&self) -> Option<Arc<dyn EvictionStrategyFactory>> {
        Some(match self {
            Self::Default => return None,
            Self::Lru | Self::Monitored(_) => Arc::new(lru::Factory),
            Self::Fifo => Arc::new(fifo::Factory),
            Self::Random => Arc::new(random::Factory),
            Self::Lfu => Arc::new(lfu::Factory),
            Self::Sieve => Arc::new(sieve::Factory),
            Self::Clock => Arc::new(clock::Factory),
            Self::S3Fifo => Arc::new(s3_fifo::Factory),
            Self::Custom(factory) => Arc::clone(factory),
        })
    }
}
