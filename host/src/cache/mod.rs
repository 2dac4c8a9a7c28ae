//! The second seam: what a cache drops.

mod strategy;

pub use strategy::{Batch, EntryId, EvictionStrategy, EvictionStrategyFactory};
