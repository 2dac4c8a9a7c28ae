use super::mark::{Archived, Mark, Trashed};
use crate::error::{Error, Result};
use crate::object::{ETag, Key, StorageMetadata};
use crate::provider::{Condition, StoreOptions};

/// What a writer finds under a key.
pub(super) enum Found {
    Nothing,
    Object(StorageMetadata),
    Archived(StorageMetadata, Archived),
    Trashed(StorageMetadata),
}

impl Found {
    pub(super) fn of(object: StorageMetadata) -> Result<Self> {
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
    pub(super) fn copy(&self) -> Option<ETag> {
        match self {
            Self::Archived(_, archived) => Some(archived.copy.clone()),
            Self::Trashed(object) => Archived::of(object).map(|archived| archived.copy),
            Self::Nothing | Self::Object(_) => None,
        }
    }

    /// How it is replaced, under the condition that was found for that.
    pub(super) fn replaced_by(&self, mut options: StoreOptions, condition: Condition) -> StoreOptions {
        if let Self::Trashed(_) = self {
            options.stamp.created_at.get_or_insert(options.stamp.updated_at);
        }
        StoreOptions { condition, ..options }
    }

    /// What a condition on the object that readers see is of the one that is stored.
    pub(super) fn condition(&self, key: &Key, condition: &Condition) -> Result<Condition> {
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

fn unmet() -> Error {
    Error::precondition_failed("the condition is not met")
}

/// An object as readers see it, if they do.
pub(super) fn outer(object: StorageMetadata) -> Option<StorageMetadata> {
    match Archived::of(&object) {
        _ if object.attributes.user_metadata.get(Trashed::NAME).is_some() => None,
        Some(archived) => Some(describe(object, archived)),
        None => Some(object),
    }
}

/// An archived object as it was, with the mark that says so.
pub(super) fn describe(object: StorageMetadata, archived: Archived) -> StorageMetadata {
    let Archived { size, checksum, etag, .. } = archived;
    StorageMetadata { size, checksum, etag, ..object }
}
