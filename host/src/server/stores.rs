use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Result;
use crate::lifecycle::{AgeingStep, LifecycleManager};
use crate::object::{Key, StoreName, Timestamp};
use crate::provider::StorageProvider;
use crate::provider::layers::Seal;

/// The stores that a front door serves, as the host has them at this moment.
#[async_trait]
pub trait Stores: fmt::Debug + Send + Sync + 'static {
    /// The store of that name, if it is served here.
    fn store(&self, name: &str) -> Option<Arc<dyn StorageProvider>>;

    /// What seals bytes on their way into a store while they are kept elsewhere, if its objects are encrypted.
    fn seal(&self, name: &str) -> Option<Seal>;

    /// The names of all that are served here, in byte order, each with the moment it came to be.
    fn names(&self) -> Vec<(StoreName, Timestamp)>;

    /// Adds an empty store, made as the configuration says new ones are.
    ///
    /// # Errors
    /// [`PreconditionFailed`](crate::error::Error::PreconditionFailed) if there is one of that name, even if it is
    /// not served here; [`Unsupported`](crate::error::Error::Unsupported) if the configuration provides for no new ones.
    async fn create(&self, name: &StoreName) -> Result<()>;

    /// Removes a store that [`Stores::create`] added.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`](crate::error::Error::PreconditionFailed) if it is not empty;
    /// [`Error::PermissionDenied`](crate::error::Error::PermissionDenied) if it stands in the configuration.
    async fn remove(&self, name: &StoreName) -> Result<()>;

    /// Takes a step in the ageing of an object because somebody asked for it, and puts that on record.
    ///
    /// # Errors
    /// Those of [`AgeingStore::age`](crate::lifecycle::AgeingStore::age);
    /// [`Error::InvalidInput`](crate::error::Error::InvalidInput) if there is no such store.
    async fn age(&self, name: &str, key: &Key, step: AgeingStep) -> Result<()>;

    /// What lets the objects of a store age, if they do.
    fn lifecycle(&self, name: &str) -> Option<Arc<LifecycleManager>>;
}
