//! Moves an object to another store without ever having it in none.

use crate::error::{Error, Result};
use crate::object::{ETag, Object, StorageMetadata};
use crate::provider::{Condition, Stamp, StorageProvider, StoreOptions};

/// Copies the object that was judged to the archive, with its attributes and times, and verifies the copy. When this
/// returns without an error, the same bytes are in the archive.
///
/// An older object of the same key is replaced; one that was written later than this is not.
///
/// # Errors
/// [`Error::PreconditionFailed`] and [`Error::NotFound`] if the object is not the one that was judged any more;
/// [`Error::Corrupt`] if the copy differs; those of both stores.
pub(super) async fn copy(
    store: &dyn StorageProvider,
    archive: &dyn StorageProvider,
    judged: &StorageMetadata,
) -> Result<()> {
    let condition = match archive.metadata(&judged.key).await {
        Err(Error::NotFound { .. }) => Condition::IfAbsent,
        Err(error) => return Err(error),
        // A run that ended between the copy and the deletion.
        Ok(there) if is_copy(&there, judged) => return Ok(()),
        Ok(there) if there.updated_at > judged.updated_at => {
            return Err(Error::invalid_input("the archive has an object of this key that was written later"));
        }
        Ok(there) => Condition::IfMatch(there.etag),
    };
    let Object { metadata, body, .. } = store.retrieve(&judged.key, None).await?;
    unchanged(judged, &metadata)?;
    let stamp = Stamp { etag: ETag::generate(), updated_at: judged.updated_at, created_at: Some(judged.created_at) };
    let options = StoreOptions { attributes: judged.attributes.clone(), stamp, condition };
    let stored = archive.store(&judged.key, body, options).await.map_err(|error| match error {
        // Not the object in question has changed, but the archive.
        Error::PreconditionFailed { message } => {
            Error::unavailable(format!("the archive changed meanwhile: {message}"))
        }
        other => other,
    })?;
    if is_copy(&stored, judged) {
        Ok(())
    } else {
        Err(Error::corrupt(format!(
            "the copy in the archive has {} bytes and {}, the original {} and {}",
            stored.size, stored.checksum, judged.size, judged.checksum
        )))
    }
}

/// Whether it is the same object in all that a copy keeps: everything but the etag.
fn is_copy(copy: &StorageMetadata, original: &StorageMetadata) -> bool {
    StorageMetadata { etag: original.etag.clone(), ..copy.clone() } == *original
}

/// Holds an object against the one that was judged.
///
/// # Errors
/// [`Error::PreconditionFailed`] if anything is different.
pub(super) fn unchanged(judged: &StorageMetadata, found: &StorageMetadata) -> Result<()> {
    if judged == found {
        Ok(())
    } else {
        Err(Error::precondition_failed(format!("\u{2018}{}\u{2019} is not what was judged any more", judged.key)))
    }
}
