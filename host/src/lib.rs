//! larder keeps objects: bytes under a key, with metadata and tags.
//!
//! Modules stand on floors, and each knows only those below it:
//!
//! 1. nouns: [`object`], [`error`]
//! 2. the three seams: [`provider::StorageProvider`], [`cache::EvictionStrategy`], [`lifecycle::LifecyclePolicy`]
//! 4. owners: [`manager::StorageManager`], [`monitor::StorageMonitor`]
#![deny(missing_docs)]

pub mod cache;
pub mod cli;
pub mod client;
pub mod config;
pub mod contract;
pub mod error;
pub mod lifecycle;
pub mod manager;
pub mod monitor;
pub mod object;
pub mod plugin;
pub mod provider;
mod wire;
pub mod scheduler;
pub mod server;
