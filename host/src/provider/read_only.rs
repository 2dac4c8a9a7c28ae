use std::fmt;

use async_trait::async_trait;

use super::{ListQuery, Page, StorageProvider, StoreOptions};
use crate::error::{Error, Result};
use crate::object::{AttributeChanges, Body, ByteRange, ETag, Key, Object, StorageMetadata};

/// Objects that nobody changes. The methods promise what those of [`StorageProvider`] do.
#[async_trait]
pub trait Objects: fmt::Debug + Send + Sync + 'static {
    /// As [`StorageProvider::retrieve`].
    ///
    /// # Errors
    /// The same.
    async fn retrieve(&self, key: &Key, range: Option<ByteRange>) -> Result<Object>;

    /// As [`StorageProvider::list`].
    ///
    /// # Errors
    /// The same.
    async fn list(&self, query: &ListQuery) -> Result<Page>;

    /// As [`StorageProvider::metadata`].
    ///
    /// # Errors
    /// The same.
    async fn metadata(&self, key: &Key) -> Result<StorageMetadata>;
}

/// A provider that can only be read: every change is [`Error::Unsupported`].
#[derive(Debug)]
pub struct ReadOnly<T>(pub T);

fn refuse<T>() -> Result<T> {
    Err(Error::unsupported("these objects can only be read"))
}

#[async_trait]
impl<T: Objects> StorageProvider for ReadOnly<T> {
    async fn store(&self, _: &Key, _: Body, _: StoreOptions) -> Result<StorageMetadata> {
        refuse()
    }

    async fn retrieve(&self, key: &Key, range: Option<ByteRange>) -> Result<Object> {
        self.0.retrieve(key, range).await
    }

    async fn delete(&self, _: &Key, _: Option<&ETag>) -> Result<()> {
        refuse()
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        self.0.list(query).await
    }

    async fn metadata(&self, key: &Key) -> Result<StorageMetadata> {
        self.0.metadata(key).await
    }

    async fn update(&self, _: &Key, _: AttributeChanges, _: Option<&ETag>) -> Result<StorageMetadata> {
        refuse()
    }
}
