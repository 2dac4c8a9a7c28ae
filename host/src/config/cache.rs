use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::name::PluginName;
use super::period::Period;
use super::scalar::{Scalar, scalar_serde};
use super::size::Size;
use super::ttl::Ttl;

/// The cache in front of a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacheConfig {
    /// How many bytes it holds at most, keys and metadata counted in.
    pub size_limit: Size,
    /// How long after it came in an entry is no longer used, or `forever`; absent: what `cache.ttl` of the host says. The cache
    /// follows every write that goes through this host without it; it is for providers that others write to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Ttl>,
    /// How long the cache remembers that there is no object under a key; absent: not at all. A write through this host
    /// ends it at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negative_ttl: Option<Period>,
    /// How many objects it holds at most, if that is to be limited beside `size_limit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_entries: Option<NonZeroU64>,
    /// What goes when it is full.
    pub eviction_policy: EvictionPolicy,
    /// Objects larger than this are not cached.
    pub entry_limit: Size,
}

/// 64 MiB, no TTL of its own, the default policy, objects up to 1 MiB.
impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            size_limit: Size::mebibytes(NonZeroU64::new(64).expect("64 is not 0")),
            ttl: None,
            negative_ttl: None,
            max_entries: None,
            eviction_policy: EvictionPolicy::Default,
            entry_limit: Size::mebibytes(NonZeroU64::MIN),
        }
    }
}

/// What holds for the caches of all stores, unless they say otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacheDefaults {
    /// How long after it came in an entry is no longer used; absent: for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Ttl>,
}

impl CacheConfig {
    /// How long after it came in an entry is no longer used; `None`: for ever.
    pub fn ttl(&self, defaults: CacheDefaults) -> Option<Period> {
        match self.ttl.or(defaults.ttl) {
            None | Some(Ttl::Forever) => None,
            Some(Ttl::For(period)) => Some(period),
        }
    }
}

/// What a cache drops when it is full.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EvictionPolicy {
    /// The policy of the crate quick_cache (a CLOCK-Pro variant), the fastest.
    #[default]
    Default,
    /// What was read the longest ago.
    Lru,
    /// What came in the longest ago.
    Fifo,
    /// Any entry.
    Random,
    /// What was read least often.
    Lfu,
    /// The oldest that was not read since a hand last passed it.
    Sieve,
    /// The first by place that was not read since a hand last passed it.
    Clock,
    /// Newcomers first, unless they are read twice while they are new.
    S3Fifo,
    /// What the plugin of this name chooses.
    Custom(PluginName),
}

impl EvictionPolicy {
    /// The words that name what is built in, and so no plugin.
    pub const BUILT_IN: [&str; 8] = ["default", "lru", "fifo", "random", "lfu", "sieve", "clock", "s3-fifo"];
}

impl FromStr for EvictionPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "default" => Self::Default,
            "lru" => Self::Lru,
            "fifo" => Self::Fifo,
            "random" => Self::Random,
            "lfu" => Self::Lfu,
            "sieve" => Self::Sieve,
            "clock" => Self::Clock,
            "s3-fifo" => Self::S3Fifo,
            name => Self::Custom(name.parse().map_err(|_| format!("{text:?} is not {}", Self::EXPECTED))?),
        })
    }
}

impl fmt::Display for EvictionPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::Lru => "lru",
            Self::Fifo => "fifo",
            Self::Random => "random",
            Self::Lfu => "lfu",
            Self::Sieve => "sieve",
            Self::Clock => "clock",
            Self::S3Fifo => "s3-fifo",
            Self::Custom(name) => name.as_str(),
        })
    }
}

impl Scalar for EvictionPolicy {
    const EXPECTED: &'static str =
        "an eviction policy: default, lru, fifo, random, lfu, sieve, clock, s3-fifo or the name of a plugin";
    const PATTERN: &'static str = PluginName::PATTERN;
}

scalar_serde!(EvictionPolicy);
