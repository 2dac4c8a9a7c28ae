use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;

use super::{CONCURRENT, Failed, Watch};
use crate::error::{Error, Result};
use crate::object::{Key, StorageMetadata};
use crate::provider::layers::{Archived, Encryption, Layers, Trashed, missing_layer};
use crate::provider::{Condition, ListQuery, Stamp, StorageProvider, StoreOptions};

/// What becomes of objects that the target has and that are others than those of the backup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// They stay, and are told of.
    #[default]
    Keep,
    /// They are replaced.
    Replace,
}

/// What [`restore`] came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// How many objects were stored.
    pub restored: u64,
    /// How many bytes these have.
    pub bytes: u64,
    /// How many were there already, just so.
    pub present: u64,
    /// How many could not be restored.
    pub failed: u64,
}

/// How an object is restored.
enum Outcome {
    Stored(u64),
    Present,
    Failed,
}

/// Which objects of a backup are restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// This one.
    Key(Key),
    /// Those whose keys begin so; all, if it is empty.
    Prefix(String),
}

/// Stores objects of a [backup](super::Backup), with their attributes, times and etags. What is encrypted in it is
/// decrypted with the keys of `encryption`, whichever of them it needs, and the target stores it as it stores all else.
///
/// It can be stopped at any time, and goes on where it was. Objects that are damaged in the backup, that the keys at hand do
/// not open, or that the target has otherwise, are told to `watch`, and the others go on.
///
/// # Errors
/// Those of either store that are not of one object.
pub async fn restore(
    backup: &Arc<dyn StorageProvider>,
    encryption: Option<Encryption>,
    selection: &Selection,
    target: &Arc<dyn StorageProvider>,
    existing: Existing,
    watch: &dyn Watch,
) -> Result<Restored> {
    // Of what is compressed it reads any level.
    let layers = Layers { max_size: None, compression: Some(1), encryption };
    let readable = layers.around(Arc::clone(backup));
    let prefix = match selection {
        Selection::Prefix(prefix) => prefix,
        Selection::Key(key) => {
            let object = backup.metadata(key).await?;
            watch.expect(1, object.size);
            let mut restored = Restored::default();
            restored.count(restore_one(&readable, key, target, existing, watch).await?);
            return Ok(restored);
        }
    };
    let mut restored = Restored::default();
    let mut query = ListQuery::with_prefix(prefix);
    loop {
        // As it is stored: an object that can not be decrypted is no reason not to list the others.
        let page = backup.list(&query).await?;
        watch.expect(page.objects.len() as u64, page.objects.iter().map(|object| object.size).sum());
        query.start_after = page.next().map(|last| last.as_str().to_owned());
        let work = page.objects.iter().map(|object| restore_one(&readable, &object.key, target, existing, watch));
        let mut outcomes = stream::iter(work).buffer_unordered(CONCURRENT);
        while let Some(outcome) = outcomes.try_next().await? {
            restored.count(outcome);
        }
        if query.start_after.is_none() {
            return Ok(restored);
        }
    }
}

impl Restored {
    fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Stored(bytes) => {
                self.restored += 1;
                self.bytes += bytes;
            }
            Outcome::Present => self.present += 1,
            Outcome::Failed => self.failed += 1,
        }
    }
}

async fn restore_one(
    backup: &Arc<dyn StorageProvider>,
    key: &Key,
    target: &Arc<dyn StorageProvider>,
    existing: Existing,
    watch: &dyn Watch,
) -> Result<Outcome> {
    let outcome = attempt(backup, key, target, existing).await;
    match &outcome {
        Ok(Outcome::Stored(bytes)) => watch.done(*bytes),
        Ok(_) => watch.done(0),
        Err(error) if is_of_one_object(error) => {
            watch.failed(Failed::Object(key), error);
            return Ok(Outcome::Failed);
        }
        Err(_) => {}
    }
    outcome
}

async fn attempt(
    backup: &Arc<dyn StorageProvider>,
    key: &Key,
    target: &Arc<dyn StorageProvider>,
    existing: Existing,
) -> Result<Outcome> {
    let wanted = backup.metadata(key).await?;
    if Trashed::is_mark_of(&wanted) {
        return Err(Error::invalid_input("it was in the trash of the store when that was backed up"));
    }
    if Archived::of(&wanted).is_some() {
        return Err(Error::invalid_input(
            "it was archived when the store was backed up: its bytes are in the archive; restore that store, and copy it \
             from there",
        ));
    }
    if missing_layer(&wanted).is_some() {
        return Err(Error::permission_denied(
            "it is encrypted: give the store that it is restored to `encryption`, with the key as its `key` or one of its \
             `old_keys`",
        ));
    }
    let is_wanted = |found: &StorageMetadata| {
        (&found.etag, &found.checksum, &found.attributes) == (&wanted.etag, &wanted.checksum, &wanted.attributes)
    };
    // What is there need not be read from the backup.
    match target.metadata(key).await {
        Ok(found) if is_wanted(&found) => return Ok(Outcome::Present),
        Ok(_) if existing == Existing::Keep => {
            return Err(Error::precondition_failed("another object is there under this key"));
        }
        Ok(_) | Err(Error::NotFound { .. }) => {}
        Err(error) => return Err(error),
    }
    let object = backup.retrieve(key, None).await?;
    let StorageMetadata { size, etag, updated_at, created_at, attributes, .. } =
        StorageMetadata::clone(&object.metadata);
    let condition = if existing == Existing::Keep { Condition::IfAbsent } else { Condition::None };
    let stamp = Stamp { etag, updated_at, created_at: Some(created_at) };
    target.store(key, object.body, StoreOptions { attributes, stamp, condition }).await?;
    Ok(Outcome::Stored(size))
}

fn is_of_one_object(error: &Error) -> bool {
    matches!(
        error,
        Error::Corrupt { .. }
            | Error::PreconditionFailed { .. }
            | Error::PermissionDenied { .. }
            | Error::InvalidInput { .. }
            | Error::TooLarge { .. }
            | Error::NotFound { .. }
    )
}
