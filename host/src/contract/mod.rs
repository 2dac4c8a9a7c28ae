//! What every provider promises, as a suite that runs.
//!
//! [`check`] holds a provider to all of [`provider_promises`]; a provider that keeps them can stand behind a store. The
//! suite knows the provider only through [`StorageProvider`], so it serves native ones, plugins and layers alike.
//!
//! ```
//! use std::sync::Arc;
//! use larder::contract::{self, Subject, Verdict};
//! use larder::error::Result;
//! use larder::provider::{StorageProvider, memory::MemoryStorageProvider};
//!
//! struct Memory;
//!
//! #[async_trait::async_trait]
//! impl Subject for Memory {
//!     async fn open(&self, _home: usize) -> Result<Arc<dyn StorageProvider>> {
//!         Ok(Arc::new(MemoryStorageProvider::new()))
//!     }
//!     fn is_persistent(&self) -> bool {
//!         false
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let broken: Vec<_> = contract::check(&Memory)
//!     .await
//!     .into_iter()
//!     .filter(|outcome| matches!(outcome.verdict, Verdict::Broken(_)))
//!     .collect();
//! assert!(broken.is_empty(), "{broken:?}");
//! # }
//! ```

#[macro_use]
mod breach;

mod concurrency;
mod conditions;
mod delete;
mod durability;
mod keys;
mod list;
mod overwrite;
mod ranges;
mod round_trip;
mod sample;
mod trial;
mod update;
mod usage;

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::future::BoxFuture;

use crate::error::Result;
use crate::provider::StorageProvider;

use breach::Breach;
use trial::Trial;

/// A provider held to the contract.
#[async_trait]
pub trait Subject: Send + Sync {
    /// Opens the provider on the home of this number. Homes are apart from each other, and each is empty when it is
    /// opened first. If the provider [is persistent](Subject::is_persistent), opening a home again finds what is there;
    /// the suite has then let go of the provider opened before.
    ///
    /// # Errors
    /// Whatever keeps the provider from opening: it breaks the promise under test.
    async fn open(&self, home: usize) -> Result<Arc<dyn StorageProvider>>;

    /// Whether what is stored outlives the provider's closing.
    fn is_persistent(&self) -> bool;
}

/// One promise of the contract.
pub struct Promise {
    /// What is promised, as a name: `a_failed_overwrite_leaves_the_old_object`.
    pub name: &'static str,
    /// What is promised, as a sentence.
    pub says: &'static str,
    run: Run,
}

type Run = for<'a> fn(&'a Trial<'a>) -> BoxFuture<'a, Result<(), Breach>>;

/// How it stands with a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was kept.
    Kept,
    /// It was broken, and how.
    Broken(String),
    /// The provider says that it does not do this ([`Unsupported`](crate::error::Error::Unsupported)), in these words.
    Unsupported(String),
    /// It is about providers of another kind.
    NotApplicable,
}

/// What came of holding a provider to a promise.
#[derive(Debug)]
pub struct Outcome {
    /// The promise.
    pub promise: &'static Promise,
    /// Whether it was kept.
    pub verdict: Verdict,
    /// How long that took to find out.
    pub took: Duration,
}

/// How long a provider has for one promise. The slowest takes a native provider a fraction of a second; one that takes
/// a minute hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// All promises, in the order in which [`check`] looks at them: those that others build upon come first.
pub fn provider_promises() -> &'static [Promise] {
    static PROMISES: LazyLock<Vec<Promise>> = LazyLock::new(|| {
        [
            round_trip::promises(),
            overwrite::promises(),
            keys::promises(),
            ranges::promises(),
            conditions::promises(),
            delete::promises(),
            update::promises(),
            list::promises(),
            usage::promises(),
            concurrency::promises(),
            durability::promises(),
        ]
        .into_iter()
        .flatten()
        .collect()
    });
    &PROMISES
}

/// Holds a provider to all promises, one after the other, each in a home of its own.
///
/// Runs on a tokio runtime. Races need one with several threads to be worth anything.
pub async fn check(subject: &dyn Subject) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for (home, promise) in provider_promises().iter().enumerate() {
        outcomes.push(promise.check(subject, home).await);
    }
    outcomes
}

impl Promise {
    /// Holds a provider to this promise, in the home of this number.
    pub async fn check(&'static self, subject: &dyn Subject, home: usize) -> Outcome {
        let started = Instant::now();
        let trial = Trial::new(subject, home);
        let verdict = match tokio::time::timeout(PATIENCE, (self.run)(&trial)).await {
            Ok(Ok(())) => Verdict::Kept,
            Ok(Err(breach)) => breach.into_verdict(),
            Err(_) => Verdict::Broken(format!("there was no answer within {} s", PATIENCE.as_secs())),
        };
        Outcome { promise: self, verdict, took: started.elapsed() }
    }
}

impl fmt::Debug for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// `broken a_deleted_object_is_gone: it is still listed`
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.promise.name;
        match &self.verdict {
            Verdict::Kept => write!(f, "kept {name}"),
            Verdict::Broken(how) => write!(f, "broken {name}: {how}"),
            Verdict::Unsupported(what) => write!(f, "unsupported {name}: {what}"),
            Verdict::NotApplicable => write!(f, "not applicable {name}"),
        }
    }
}

#[cfg(test)]
mod tests;
