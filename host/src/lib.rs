//! larder keeps objects: bytes under a key, with metadata and tags. What it keeps them in, what its caches drop and how
//! its objects age can each be a WebAssembly component.
//!
//! Modules stand on floors, and each knows only those below it:
//!
//! 1. nouns: [`object`], [`error`], [`events`]
//! 2. the three seams: [`provider::StorageProvider`], [`cache::EvictionStrategy`], [`lifecycle::LifecyclePolicy`]
//! 3. what stands behind a seam: [`provider::file`], [`provider::memory`], the strategies of [`cache`], and [`plugin`];
//!    what all of it is held to: [`contract`]; and where components come from: [`oci`], [`cosign`]
//! 4. owners: [`manager::StorageManager`], [`lifecycle::LifecycleManager`], [`scheduler::TaskScheduler`],
//!    [`monitor::StorageMonitor`], [`alerts::AlertManager`], [`webhook::Webhook`]
//! 5. the host: [`host::Host`] makes the owners that a [`config::Config`] describes
//!    [`simulate`] replays requests on caches, and [`backup`] keeps what stores held, beside all that
//! 6. front doors: [`server`] (S3, and the admin listener with its console), [`client`], [`cli`]
#![deny(missing_docs)]

pub mod alerts;
pub mod backup;
pub mod cache;
pub mod cli;
pub mod client;
pub mod config;
pub mod contract;
pub mod cosign;
mod counter;
pub mod error;
pub mod events;
pub mod host;
pub mod lifecycle;
pub mod manager;
pub mod monitor;
mod net;
pub mod object;
pub mod oci;
pub mod plugin;
pub mod provider;
mod random;
mod replace_file;
pub mod scheduler;
pub mod server;
pub mod simulate;
pub mod webhook;
mod wire;
