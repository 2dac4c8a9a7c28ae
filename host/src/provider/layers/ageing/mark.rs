use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::object::{Checksum, ETag, StorageMetadata, StoreName, Timestamp, UserMetadata};

/// What the layer writes into an object's user metadata.
pub(super) trait Mark: Serialize + DeserializeOwned {
    /// The name that it stands under.
    const NAME: &'static str;

    /// The mark of an object, if it has one that can be read.
    fn of(object: &StorageMetadata) -> Option<Self> {
        let text = object.attributes.user_metadata.get(Self::NAME)?;
        serde_json::from_str(text).ok()
    }

    /// Puts the mark among others.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if there is no room.
    fn put(&self, user_metadata: &mut UserMetadata) -> Result<()> {
        let text = serde_json::to_string(self).map_err(|error| Error::internal(error.to_string()))?;
        user_metadata.set_of_host(Self::NAME, &text)
    }
}

/// Says of an object without bytes that its bytes lie in the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archived {
    /// How many bytes the object has.
    pub size: u64,
    /// Their checksum.
    pub checksum: Checksum,
    /// The object's etag.
    pub etag: ETag,
    /// The etag of the copy in the archive.
    pub copy: ETag,
    /// Since when it is archived.
    pub at: Timestamp,
}

/// Says of an object that it was deleted by a policy, and can be restored for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trashed {
    /// When it was deleted.
    pub at: Timestamp,
    /// When it goes for good.
    pub until: Timestamp,
    /// Which policy wanted that.
    pub by: String,
}

/// Says of an object that it was brought back from the archive, and stays for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// Until when it is not archived again.
    pub until: Timestamp,
}

/// Says of an object in an archive whose copy it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    pub(super) store: StoreName,
    pub(super) etag: ETag,
}

impl Mark for Archived {
    const NAME: &'static str = "larder-layer-archived";
}

impl Mark for Trashed {
    const NAME: &'static str = "larder-layer-trashed";
}

impl Mark for Restored {
    const NAME: &'static str = "larder-layer-restored";
}

impl Mark for Origin {
    const NAME: &'static str = "larder-layer-origin";
}

impl Archived {
    /// Where and since when an object's bytes are archived, if they are.
    pub fn of(object: &StorageMetadata) -> Option<Self> {
        Mark::of(object)
    }
}

impl Trashed {
    /// When and why an object was put into the trash, if it was.
    pub fn of(object: &StorageMetadata) -> Option<Self> {
        Mark::of(object)
    }

    /// Whether an object is in the trash.
    pub fn is_mark_of(object: &StorageMetadata) -> bool {
        object.attributes.user_metadata.get(Self::NAME).is_some()
    }
}

impl Restored {
    /// How long an object stays that was brought back from the archive, if it was.
    pub fn of(object: &StorageMetadata) -> Option<Self> {
        Mark::of(object)
    }
}

/// The marks of an object in a store, which its writers can not set.
pub(super) const OWN: [&str; 3] = [Archived::NAME, Trashed::NAME, Restored::NAME];

/// Takes out the marks of another object, of which this is a copy.
pub(super) fn remove_marks(user_metadata: &mut UserMetadata) {
    for mark in OWN {
        user_metadata.remove(mark);
    }
}
