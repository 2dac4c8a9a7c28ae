//! What is done with objects that age.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::TryStreamExt;

use super::Ageing;
use super::found::{Found, describe};
use super::layer::Layer;
use super::mark::{Archived, Mark, Origin, Restored, Trashed};
use crate::error::{Error, Result};
use crate::lifecycle::{AgeingStep, AgeingStore};
use crate::object::{
    AttributeChanges, Attributes, Body, ETag, Key, StorageMetadata, StoreName, Tags, Timestamp, UserMetadata,
};
use crate::provider::{Condition, ListQuery, Page, Stamp, StorageProvider, StoreOptions};

#[async_trait]
impl AgeingStore for Ageing {
    async fn age(&self, key: &Key, step: AgeingStep) -> Result<()> {
        let layer = &self.0;
        match step {
            AgeingStep::Archive { judged, now } => layer.archive(key, &judged, now).await,
            AgeingStep::Restore { until } => layer.restore(key, until).await,
            AgeingStep::Trash { judged, now, until, by } => {
                layer.trash(key, &judged, &Trashed { at: now, until, by }).await
            }
            AgeingStep::TakeOut => layer.take_out(key).await,
            AgeingStep::Purge { due } => layer.purge(key, due).await,
            AgeingStep::Delete { judged } => {
                let _guard = layer.changing.lock(key).await;
                let found = layer.judged(key, &judged).await?;
                layer.check_lock(key, &found)?;
                layer.delete_found(key, found, None).await
            }
            AgeingStep::Tag { judged, tags } => layer.tag(key, &judged, tags).await,
        }
    }

    async fn list_with_trash(&self, query: &ListQuery) -> Result<Page> {
        let Page { objects, more } = self.0.inner.list(query).await?;
        let objects = objects.into_iter().map(|object| match Archived::of(&object) {
            Some(archived) => describe(object, archived),
            None => object,
        });
        Ok(Page { objects: objects.collect(), more })
    }

    async fn metadata_with_trash(&self, key: &Key) -> Result<StorageMetadata> {
        let object = self.0.inner.metadata(key).await?;
        Ok(match Archived::of(&object) {
            Some(archived) => describe(object, archived),
            None => object,
        })
    }

    fn may_need_sweep(&self) -> bool {
        self.0.options.archive.is_some() && self.0.unswept.load(Ordering::Acquire)
    }

    async fn sweep_archive(&self) -> Result<u64> {
        let layer = &self.0;
        let Some((_, archive)) = &layer.options.archive else { return Ok(0) };
        layer.unswept.store(false, Ordering::Release);
        let doubt = layer.doubt();
        let mut swept = 0;
        let mut query = ListQuery::all();
        loop {
            let page = archive.list(&query).await?;
            query.start_after = page.next().map(|key| key.as_str().to_owned());
            for copy in page.objects {
                if layer.is_ours(&copy) && layer.sweep(&copy).await? {
                    swept += 1;
                }
            }
            if query.start_after.is_none() {
                doubt.settle();
                return Ok(swept);
            }
        }
    }
}

impl Layer {
    /// What is under a key, if it is still what was judged.
    async fn judged(&self, key: &Key, judged: &StorageMetadata) -> Result<Found> {
        let found = self.find(key).await?;
        let same = match &found {
            Found::Object(object) => object == judged,
            Found::Archived(object, archived) => describe(object.clone(), archived.clone()) == *judged,
            Found::Nothing | Found::Trashed(_) => return Err(Error::not_found(key)),
        };
        if same {
            Ok(found)
        } else {
            Err(Error::precondition_failed(format!("\u{2018}{key}\u{2019} is not what was judged any more")))
        }
    }

    fn archive_store(&self) -> Result<(&StoreName, &dyn StorageProvider)> {
        match &self.options.archive {
            Some((name, provider)) => Ok((name, &**provider)),
            None => {
                let store = &self.options.store;
                Err(Error::unsupported(format!("the store {store} has no archive: name one as `lifecycle.archive_to`")))
            }
        }
    }

    /// Whether a copy in the archive is of an object of this store.
    fn is_ours(&self, copy: &StorageMetadata) -> bool {
        Origin::of(copy).is_some_and(|origin| origin.store == self.options.store)
    }

    async fn archive(&self, key: &Key, judged: &StorageMetadata, now: Timestamp) -> Result<()> {
        let (_, archive) = self.archive_store()?;
        let _archiving = self.archiving.read().await;
        let _copying = self.copying.lock(key).await;
        let doubt = self.doubt();
        let copy = self.copy(key, judged, archive).await?;
        let marked = self.replace_by_mark(key, judged, &copy, now).await;
        let settled = match &marked {
            Ok(()) => true,
            // The object stays as it is, and so nothing refers to the copy.
            Err(Error::PreconditionFailed { .. } | Error::NotFound { .. } | Error::InvalidInput { .. }) => {
                self.try_to_remove_copy(key, Some(copy)).await
            }
            Err(_) => false,
        };
        if settled {
            doubt.settle();
        }
        marked
    }

    /// Copies the bytes of what was judged into the archive, and reads them back. Returns the etag of the copy.
    async fn copy(&self, key: &Key, judged: &StorageMetadata, archive: &dyn StorageProvider) -> Result<ETag> {
        let condition = match archive.metadata(key).await {
            Err(Error::NotFound { .. }) => Condition::IfAbsent,
            Err(error) => return Err(error),
            // What an earlier try left, or what was archived of an earlier object.
            Ok(there) if self.is_ours(&there) && is_needless(&there, judged) => Condition::IfMatch(there.etag),
            Ok(there) => {
                let why = match self.is_ours(&there) {
                    true => "is of a later write than this: restore or remove it there",
                    false => "did not come from here: give this store an archive of its own",
                };
                return Err(Error::invalid_input(format!(
                    "the archive has an object \u{2018}{key}\u{2019} that {why}"
                )));
            }
        };
        let object = self.inner.retrieve(key, None).await?;
        if *object.metadata != *judged {
            return Err(Error::precondition_failed(format!("\u{2018}{key}\u{2019} is not what was judged any more")));
        }
        let mut attributes = judged.attributes.clone();
        attributes.user_metadata.remove(Restored::NAME);
        Origin { store: self.options.store.clone(), etag: judged.etag.clone() }.put(&mut attributes.user_metadata)?;
        let stamp =
            Stamp { etag: ETag::generate(), updated_at: judged.updated_at, created_at: Some(judged.created_at) };
        let copy = stamp.etag.clone();
        archive.store(key, object.body, StoreOptions { attributes, stamp, condition }).await.map_err(of_archive)?;
        let there = archive.retrieve(key, None).await.map_err(of_archive)?;
        if there.metadata.etag != copy {
            return Err(Error::unavailable(format!("the copy of \u{2018}{key}\u{2019} in the archive was replaced")));
        }
        let what = format!("the copy of \u{2018}{key}\u{2019} in the archive");
        let mut pieces = there.body.verified(judged.size, Some(judged.checksum), what).into_stream();
        while pieces.try_next().await.map_err(of_archive)?.is_some() {}
        Ok(copy)
    }

    async fn replace_by_mark(&self, key: &Key, judged: &StorageMetadata, copy: &ETag, now: Timestamp) -> Result<()> {
        let _guard = self.changing.lock(key).await;
        let Found::Object(object) = self.judged(key, judged).await? else { return Err(Error::not_found(key)) };
        let mut attributes = object.attributes;
        attributes.user_metadata.remove(Restored::NAME);
        let mark = Archived {
            size: object.size,
            checksum: object.checksum,
            etag: object.etag.clone(),
            copy: copy.clone(),
            at: now,
        };
        mark.put(&mut attributes.user_metadata)?;
        // An etag of its own: it names other bytes than the object's.
        let stamp =
            Stamp { etag: ETag::generate(), updated_at: object.updated_at, created_at: Some(object.created_at) };
        let options = StoreOptions { attributes, stamp, condition: Condition::IfMatch(object.etag) };
        self.inner.store(key, Body::Bytes(Bytes::new()), options).await?;
        Ok(())
    }

    async fn restore(&self, key: &Key, until: Timestamp) -> Result<()> {
        let _copying = self.copying.lock(key).await;
        let _guard = self.changing.lock(key).await;
        let (object, archived) = match self.find(key).await? {
            Found::Archived(object, archived) => (object, archived),
            Found::Object(_) => return Ok(()),
            Found::Nothing | Found::Trashed(_) => return Err(Error::not_found(key)),
        };
        let (name, archive) = self.archive_store()?;
        let copy = archive.retrieve(key, None).await.map_err(|error| match error {
            Error::NotFound { .. } => Error::corrupt(format!("the archive {name} has lost \u{2018}{key}\u{2019}")),
            error => error,
        })?;
        if copy.metadata.etag != archived.copy {
            return Err(Error::corrupt(format!(
                "the archive {name} has another object under \u{2018}{key}\u{2019} than the one that was archived"
            )));
        }
        let mut attributes = object.attributes;
        attributes.user_metadata.remove(Archived::NAME);
        Restored { until }.put(&mut attributes.user_metadata)?;
        let what = format!("\u{2018}{key}\u{2019} in the archive {name}");
        let body = copy.body.verified(archived.size, Some(archived.checksum), what);
        let stamp = Stamp { etag: archived.etag, updated_at: object.updated_at, created_at: Some(object.created_at) };
        let options = StoreOptions { attributes, stamp, condition: Condition::IfMatch(object.etag) };
        let doubt = self.doubt();
        self.inner.store(key, body, options).await?;
        if self.try_to_remove_copy(key, Some(archived.copy)).await {
            doubt.settle();
        }
        Ok(())
    }

    async fn trash(&self, key: &Key, judged: &StorageMetadata, mark: &Trashed) -> Result<()> {
        let _guard = self.changing.lock(key).await;
        let found = self.judged(key, judged).await?;
        self.check_lock(key, &found)?;
        let (Found::Object(object) | Found::Archived(object, _)) = found else { return Err(Error::not_found(key)) };
        self.remark(object, |user_metadata| mark.put(user_metadata)).await
    }

    async fn take_out(&self, key: &Key) -> Result<()> {
        let _guard = self.changing.lock(key).await;
        let Found::Trashed(object) = self.find(key).await? else { return Err(Error::not_found(key)) };
        if Trashed::of(&object).is_some_and(|trashed| trashed.until <= (self.options.clock)()) {
            // Its copy in the archive may be gone already.
            return Err(Error::not_found(key));
        }
        self.remark(object, |user_metadata| {
            user_metadata.remove(Trashed::NAME);
            Ok(())
        })
        .await
    }

    async fn purge(&self, key: &Key, due: Option<Timestamp>) -> Result<()> {
        let _guard = self.changing.lock(key).await;
        let Found::Trashed(object) = self.find(key).await? else { return Err(Error::not_found(key)) };
        // One whose mark can not be read stays until somebody purges it by hand.
        let is_due = |now| Trashed::of(&object).is_some_and(|trashed| trashed.until <= now);
        if !due.is_none_or(is_due) {
            return Err(Error::precondition_failed(format!("\u{2018}{key}\u{2019} stays in the trash for now")));
        }
        self.destroy(object).await
    }

    /// Deletes an object whose bytes are in the archive, or that is in the trash, and of which the key is held.
    ///
    /// First it is marked so that nobody sees it any more, and then its copy goes: whatever is cut off, the next run of the
    /// policies finds the mark and goes on from there.
    async fn destroy(&self, object: StorageMetadata) -> Result<()> {
        let (key, etag) = (object.key.clone(), object.etag.clone());
        if let Some(Archived { copy, .. }) = Archived::of(&object) {
            let now = (self.options.clock)();
            let trashed = Trashed::of(&object);
            if trashed.as_ref().is_none_or(|trashed| trashed.until > now) {
                let mark = Trashed { at: now, until: now, by: trashed.map(|trashed| trashed.by).unwrap_or_default() };
                self.remark(object, |user_metadata| mark.put(user_metadata)).await?;
            }
            self.remove_copy(&key, &copy).await?;
        }
        self.inner.delete(&key, Some(&etag)).await
    }

    /// Deletes what was found, of which the key is held.
    pub(super) async fn delete_found(&self, key: &Key, found: Found, if_match: Option<&ETag>) -> Result<()> {
        let condition = found.condition(key, &if_match.into());
        match found {
            Found::Nothing | Found::Trashed(_) => Err(Error::not_found(key)),
            Found::Object(object) => {
                condition?.check(key, Some(&object.etag))?;
                self.inner.delete(key, Some(&object.etag)).await
            }
            Found::Archived(object, _) => {
                condition?;
                self.destroy(object).await
            }
        }
    }

    async fn tag(&self, key: &Key, judged: &StorageMetadata, tags: Tags) -> Result<()> {
        let _guard = self.changing.lock(key).await;
        let (Found::Object(object) | Found::Archived(object, _)) = self.judged(key, judged).await? else {
            return Err(Error::not_found(key));
        };
        let changes = AttributeChanges { tags: Some(tags), ..AttributeChanges::default() };
        self.check_lock_is_kept(key, &object, &changes)?;
        self.inner.update(key, changes, Some(&object.etag)).await?;
        Ok(())
    }

    /// Changes the marks of an object of which the key is held.
    async fn remark(
        &self,
        object: StorageMetadata,
        change: impl FnOnce(&mut UserMetadata) -> Result<()>,
    ) -> Result<()> {
        let StorageMetadata { key, etag, attributes: Attributes { mut user_metadata, .. }, .. } = object;
        change(&mut user_metadata)?;
        let changes = AttributeChanges { user_metadata: Some(user_metadata), ..AttributeChanges::default() };
        self.inner.update(&key, changes, Some(&etag)).await?;
        Ok(())
    }

    /// Removes a copy from the archive if the store shows that it is needless; says whether it did.
    async fn sweep(&self, copy: &StorageMetadata) -> Result<bool> {
        let _alone = self.archiving.write().await;
        let _guard = self.changing.lock(&copy.key).await;
        let needless = match self.find(&copy.key).await? {
            Found::Object(object) => is_needless(copy, &object),
            // What is not there may have been lost, with all that referred to copies.
            Found::Nothing | Found::Archived(..) | Found::Trashed(_) => false,
        };
        if needless {
            self.remove_copy(&copy.key, &copy.etag).await?;
        }
        Ok(needless)
    }
}

/// Whether a copy in the archive is of no use beside an object that has its bytes: it is a copy of that very write, or of an
/// earlier one.
fn is_needless(copy: &StorageMetadata, object: &StorageMetadata) -> bool {
    let Some(origin) = Origin::of(copy) else { return false };
    if origin.etag == object.etag {
        return (copy.size, copy.checksum) == (object.size, object.checksum);
    }
    object.updated_at >= copy.updated_at
}

/// An error of the archive, which says nothing of the object that was judged.
fn of_archive(error: Error) -> Error {
    match error {
        Error::PreconditionFailed { message } => {
            Error::unavailable(format!("the archive changed meanwhile: {message}"))
        }
        other => other,
    }
}
