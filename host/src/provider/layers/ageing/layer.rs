use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::AgeingOptions;
use super::found::{Found, describe};
use super::mark::remove_marks;
use crate::error::{Error, Result};
use crate::object::{AttributeChanges, ByteRange, ETag, Key, Object, StorageMetadata, Timestamp};
use crate::provider::layers::key_locks::{KeyGuard, KeyLocks};
use crate::provider::{Condition, StorageProvider, StoreOptions};

pub(super) struct Layer {
    pub(super) inner: Arc<dyn StorageProvider>,
    pub(super) options: AgeingOptions,
    /// Held by changes of a key from looking what is there to having changed it.
    pub(super) changing: Arc<KeyLocks>,
    /// Held by who archives or restores a key: of two copies of an object each would take the other's away.
    pub(super) copying: Arc<KeyLocks>,
    /// Shared by those who archive, so that copies which nothing refers to yet are not swept.
    pub(super) archiving: tokio::sync::RwLock<()>,
    /// Whether the archive may have copies that nothing refers to: an earlier process may have left some.
    pub(super) unswept: Arc<AtomicBool>,
}

/// Says that the archive may have a needless copy, unless it is [settled](Doubt::settle) that it has none.
pub(super) struct Doubt {
    unswept: Arc<AtomicBool>,
    settled: bool,
}

impl Doubt {
    pub(super) fn settle(mut self) {
        self.settled = true;
    }
}

impl Drop for Doubt {
    fn drop(&mut self) {
        if !self.settled {
            self.unswept.store(true, Ordering::Release);
        }
    }
}

/// A write that may happen, and what it replaces. Nobody else changes the key meanwhile.
pub(super) struct Admitted {
    found: Found,
    /// About the copy of what is replaced.
    doubt: Doubt,
    _key: KeyGuard,
}

impl Admitted {
    /// How it is stored, under the condition that was found for that.
    pub(super) fn replaced_by(&self, options: StoreOptions, condition: Condition) -> StoreOptions {
        self.found.replaced_by(options, condition)
    }

    /// Removes the copy of what was replaced.
    pub(super) async fn remove_replaced(self, layer: &Layer, key: &Key) {
        if layer.try_to_remove_copy(key, self.found.copy()).await {
            self.doubt.settle();
        }
    }
}

impl Layer {
    pub(super) async fn find(&self, key: &Key) -> Result<Found> {
        match self.inner.metadata(key).await {
            Ok(object) => Found::of(object),
            Err(Error::NotFound { .. }) => Ok(Found::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Refuses to destroy what is locked.
    pub(super) fn check_lock(&self, key: &Key, found: &Found) -> Result<()> {
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

    pub(super) fn locked_until(&self, object: &StorageMetadata) -> Option<Timestamp> {
        // The host takes away what it probes a store with, whatever the rules say.
        let lock = self.options.lock.as_ref().filter(|_| !object.key.is_reserved())?;
        lock(object).filter(|until| *until > (self.options.clock)())
    }

    /// Refuses to change what would end a lock.
    pub(super) fn check_lock_is_kept(
        &self,
        key: &Key,
        object: &StorageMetadata,
        changes: &AttributeChanges,
    ) -> Result<()> {
        let Some(until) = self.locked_until(object) else { return Ok(()) };
        let mut changed = object.clone();
        changed.attributes.apply(changes.clone());
        if self.locked_until(&changed).is_some_and(|kept| kept >= until) {
            Ok(())
        } else {
            Err(locked_error(key, until))
        }
    }

    /// Finds what a write would replace, if it may, and what its condition is of that.
    pub(super) async fn look(&self, key: &Key, wanted: &Condition) -> Result<(Found, Condition)> {
        let found = self.find(key).await?;
        self.check_lock(key, &found)?;
        let condition = found.condition(key, wanted)?;
        Ok((found, condition))
    }

    /// The same, with the key held.
    pub(super) async fn enter(&self, key: &Key, wanted: &Condition) -> Result<(Admitted, Condition)> {
        let guard = self.changing.lock(key).await;
        let (found, condition) = self.look(key, wanted).await?;
        let doubt = Doubt { unswept: Arc::clone(&self.unswept), settled: found.copy().is_none() };
        Ok((Admitted { found, doubt, _key: guard }, condition))
    }

    /// The same, for a write that was begun with a condition.
    pub(super) async fn enter_late(&self, key: &Key, wanted: &Condition, announced: &Condition) -> Result<Admitted> {
        let (admitted, condition) = self.enter(key, wanted).await?;
        if condition == *announced {
            Ok(admitted)
        } else {
            Err(Error::precondition_failed(format!("\u{2018}{key}\u{2019} changed while it was written")))
        }
    }

    /// Removes a copy from the archive. One that is not there any more is removed.
    pub(super) async fn remove_copy(&self, key: &Key, copy: &ETag) -> Result<()> {
        let Some((_, archive)) = &self.options.archive else { return Ok(()) };
        match archive.delete(key, Some(copy)).await {
            Ok(()) | Err(Error::NotFound { .. } | Error::PreconditionFailed { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The same, of a copy that nothing refers to. If that fails it is swept later. Says whether there is none any more.
    pub(super) async fn try_to_remove_copy(&self, key: &Key, copy: Option<ETag>) -> bool {
        let Some(copy) = copy else { return true };
        let removed = self.remove_copy(key, &copy).await;
        if let Err(error) = &removed {
            let (store, kind) = (&self.options.store, error.kind());
            tracing::warn!(%store, kind, "a copy in the archive remains until it is swept: {error}");
        }
        removed.is_ok()
    }

    /// That something is begun which leaves a needless copy if it is cut off.
    pub(super) fn doubt(&self) -> Doubt {
        Doubt { unswept: Arc::clone(&self.unswept), settled: false }
    }

    /// Reads an archived object where its bytes are.
    pub(super) async fn recall(&self, key: &Key, range: Option<ByteRange>) -> Result<Object> {
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

fn locked_error(key: &Key, until: Timestamp) -> Error {
    Error::permission_denied(format!(
        "the object \u{2018}{key}\u{2019} is locked until {}: a rule of the store says that nobody deletes or replaces it \
         before",
        until.format("%Y-%m-%d %H:%M:%SZ")
    ))
}
