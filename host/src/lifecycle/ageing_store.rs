use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::object::{Key, StorageMetadata, Tags, Timestamp};
use crate::provider::{ListQuery, Page, StorageProvider};

/// A store whose objects can be moved to an archive and into a trash, and back.
///
/// Whatever is cut off, even by a crash, an object is in one place where it can be read, and a step that was cut off can be
/// done again.
#[async_trait]
pub trait AgeingStore: StorageProvider {
    /// Takes a step with the object under a key.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::error::Error::NotFound) if there is none that the step can be taken with;
    /// [`Error::PreconditionFailed`](crate::error::Error::PreconditionFailed) if it is not the one that was judged any more;
    /// [`Error::PermissionDenied`](crate::error::Error::PermissionDenied) if it is locked;
    /// [`Error::Unsupported`](crate::error::Error::Unsupported) if the store has no archive; those of both stores.
    async fn age(&self, key: &Key, step: AgeingStep) -> Result<()>;

    /// A page of all objects, also of those that are in the trash.
    ///
    /// # Errors
    /// Those of listing.
    async fn list_with_trash(&self, query: &ListQuery) -> Result<Page>;

    /// An object's metadata, also if it is in the trash.
    ///
    /// # Errors
    /// As [`StorageProvider::metadata`]; [`Error::Unsupported`](crate::error::Error::Unsupported) where only pages of them
    /// can be had.
    async fn metadata_with_trash(&self, _key: &Key) -> Result<StorageMetadata> {
        Err(Error::unsupported("this store lists what is in the trash, and looks up nothing in it"))
    }

    /// Whether the archive may have copies that no object refers to any more. To be sure takes [a look at all of
    /// them](AgeingStore::sweep_archive).
    fn may_need_sweep(&self) -> bool {
        true
    }

    /// Removes from the archive the copies that no object refers to any more, and returns how many they were: of objects that
    /// were replaced or deleted, or whose archiving was cut off.
    ///
    /// # Errors
    /// Those of both stores.
    async fn sweep_archive(&self) -> Result<u64>;
}

/// What can be done with an object that ages. `judged` is how it was when that was decided: if it is not so any more, nothing
/// happens.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgeingStep {
    /// Moves its bytes to the archive. It stays listed.
    Archive {
        /// The object.
        judged: Box<StorageMetadata>,
        /// The present moment.
        now: Timestamp,
    },
    /// Brings its bytes back from the archive.
    Restore {
        /// Until when it is not archived again.
        until: Timestamp,
    },
    /// Puts it into the trash: nobody sees it, and it can be restored.
    Trash {
        /// The object.
        judged: Box<StorageMetadata>,
        /// The present moment.
        now: Timestamp,
        /// When it goes for good.
        until: Timestamp,
        /// Which policy wants that.
        by: String,
    },
    /// Takes it out of the trash.
    TakeOut,
    /// Deletes it from the trash.
    Purge {
        /// Only if its time is over at this moment.
        due: Option<Timestamp>,
    },
    /// Deletes it.
    Delete {
        /// The object.
        judged: Box<StorageMetadata>,
    },
    /// Sets tags.
    Tag {
        /// The object.
        judged: Box<StorageMetadata>,
        /// Its tags from now on.
        tags: Tags,
    },
}
