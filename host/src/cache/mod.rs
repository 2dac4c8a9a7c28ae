//! The second seam, what a cache drops, and the cache itself.
//!
//! [`CacheManager`] is one facade over two engines: the crate `quick_cache`, and shards of slots that ask an
//! [`EvictionStrategy`] what to drop.

mod chooser;
mod config;
mod entry;
mod fifo;
mod hash;
mod lru;
mod manager;
mod monitored;
mod queue;
mod quick;
mod random;
mod read_log;
mod shards;
mod slots;
mod strategy;
mod table;
#[cfg(test)]
mod tests;

pub use config::{CacheConfig, EvictionPolicy};
pub use entry::CacheEntry;
pub use manager::{CacheManager, CacheStats};
pub use monitored::Monitored;
pub use strategy::{Batch, EntryId, EvictionStrategy, EvictionStrategyFactory};
