use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

/// How a cache is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// Who picks what a cache drops. Written as one word: `default`, `lru`, `fifo`, `random`, or the name of a plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
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
    /// The plugin of this name.
    Custom(String),
}

impl EvictionPolicy {
    /// The policy as one word.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Default => "default",
            Self::Lru => "lru",
            Self::Fifo => "fifo",
            Self::Random => "random",
            Self::Custom(name) => name,
        }
    }
}

impl fmt::Display for EvictionPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<String> for EvictionPolicy {
    fn from(word: String) -> Self {
        match word.as_str() {
            "default" => Self::Default,
            "lru" => Self::Lru,
            "fifo" => Self::Fifo,
            "random" => Self::Random,
            _ => Self::Custom(word),
        }
    }
}

impl FromStr for EvictionPolicy {
    type Err = Infallible;

    fn from_str(word: &str) -> Result<Self, Infallible> {
        Ok(Self::from(word.to_owned()))
    }
}

impl From<EvictionPolicy> for String {
    fn from(policy: EvictionPolicy) -> Self {
        policy.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_one_word() {
        for word in ["default", "lru", "fifo", "random", "sieve"] {
            let policy: EvictionPolicy = serde_json::from_value(word.into()).unwrap();
            assert_eq!(policy.as_str(), word);
            assert_eq!(policy == EvictionPolicy::Custom("sieve".to_owned()), word == "sieve");
            assert_eq!(serde_json::to_value(policy).unwrap(), word);
        }
    }
}
