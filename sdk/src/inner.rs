use crate::abi;
use crate::body::Body;
use crate::error::Result;
use crate::object::{AttributeChanges, ETag, Metadata, Object};
use crate::provider::{ListQuery, Page, StoreOptions};
use crate::range::ByteRange;

/// A store that the operator granted to a provider plugin, so that it can be a layer over it.
///
/// Everything that [`StorageProvider`](crate::StorageProvider) promises holds here too. Natively, in tests, it is a store
/// in memory that [`testing::grant`](crate::testing::grant) made.
#[derive(Debug)]
pub struct InnerStore(abi::InnerStore);

impl InnerStore {
    /// Opens the store that the operator granted under this name (`grants.stores` in the configuration).
    ///
    /// # Errors
    /// [`PermissionDenied`](crate::ErrorKind::PermissionDenied) if none was.
    pub fn open(name: &str) -> Result<Self> {
        abi::InnerStore::open(name).map(Self)
    }

    /// Stores an object under the key, replacing any that is there, and returns its metadata. A body from the host goes
    /// there without passing through the plugin's memory.
    ///
    /// # Errors
    /// [`PreconditionFailed`](crate::ErrorKind::PreconditionFailed); what the body's sender failed with; what the store
    /// fails with. Nothing was changed.
    pub async fn store(&self, key: &str, body: impl Into<Body>, options: StoreOptions) -> Result<Metadata> {
        self.0.store(key, body.into(), options).await
    }

    /// Returns an object, or a range of it.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound), [`RangeNotSatisfiable`](crate::ErrorKind::RangeNotSatisfiable).
    pub async fn retrieve(&self, key: &str, range: Option<ByteRange>) -> Result<Object> {
        self.0.retrieve(key, range).await
    }

    /// Deletes an object; with `if_match`, only if the object is that one.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound), [`PreconditionFailed`](crate::ErrorKind::PreconditionFailed).
    pub async fn delete(&self, key: &str, if_match: Option<&ETag>) -> Result<()> {
        self.0.delete(key, if_match).await
    }

    /// Returns a page of a listing.
    ///
    /// # Errors
    /// What the store fails with.
    pub async fn list(&self, query: &ListQuery) -> Result<Page> {
        self.0.list(query).await
    }

    /// Returns an object's metadata.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound).
    pub async fn metadata(&self, key: &str) -> Result<Metadata> {
        self.0.metadata(key).await
    }

    /// Changes an object's attributes and nothing else; with `if_match`, only if the object is that one.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound), [`PreconditionFailed`](crate::ErrorKind::PreconditionFailed).
    pub async fn update(&self, key: &str, changes: AttributeChanges, if_match: Option<&ETag>) -> Result<Metadata> {
        self.0.update(key, changes, if_match).await
    }
}
