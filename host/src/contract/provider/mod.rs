//! What a storage provider promises.

mod concurrency;
mod conditions;
mod delete;
mod durability;
mod history;
mod keys;
mod large;
mod linearizability;
mod list;
mod model;
mod overwrite;
mod ranges;
mod reads;
mod register;
mod round_trip;
mod sample;
mod snapshot;
mod trial;
mod update;
mod uploads;
mod usage;

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;

use super::Promise;
use crate::error::Result;
use crate::provider::StorageProvider;

pub(super) use trial::Trial;

/// A provider held to the contract.
#[async_trait]
pub trait Subject: Send + Sync {
    /// Opens the provider on the home of this name: lower-case letters, digits, `_` and `-`. Homes are apart from each
    /// other, and each is empty when it is opened first. If the provider [is persistent](Subject::is_persistent),
    /// opening a home again finds what is there; the suite has then let go of the provider opened before.
    ///
    /// # Errors
    /// Whatever keeps the provider from opening: it breaks the promise under test.
    async fn open(&self, home: &str) -> Result<Arc<dyn StorageProvider>>;

    /// Whether what is stored outlives the provider's closing. Unless it says so, it does not.
    fn is_persistent(&self) -> bool {
        false
    }

    /// The most memory that the provider has, in bytes, if that is limited: the suite then stores an object that is
    /// larger.
    fn memory(&self) -> Option<u64> {
        None
    }
}

/// All promises, those that others build upon first.
pub fn promises() -> &'static [Promise] {
    static PROMISES: LazyLock<Vec<Promise>> = LazyLock::new(|| {
        [
            round_trip::promises(),
            overwrite::promises(),
            keys::promises(),
            ranges::promises(),
            reads::promises(),
            uploads::promises(),
            conditions::promises(),
            delete::promises(),
            update::promises(),
            list::promises(),
            usage::promises(),
            snapshot::promises(),
            large::promises(),
            concurrency::promises(),
            model::promises(),
            linearizability::promises(),
            durability::promises(),
        ]
        .into_iter()
        .flatten()
        .collect()
    });
    &PROMISES
}
