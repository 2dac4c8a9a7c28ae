//! The layer in which objects age: what is archived or in the trash is marked in the store itself, in one write.

mod found;
mod layer;
mod mark;
mod steps;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, StreamExt};
use parking_lot::Mutex;

use self::found::{Found, outer};
use self::layer::{Admitted, Layer};
use self::mark::{Mark, OWN, remove_marks};
use crate::error::{Error, Result};
use crate::lifecycle::AgeingStore;
use crate::object::{AttributeChanges, Body, ByteRange, ETag, Key, Object, StorageMetadata, StoreName, Timestamp};
use crate::provider::{CheckReport, DueIndex, ListQuery, Page, StorageProvider, StoreOptions, Usage, Watch};

pub use self::mark::{Archived, Restored, Trashed};

/// What an archived object is marked with.
pub(super) const ARCHIVED: &str = Archived::NAME;
/// What an object in the trash is marked with.
pub(super) const TRASHED: &str = Trashed::NAME;

/// Until when nobody may delete or replace an object, if that is so: a pure function of its metadata.
pub type Lock = Arc<dyn Fn(&StorageMetadata) -> Option<Timestamp> + Send + Sync>;

/// Where a layer takes the time from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Lets objects age: into an archive, into a trash, and back.
///
/// An archived object is an object without bytes, with a mark that says what it was and where its bytes are. One in the trash
/// has a mark, and is hidden. Each is made by one write to the store, so that nothing can be half in one place; a copy in the
/// archive is there before that, and removed after the write that makes it needless, if need be by
/// [`sweep_archive`](AgeingStore::sweep_archive).
#[derive(Clone)]
pub struct Ageing(Arc<Layer>);

/// How objects age.
#[derive(Clone)]
pub struct AgeingOptions {
    /// The name of the store.
    pub store: StoreName,
    /// Where archived bytes lie, under the same keys: its name, and the store. No other store archives there.
    pub archive: Option<(StoreName, Arc<dyn StorageProvider>)>,
    /// Whether archived objects are read from the archive; otherwise reading them is an error.
    pub recall: bool,
    /// What is locked.
    pub lock: Option<Lock>,
    /// What the time is for locks.
    pub clock: Clock,
}

impl fmt::Debug for AgeingOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgeingOptions")
            .field("store", &self.store)
            .field("archive", &self.archive.as_ref().map(|(name, _)| name))
            .field("recall", &self.recall)
            .finish_non_exhaustive()
    }
}

impl Ageing {
    /// A layer around a store's provider, outside of its other layers.
    pub fn new(inner: Arc<dyn StorageProvider>, options: AgeingOptions) -> Self {
        let archiving = tokio::sync::RwLock::default();
        Self(Arc::new(Layer {
            inner,
            options,
            changing: Arc::default(),
            copying: Arc::default(),
            archiving,
            unswept: Arc::new(true.into()),
        }))
    }
}

#[async_trait]
impl StorageProvider for Ageing {
    async fn store(&self, key: &Key, body: Body, mut options: StoreOptions) -> Result<StorageMetadata> {
        remove_marks(&mut options.attributes.user_metadata);
        let layer = &self.0;
        let wanted = options.condition.clone();
        let (stored, admitted) = match body {
            Body::Bytes(_) => {
                let (admitted, condition) = layer.enter(key, &wanted).await?;
                let stored = layer.inner.store(key, body, admitted.replaced_by(options, condition)).await?;
                (stored, Some(admitted))
            }
            // The key is held from the end of the body on, not while it comes.
            Body::Stream(pieces) => {
                let (found, announced) = layer.look(key, &wanted).await?;
                let options = found.replaced_by(options, announced.clone());
                let admitted = Arc::<Mutex<Option<Admitted>>>::default();
                let (entering, entered, late_key) = (Arc::clone(layer), Arc::clone(&admitted), key.clone());
                let end = async move {
                    let entered_late = entering.enter_late(&late_key, &wanted, &announced).await;
                    entered_late.map(|it| *entered.lock() = Some(it)).err().map(Err)
                };
                let body = Body::stream(pieces.chain(stream::once(end).filter_map(std::future::ready)));
                let stored = layer.inner.store(key, body, options).await?;
                let admitted = admitted.lock().take();
                (stored, admitted)
            }
        };
        if let Some(admitted) = admitted {
            admitted.remove_replaced(layer, key).await;
        }
        Ok(stored)
    }

    async fn retrieve(&self, key: &Key, range: Option<ByteRange>) -> Result<Object> {
        match self.0.inner.retrieve(key, range).await {
            Ok(object) => {
                let marks = &object.metadata.attributes.user_metadata;
                if marks.get(Trashed::NAME).is_some() {
                    Err(Error::not_found(key))
                } else if marks.get(Archived::NAME).is_some() {
                    self.0.recall(key, range).await
                } else {
                    Ok(object)
                }
            }
            // Any range lies behind the end of an object without bytes.
            Err(Error::RangeNotSatisfiable { range, size: 0 }) => self.0.recall(key, Some(range)).await,
            Err(error) => Err(error),
        }
    }

    async fn delete(&self, key: &Key, if_match: Option<&ETag>) -> Result<()> {
        let _guard = self.0.changing.lock(key).await;
        let found = self.0.find(key).await?;
        self.0.check_lock(key, &found)?;
        self.0.delete_found(key, found, if_match).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        let mut query = query.clone();
        loop {
            let page = self.0.inner.list(&query).await?;
            let next = page.next().map(|key| key.as_str().to_owned());
            let objects: Vec<_> = page.objects.into_iter().filter_map(outer).collect();
            if !objects.is_empty() || next.is_none() {
                return Ok(Page { objects, more: next.is_some() });
            }
            query.start_after = next;
        }
    }

    async fn metadata(&self, key: &Key) -> Result<StorageMetadata> {
        outer(self.0.inner.metadata(key).await?).ok_or_else(|| Error::not_found(key))
    }

    async fn update(
        &self,
        key: &Key,
        mut changes: AttributeChanges,
        if_match: Option<&ETag>,
    ) -> Result<StorageMetadata> {
        let layer = &self.0;
        let _guard = layer.changing.lock(key).await;
        let found = layer.find(key).await?;
        let (Found::Object(object) | Found::Archived(object, _)) = &found else { return Err(Error::not_found(key)) };
        found.condition(key, &if_match.into())?.check(key, Some(&object.etag))?;
        if let Some(user_metadata) = &mut changes.user_metadata {
            remove_marks(user_metadata);
            for name in OWN {
                if let Some(mark) = object.attributes.user_metadata.get(name) {
                    user_metadata.set_of_host(name, mark)?;
                }
            }
        }
        layer.check_lock_is_kept(key, object, &changes)?;
        let updated = layer.inner.update(key, changes, Some(&object.etag)).await?;
        outer(updated).ok_or_else(|| Error::not_found(key))
    }

    async fn usage(&self) -> Result<Usage> {
        self.0.inner.usage().await
    }

    async fn check(&self, watch: Arc<dyn Watch>) -> Result<CheckReport> {
        self.0.inner.check(watch).await
    }

    async fn check_index(&self) -> Result<()> {
        self.0.inner.check_index().await
    }

    async fn snapshot(&self) -> Result<Arc<dyn StorageProvider>> {
        self.0.inner.snapshot().await
    }

    fn due_index(self: Arc<Self>) -> Option<Arc<dyn DueIndex>> {
        Arc::clone(&self.0.inner).due_index()
    }

    fn ageing(self: Arc<Self>) -> Option<Arc<dyn AgeingStore>> {
        Some(self)
    }
}

impl fmt::Debug for Ageing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ageing").field("options", &self.0.options).field("inner", &self.0.inner).finish()
    }
}
