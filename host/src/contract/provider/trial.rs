use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::TryStreamExt;

use super::Subject;
use crate::contract::{Breach, Options};
use crate::error::{Error, Result};
use crate::object::{Attributes, Body, ByteRange, ETag, Key, Object, StorageMetadata};
use crate::provider::{Condition, ListQuery, StorageProvider, StoreOptions};
use crate::random::Random;

/// One provider held to one promise.
pub(in crate::contract) struct Trial<'a> {
    subject: &'a dyn Subject,
    promise: &'static str,
    seed: u64,
    /// How many homes it had so far.
    homes: AtomicUsize,
}

impl<'a> Trial<'a> {
    pub(in crate::contract) fn new(subject: &'a dyn Subject, promise: &'static str, options: &Options) -> Self {
        Self { subject, promise, seed: options.seed, homes: AtomicUsize::new(0) }
    }

    /// Opens an empty provider, in another home each time.
    pub(super) async fn store(&self) -> Result<Store> {
        let number = self.homes.fetch_add(1, Ordering::Relaxed);
        let home = if number == 0 { self.promise.to_owned() } else { format!("{}-{number}", self.promise) };
        Ok(Store { provider: self.subject.open(&home).await?, home: home.into() })
    }

    /// The provider opened again, if it is one that keeps what is stored.
    pub(super) async fn reopen(&self, store: Store) -> Result<Store, Breach> {
        if !self.is_persistent() {
            return Err(Breach::NotApplicable);
        }
        let Store { provider, home } = store;
        drop(provider);
        Ok(Store { provider: self.subject.open(&home).await?, home })
    }

    pub(super) fn is_persistent(&self) -> bool {
        self.subject.is_persistent()
    }

    /// How many bytes an object has that the provider can not hold in its memory.
    pub(super) fn more_than_memory(&self) -> u64 {
        self.subject.memory().map_or(LARGE, |memory| memory + LARGE / 16)
    }

    /// Random numbers: the same for the same seed and promise.
    pub(super) fn random(&self) -> Random {
        Random::for_promise(self.seed, self.promise)
    }

    /// What its random numbers are made from.
    pub(super) fn seed(&self) -> u64 {
        self.seed
    }
}

/// What is large where no limit of memory is known, in bytes.
const LARGE: u64 = 16 << 20;

/// A provider, with short ways to do what most promises need. Clones are the same one.
#[derive(Clone)]
pub(super) struct Store {
    provider: Arc<dyn StorageProvider>,
    home: Arc<str>,
}

impl std::ops::Deref for Store {
    type Target = dyn StorageProvider;

    fn deref(&self) -> &Self::Target {
        &*self.provider
    }
}

impl Store {
    /// Another provider of the same home.
    pub(super) fn with(&self, provider: Arc<dyn StorageProvider>) -> Self {
        Self { provider, home: Arc::clone(&self.home) }
    }

    /// Stores without attributes or condition.
    pub(super) async fn put(&self, key: &Key, body: impl Into<Body> + Send) -> Result<StorageMetadata> {
        self.store(key, body.into(), StoreOptions::default()).await
    }

    /// Stores with attributes.
    pub(super) async fn put_with(
        &self,
        key: &Key,
        body: impl Into<Body> + Send,
        attributes: Attributes,
    ) -> Result<StorageMetadata> {
        self.store(key, body.into(), StoreOptions { attributes, ..StoreOptions::default() }).await
    }

    /// Stores under a condition.
    pub(super) async fn put_if(
        &self,
        key: &Key,
        body: impl Into<Body> + Send,
        condition: Condition,
    ) -> Result<StorageMetadata> {
        self.store(key, body.into(), StoreOptions { condition, ..StoreOptions::default() }).await
    }

    /// Metadata and bytes of an object.
    pub(super) async fn get(&self, key: &Key) -> Result<(StorageMetadata, Bytes)> {
        let (metadata, _, bytes) = read(self.retrieve(key, None).await?).await?;
        Ok((metadata, bytes))
    }

    /// Position and bytes of a part of an object.
    pub(super) async fn get_range(&self, key: &Key, range: ByteRange) -> Result<(Range<u64>, Bytes)> {
        let (_, range, bytes) = read(self.retrieve(key, Some(range)).await?).await?;
        Ok((range, bytes))
    }

    /// The whole listing, page by page.
    pub(super) async fn list_all(&self, mut query: ListQuery) -> Result<Vec<StorageMetadata>> {
        let mut objects = Vec::new();
        loop {
            let page = self.list(&query).await?;
            query.start_after = page.next().map(|last| last.as_str().to_owned());
            let more = page.more;
            if more && page.objects.is_empty() {
                return Err(Error::internal("a page says that there is more, and is empty"));
            }
            objects.extend(page.objects);
            if !more {
                return Ok(objects);
            }
        }
    }

    /// The keys of the whole listing.
    pub(super) async fn keys(&self, query: ListQuery) -> Result<Vec<String>> {
        Ok(self.list_all(query).await?.into_iter().map(|object| object.key.as_str().to_owned()).collect())
    }

    /// Breaks the promise unless the object is the one that `metadata` says, with these bytes, wherever one looks.
    pub(super) async fn ensure_is(&self, metadata: &StorageMetadata, wanted: &[u8]) -> Result<(), Breach> {
        let key = &metadata.key;
        let (found, bytes) = self.get(key).await?;
        ensure_same_bytes(&bytes, wanted, key)?;
        ensure_eq!(found, *metadata, "the metadata retrieved with the object");
        ensure_eq!(self.metadata(key).await?, *metadata, "the metadata of the object");
        let listed = self.list_all(ListQuery::with_prefix(key.as_str())).await?;
        let listed = listed.into_iter().find(|listed| listed.key == *key);
        ensure_eq!(listed, Some(metadata.clone()), "the object's place in the listing");
        Ok(())
    }

    /// Breaks the promise unless there is no such object, wherever one looks.
    pub(super) async fn ensure_absent(&self, key: &Key) -> Result<(), Breach> {
        ensure_fails!(self.retrieve(key, None).await, "not-found", "retrieving it");
        ensure_fails!(self.metadata(key).await, "not-found", "asking for its metadata");
        let listed = self.list_all(ListQuery::with_prefix(key.as_str())).await?;
        ensure!(listed.iter().all(|listed| listed.key != *key), "it is still listed");
        Ok(())
    }
}

/// All of an object, its body held against its range.
pub(super) async fn read(object: Object) -> Result<(StorageMetadata, Range<u64>, Bytes)> {
    let Object { metadata, range, body } = object;
    let bytes = body.collect(u64::MAX).await?;
    if bytes.len() as u64 != range.end - range.start {
        return Err(Error::internal(format!("the body of range {range:?} has {} bytes", bytes.len())));
    }
    Ok((Arc::unwrap_or_clone(metadata), range, bytes))
}

/// The first piece of an object's body, and the rest.
pub(super) async fn begin(object: Object) -> Result<(StorageMetadata, Bytes, Body)> {
    let mut pieces = object.body.into_stream();
    let first = pieces.try_next().await?.unwrap_or_default();
    Ok((Arc::unwrap_or_clone(object.metadata), first, Body::Stream(pieces)))
}

/// Breaks the promise unless bytes are the ones wanted; says where they part, not all of them.
pub(super) fn ensure_same_bytes(found: &[u8], wanted: &[u8], key: &Key) -> Result<(), Breach> {
    let parting = found.iter().zip(wanted).position(|(found, wanted)| found != wanted);
    if let Some(position) = parting {
        return Err(Breach::Broken(format!(
            "the bytes of {key:?} are not the ones stored from position {position} on"
        )));
    }
    ensure_eq!(found.len(), wanted.len(), "the number of bytes of {key:?}");
    Ok(())
}

/// The condition that the object is the one of this metadata.
pub(super) fn if_match(metadata: &StorageMetadata) -> Condition {
    Condition::IfMatch(metadata.etag.clone())
}

/// An etag that no object has.
pub(super) fn foreign_etag() -> ETag {
    ETag::generate()
}
