use crate::cache::EvictionPolicy;

/// An eviction strategy under the name that a report shows.
#[derive(Clone, Debug)]
pub struct Strategy {
    /// What the report calls it.
    pub name: String,
    /// What a cache is made with.
    pub policy: EvictionPolicy,
}

impl Strategy {
    /// A strategy under a name.
    pub fn new(name: impl Into<String>, policy: EvictionPolicy) -> Self {
        Self { name: name.into(), policy }
    }

    /// The native ones, under the names that a configuration has for them.
    pub fn natives() -> Vec<Self> {
        let natives = [
            ("default", EvictionPolicy::Default),
            ("lru", EvictionPolicy::Lru),
            ("fifo", EvictionPolicy::Fifo),
            ("random", EvictionPolicy::Random),
            ("lfu", EvictionPolicy::Lfu),
            ("sieve", EvictionPolicy::Sieve),
            ("clock", EvictionPolicy::Clock),
            ("s3-fifo", EvictionPolicy::S3Fifo),
        ];
        natives.into_iter().map(|(name, policy)| Self::new(name, policy)).collect()
    }
}
