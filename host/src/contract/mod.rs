//! What every part behind a seam promises, as a suite that runs.
//!
//! There is a contract for each of the three seams, and each knows its subject only through the seam's trait, so it
//! serves native parts, plugins and layers alike:
//!
//! | kind | what is held to it | its promises |
//! | --- | --- | --- |
//! | provider | a [`StorageProvider`](crate::provider::StorageProvider), opened by a [`provider::Subject`] | [`provider::promises`] |
//! | eviction | an [`EvictionStrategyFactory`](crate::cache::EvictionStrategyFactory), by an [`eviction::Subject`] | [`eviction::promises`] |
//! | lifecycle | a [`LifecyclePolicy`](crate::lifecycle::LifecyclePolicy), by a [`lifecycle::Subject`] | [`lifecycle::promises`] |
//!
//! A plugin becomes a [`Part`] through [`Component`]. [`check`] holds a [`Part`] to all promises of its kind and returns a [`Report`]; [`Promise::check`] to one of them.
//!
//! ```
//! use std::sync::Arc;
//! use larder::contract::{self, Options, Part, provider};
//! use larder::error::Result;
//! use larder::provider::{StorageProvider, memory::MemoryStorageProvider};
//!
//! struct Memory;
//!
//! #[async_trait::async_trait]
//! impl provider::Subject for Memory {
//!     async fn open(&self, _home: &str) -> Result<Arc<dyn StorageProvider>> {
//!         Ok(Arc::new(MemoryStorageProvider::new()))
//!     }
//! }
//!
//! # #[tokio::main] async fn main() {
//! let report = contract::check("memory", &Part::Provider(Arc::new(Memory)), &Options::default()).await;
//! assert_eq!(report.counts().broken, 0, "{report}");
//! # }
//! ```
//!
//! What is random in it comes from [`Options::seed`], and a promise that is broken by random operations names the
//! shortest sequence that was found to break it.

#[macro_use]
mod breach;

mod component;
pub mod eviction;
mod junit;
pub mod lifecycle;
mod options;
mod outcome;
mod part;
mod promise;
pub mod provider;
mod report;
mod shrinking;

pub use component::{Component, StoreForm};
pub use options::Options;
pub use outcome::{Outcome, Verdict};
pub use part::Part;
pub use promise::Promise;
pub use report::{Counts, Report};

use breach::Breach;

use crate::plugin::Kind;

/// All promises of a kind, in the order in which [`check`] looks at them: those that others build upon come first.
pub fn promises(kind: Kind) -> &'static [Promise] {
    match kind {
        Kind::Provider => provider::promises(),
        Kind::Eviction => eviction::promises(),
        Kind::Lifecycle => lifecycle::promises(),
    }
}

/// Holds a part to all promises of its kind, one after the other. `name` is what the report calls it.
///
/// Runs on a tokio runtime. Races need one with several threads to be worth anything.
pub async fn check(name: &str, part: &Part, options: &Options) -> Report {
    let mut report = Report::new(name, part.kind(), options);
    for promise in promises(part.kind()) {
        report.outcomes.push(promise.check(part, options).await);
    }
    report
}

#[cfg(test)]
mod tests;
