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

    /// The native ones, under the words for them in a configuration.
    pub fn natives() -> Vec<Self> {
        let natives = [
            EvictionPolicy::Default,
            EvictionPolicy::Lru,
            EvictionPolicy::Fifo,
            EvictionPolicy::Random,
            EvictionPolicy::Lfu,
            EvictionPolicy::Sieve,
            EvictionPolicy::Clock,
            EvictionPolicy::S3Fifo,
        ];
        natives.into_iter().map(|policy| Self::new(policy.name(), policy)).collect()
    }
}
