use serde::{Deserialize, Serialize};

use crate::object::{Digest, StorageMetadata};

/// An object of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// As it is stored: size and checksum are of the stored bytes.
    #[serde(flatten)]
    pub(super) metadata: StorageMetadata,
    /// Its bytes, in order.
    pub(super) chunks: Vec<Chunk>,
}

/// Some of an object's bytes: their digest and how many they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Chunk(pub(super) Digest, pub(super) u64);

impl Entry {
    /// Whether an object's bytes are the ones of this entry. A write has an etag of its own; and when a layer writes an
    /// object anew with other keys, etag and size stay, and the checksum does not.
    pub(super) fn has_bytes_of(&self, object: &StorageMetadata) -> bool {
        let StorageMetadata { etag, size, checksum, .. } = &self.metadata;
        (etag, size, checksum) == (&object.etag, &object.size, &object.checksum)
    }
}
