//! The layer in which objects age: what is archived or in the trash is marked in the store itself, in one write.

mod mark;
mod steps;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, StreamExt};
use parking_lot::Mutex;

use self::mark::{Mark, OWN};
use super::key_locks::{KeyGuard, KeyLocks};
use crate::error::{Error, Result};
use crate::lifecycle::AgeingStore;
use crate::object::{
    AttributeChanges, Body, ByteRange, ETag, Key, Object, StorageMetadata, StoreName, Timestamp, UserMetadata,
};
use crate::provider::{CheckReport, Condition, ListQuery, Page, StorageProvider, StoreOptions, Usage, Watch};

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

struct Layer {
    inner: Arc<dyn StorageProvider>,
    options: AgeingOptions,
    /// Held by changes of a key from looking what is there to having changed it.
    changing: Arc<KeyLocks>,
    /// Held by who archives or restores a key: of two copies of an object each would take the other's away.
    copying: Arc<KeyLocks>,
    /// Shared by those who archive, so that copies which nothing refers to yet are not swept.
    archiving: tokio::sync::RwLock<()>,
}

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

/// What a writer finds under a key.
enum Found {
    Nothing,
    Object(StorageMetadata),
    Archived(StorageMetadata, Archived),
    Trashed(StorageMetadata),
}

impl Found {
    fn of(object: StorageMetadata) -> Result<Self> {
        let marks = &object.attributes.user_metadata;
        // What is in the trash is hidden, archived or not.
        if marks.get(Trashed::NAME).is_some() {
            return Ok(Self::Trashed(object));
        }
        match (marks.get(Archived::NAME), Archived::of(&object)) {
            (None, _) => Ok(Self::Object(object)),
            (Some(_), Some(archived)) => Ok(Self::Archived(object, archived)),
            (Some(_), None) => Err(Error::corrupt(format!(
                "the object \u{2018}{}\u{2019} is archived, and what says where can not be read",
                object.key
            ))),
        }
    }

    /// The copy in the archive that goes with it.
    fn copy(&self) -> Option<ETag> {
        match self {
            Self::Archived(_, archived) => Some(archived.copy.clone()),
            Self::Trashed(object) => Archived::of(object).map(|archived| archived.copy),
            Self::Nothing | Self::Object(_) => None,
        }
    }

    /// What a condition on the object that readers see is of the one that is stored.
    fn condition(&self, key: &Key, condition: &Condition) -> Result<Condition> {
        match (self, condition) {
            (_, Condition::None) | (Self::Nothing | Self::Object(_), _) => Ok(condition.clone()),
            (Self::Trashed(object), Condition::IfAbsent) => Ok(Condition::IfMatch(object.etag.clone())),
            (Self::Trashed(_), Condition::IfMatch(_)) => Err(condition.check(key, None).err().unwrap_or_else(unmet)),
            (Self::Archived(object, archived), _) => {
                condition.check(key, Some(&archived.etag))?;
                Ok(Condition::IfMatch(object.etag.clone()))
            }
        }
    }
}

/// A write that may happen, and what it replaces. Nobody else changes the key meanwhile.
struct Admitted {
    found: Found,
    _key: KeyGuard,
}

fn unmet() -> Error {
    Error::precondition_failed("the condition is not met")
}

impl Ageing {
    /// A layer around a store's provider, outside of its other layers.
    pub fn new(inner: Arc<dyn StorageProvider>, options: AgeingOptions) -> Self {
        let archiving = tokio::sync::RwLock::default();
        Self(Arc::new(Layer { inner, options, changing: Arc::default(), copying: Arc::default(), archiving }))
    }
}

impl Layer {
    async fn find(&self, key: &Key) -> Result<Found> {
        match self.inner.metadata(key).await {
            Ok(object) => Found::of(object),
            Err(Error::NotFound { .. }) => Ok(Found::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Refuses to destroy what is locked.
    fn check_lock(&self, key: &Key, found: &Found) -> Result<()> {
        let locked = match found {
            Found::Object(object) => self.locked_until(object),
            Found::Archived(object, archived) => self.locked_until(&describe(object.clone(), archived.clone())),
            Found::Nothing | Found::Trashed(_) => None,
        };
        match locked {
            Some(until) => Err(locked_error(key, until)),
            None => Ok(()),
        }
    }

    fn locked_until(&self, object: &StorageMetadata) -> Option<Timestamp> {
        let lock = self.options.lock.as_ref()?;
        lock(object).filter(|until| *until > (self.options.clock)())
    }

    /// Refuses to change what would end a lock.
    fn check_lock_is_kept(&self, key: &Key, object: &StorageMetadata, changes: &AttributeChanges) -> Result<()> {
        let Some(until) = self.locked_until(object) else { return Ok(()) };
        let mut changed = object.clone();
        changed.attributes.apply(changes.clone());
        if self.locked_until(&changed).is_some_and(|kept| kept >= until) {
            Ok(())
        } else {
            Err(locked_error(key, until))
        }
    }

    /// Deletes what was found, of which the key is held.
    async fn delete_found(&self, key: &Key, found: Found, if_match: Option<&ETag>) -> Result<()> {
        let (Found::Object(object) | Found::Archived(object, _)) = &found else { return Err(Error::not_found(key)) };
        found.condition(key, &if_match.into())?.check(key, Some(&object.etag))?;
        self.inner.delete(key, Some(&object.etag)).await?;
        self.remove_copy(key, found.copy()).await;
        Ok(())
    }

    /// Makes sure, with the key held, that an object may be written as it was announced.
    async fn admit(&self, key: &Key, wanted: &Condition, announced: &Condition) -> Result<Admitted> {
        let guard = self.changing.lock(key).await;
        let found = self.find(key).await?;
        self.check_lock(key, &found)?;
        if found.condition(key, wanted)? != *announced {
            return Err(Error::precondition_failed(format!("\u{2018}{key}\u{2019} changed while it was written")));
        }
        Ok(Admitted { found, _key: guard })
    }

    /// Removes a copy from the archive that nothing refers to any more. If that fails it is swept later.
    async fn remove_copy(&self, key: &Key, copy: Option<ETag>) {
        let (Some(copy), Some((archive, provider))) = (copy, &self.options.archive) else { return };
        match provider.delete(key, Some(&copy)).await {
            Ok(()) | Err(Error::NotFound { .. } | Error::PreconditionFailed { .. }) => {}
            Err(error) => {
                let (store, kind) = (&self.options.store, error.kind());
                tracing::warn!(%store, %archive, kind, "a copy in the archive remains until it is swept: {error}");
            }
        }
    }

    /// Reads an archived object where its bytes are.
    async fn recall(&self, key: &Key, range: Option<ByteRange>) -> Result<Object> {
        let (object, archived) = match self.find(key).await? {
            Found::Archived(object, archived) => (object, archived),
            // It was replaced or deleted since it was found archived.
            Found::Object(_) => return self.inner.retrieve(key, range).await,
            Found::Nothing | Found::Trashed(_) => return Err(Error::not_found(key)),
        };
        let store = &self.options.store;
        let Some((archive, provider)) = self.options.archive.as_ref().filter(|_| self.options.recall) else {
            return Err(Error::permission_denied(format!(
                "the object \u{2018}{key}\u{2019} is archived: bring it back with `larder archive restore {store}/{key}`, or \
                 have it read from the archive with `lifecycle.recall: true` for the store {store}"
            )));
        };
        let read = provider.retrieve(key, range).await.map_err(|error| match error {
            Error::NotFound { .. } => Error::corrupt(format!("the archive {archive} has lost \u{2018}{key}\u{2019}")),
            error => error,
        })?;
        if read.metadata.etag != archived.copy {
            return Err(Error::unavailable(format!(
                "the archive {archive} has another object under \u{2018}{key}\u{2019} than the one that was archived"
            )));
        }
        let mut metadata = describe(object, archived);
        remove_marks(&mut metadata.attributes.user_metadata);
        Ok(Object { metadata: metadata.into(), ..read })
    }
}

/// An object as readers see it, if they do.
fn outer(object: StorageMetadata) -> Option<StorageMetadata> {
    match Archived::of(&object) {
        _ if object.attributes.user_metadata.get(Trashed::NAME).is_some() => None,
        Some(archived) => Some(describe(object, archived)),
        None => Some(object),
    }
}

/// An archived object as it was, with the mark that says so.
fn describe(object: StorageMetadata, archived: Archived) -> StorageMetadata {
    let Archived { size, checksum, etag, .. } = archived;
    StorageMetadata { size, checksum, etag, ..object }
}

fn locked_error(key: &Key, until: Timestamp) -> Error {
    Error::permission_denied(format!(
        "the object \u{2018}{key}\u{2019} is locked until {}: a rule of the store says that nobody deletes or replaces it \
         before",
        until.format("%Y-%m-%d %H:%M:%SZ")
    ))
}

/// Takes out the marks of another object, of which this is a copy.
fn remove_marks(user_metadata: &mut UserMetadata) {
    for mark in OWN {
        user_metadata.remove(mark);
    }
}

#[async_trait]
impl StorageProvider for Ageing {
    async fn store(&self, key: &Key, body: Body, mut options: StoreOptions) -> Result<StorageMetadata> {
        remove_marks(&mut options.attributes.user_metadata);
        let layer = &self.0;
        let wanted = options.condition.clone();
        let found = layer.find(key).await?;
        layer.check_lock(key, &found)?;
        options.condition = found.condition(key, &wanted)?;
        if let Found::Trashed(_) = found {
            options.stamp.created_at.get_or_insert(options.stamp.updated_at);
        }
        let announced = options.condition.clone();
        let admitted = Arc::<Mutex<Option<Admitted>>>::default();
        let body = match body {
            Body::Bytes(bytes) => {
                *admitted.lock() = Some(layer.admit(key, &wanted, &announced).await?);
                Body::Bytes(bytes)
            }
            // The key is held from the end of the body on, not while it comes.
            Body::Stream(pieces) => {
                let (layer, key, admitted) = (Arc::clone(layer), key.clone(), Arc::clone(&admitted));
                let end = async move {
                    let entered = layer.admit(&key, &wanted, &announced).await;
                    entered.map(|entered| *admitted.lock() = Some(entered)).err().map(Err)
                };
                Body::stream(pieces.chain(stream::once(end).filter_map(std::future::ready)))
            }
        };
        let stored = layer.inner.store(key, body, options).await?;
        let admitted = admitted.lock().take();
        if let Some(Admitted { found, .. }) = &admitted {
            layer.remove_copy(key, found.copy()).await;
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

    async fn snapshot(&self) -> Result<Arc<dyn StorageProvider>> {
        self.0.inner.snapshot().await
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
