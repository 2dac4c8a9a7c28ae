//! The second seam, what a cache drops, and the cache itself.
//!
//! [`Cache`] is one facade over two engines: the crate `quick_cache`, and shards of slots that ask an
//! [`EvictionStrategy`] what to drop. [`CacheManager`] is the cache of a store: one of objects, limited by their bytes.

#[expect(clippy::module_inception, reason = "the noun of this room")]
mod cache;
mod config;
mod engine;
mod entry;
mod hot_keys;
mod manager;
mod monitored;
mod options;
mod report;
mod stats;
mod strategies;
mod strategy;
#[cfg(test)]
mod tests;

pub use cache::Cache;
pub use config::CacheConfig;
pub use entry::CacheEntry;
pub use hot_keys::{HotKey, TopKeys};
pub use manager::{CacheManager, Cached};
pub use monitored::Monitored;
pub use options::{CacheOptions, EvictionPolicy, Steps};
pub use report::CacheReport;
pub use stats::CacheStats;
pub use strategy::{Batch, EntryId, EvictionStrategy, EvictionStrategyFactory};
