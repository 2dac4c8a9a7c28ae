use std::fmt;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;

use anyhow::{Result, ensure};
use clap::ValueEnum;
use foyer_memory::{CacheBuilder, EvictionConfig, LruConfig, S3FifoConfig, SieveConfig};
use larder::cache::{CacheOptions, EvictionPolicy, EvictionStrategyFactory};
use larder::plugin::{Limits, PluginOptions, PluginRuntime};
use serde::Serialize;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::values::{Value, Values};
use crate::guests;

/// Whose cache, and what it drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Side {
    QuickCache,
    Moka,
    FoyerLru,
    FoyerS3Fifo,
    FoyerSieve,
    LarderDefault,
    LarderLru,
    LarderS3Fifo,
    LarderSieve,
    /// The component of `plugins/sieve`.
    LarderSieveWasm,
}

impl Side {
    pub(super) const ALL: [Self; 10] = [
        Self::QuickCache,
        Self::Moka,
        Self::FoyerLru,
        Self::FoyerS3Fifo,
        Self::FoyerSieve,
        Self::LarderDefault,
        Self::LarderLru,
        Self::LarderS3Fifo,
        Self::LarderSieve,
        Self::LarderSieveWasm,
    ];
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::QuickCache => "quick_cache",
            Self::Moka => "moka",
            Self::FoyerLru => "foyer lru",
            Self::FoyerS3Fifo => "foyer s3fifo",
            Self::FoyerSieve => "foyer sieve",
            Self::LarderDefault => "larder default",
            Self::LarderLru => "larder lru",
            Self::LarderS3Fifo => "larder s3-fifo",
            Self::LarderSieve => "larder sieve",
            Self::LarderSieveWasm => "larder sieve (wasm)",
        })
    }
}

/// A cache as a program would use it that looks up, and inserts what is missing.
pub(super) trait Cache<V: Value>: Send + Sync {
    /// Whether a key is there; its value is looked at.
    fn get(&self, key: u64) -> bool;

    fn insert(&self, key: u64, value: V);

    /// How many entries there are.
    ///
    /// # Errors
    /// It did not do what it was meant to.
    fn entries(&self) -> Result<u64>;

    /// Asks for all keys, and returns how many were there.
    fn replay(&self, keys: &[u64], values: &Values<V>) -> u64 {
        let mut hits = 0;
        for &key in keys {
            if self.get(key) {
                hits += 1;
            } else {
                self.insert(key, values.of(key));
            }
        }
        hits
    }
}

/// The sides that take part, ready to open caches.
pub(super) struct Sides {
    pub(super) chosen: Vec<Side>,
    plugin: Option<Plugin>,
}

struct Plugin {
    sieve: Arc<dyn EvictionStrategyFactory>,
    _runtime: (Runtime, PluginRuntime, TempDir),
}

impl Sides {
    /// Builds and loads what they need.
    ///
    /// # Errors
    /// Why the plugin does not build or load.
    pub(super) fn load(chosen: &[Side]) -> Result<Self> {
        let plugin = if chosen.contains(&Side::LarderSieveWasm) { Some(Plugin::load()?) } else { None };
        Ok(Self { chosen: chosen.to_vec(), plugin })
    }

    /// An empty cache for so many entries, set up as its users would.
    ///
    /// # Errors
    /// What a side says to that.
    pub(super) fn open<V: Value>(&self, side: Side, capacity: usize) -> Result<Box<dyn Cache<V>>> {
        let foyer = |eviction: EvictionConfig| -> Box<dyn Cache<V>> {
            Box::new(
                CacheBuilder::new(capacity).with_eviction_config(eviction).build::<foyer_memory::CacheProperties>(),
            )
        };
        let policy = match side {
            Side::QuickCache => return Ok(Box::new(quick_cache::sync::Cache::<u64, V>::new(capacity))),
            Side::Moka => return Ok(Box::new(moka::sync::Cache::<u64, V>::new(capacity as u64))),
            Side::FoyerLru => return Ok(foyer(LruConfig::default().into())),
            Side::FoyerS3Fifo => return Ok(foyer(S3FifoConfig::default().into())),
            Side::FoyerSieve => return Ok(foyer(SieveConfig.into())),
            Side::LarderDefault => EvictionPolicy::Default,
            Side::LarderLru => EvictionPolicy::Lru,
            Side::LarderS3Fifo => EvictionPolicy::S3Fifo,
            Side::LarderSieve => EvictionPolicy::Sieve,
            Side::LarderSieveWasm => {
                let plugin = self.plugin.as_ref().expect("it is loaded for whoever chose it");
                EvictionPolicy::Custom(Arc::clone(&plugin.sieve))
            }
        };
        let options = CacheOptions {
            shards: shards(capacity, &policy),
            eviction_policy: policy,
            ..CacheOptions::new(capacity as u64)
        };
        Ok(Box::new(larder::cache::Cache::new(&options)?))
    }
}

impl Plugin {
    fn load() -> Result<Self> {
        let runtime = Runtime::new()?;
        let folder = tempfile::tempdir()?;
        let plugins = PluginRuntime::new(folder.path().join("compiled"))?;
        let component = guests::build_one("sieve")?;
        // A thread that waits for a processor on a busy machine can be longer about a step than its usual limit.
        let limits = Limits { call_timeout: Some(Limits::CALL_TIMEOUT), ..Limits::default() };
        let options = PluginOptions { limits, ..PluginOptions::new("sieve") };
        let sieve = runtime.block_on(plugins.load(&component, options))?.eviction()?;
        Ok(Self { sieve, _runtime: (runtime, plugins, folder) })
    }
}

/// Into how many parts the cache of a store with so many entries is split: as many as two for each processor, each of
/// 4,096 entries at least; by default as many as four, each of 128.
fn shards(capacity: usize, policy: &EvictionPolicy) -> usize {
    let (per_thread, min_entries) = if matches!(policy, EvictionPolicy::Default) { (4, 128) } else { (2, 4096) };
    let mut shards = per_thread * available_parallelism().map_or(1, NonZeroUsize::get).next_power_of_two();
    while shards > 1 && capacity / shards < min_entries {
        shards /= 2;
    }
    shards
}

impl<V: Value> Cache<V> for quick_cache::sync::Cache<u64, V> {
    #[inline]
    fn get(&self, key: u64) -> bool {
        black_box(self.get(&key)).is_some()
    }

    fn insert(&self, key: u64, value: V) {
        self.insert(key, value);
    }

    fn entries(&self) -> Result<u64> {
        Ok(self.len() as u64)
    }
}

impl<V: Value> Cache<V> for moka::sync::Cache<u64, V> {
    #[inline]
    fn get(&self, key: u64) -> bool {
        black_box(self.get(&key)).is_some()
    }

    fn insert(&self, key: u64, value: V) {
        self.insert(key, value);
    }

    fn entries(&self) -> Result<u64> {
        self.run_pending_tasks();
        Ok(self.entry_count())
    }
}

/// What its users hold is an entry, which they share with it: the value is not cloned.
impl<V: Value> Cache<V> for foyer_memory::Cache<u64, V> {
    #[inline]
    fn get(&self, key: u64) -> bool {
        black_box(self.get(&key)).is_some()
    }

    fn insert(&self, key: u64, value: V) {
        self.insert(key, value);
    }

    fn entries(&self) -> Result<u64> {
        Ok(self.usage() as u64)
    }
}

impl<V: Value> Cache<V> for larder::cache::Cache<u64, V> {
    #[inline]
    fn get(&self, key: u64) -> bool {
        black_box(self.get(&key)).is_some()
    }

    fn insert(&self, key: u64, value: V) {
        self.insert(key, value, 1);
    }

    fn entries(&self) -> Result<u64> {
        let stats = self.stats();
        ensure!(stats.failed_strategies == 0, "the strategy failed in {} shards", stats.failed_strategies);
        Ok(stats.entries)
    }
}
