use std::sync::Arc;

use bytes::Bytes;

use crate::object::{Key, StorageMetadata};

/// A whole object in memory. Cloning shares metadata and bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheEntry {
    /// What is known of the object.
    pub metadata: Arc<StorageMetadata>,
    /// All of its bytes.
    pub bytes: Bytes,
}

/// What an entry takes beside its texts and bytes, in bytes: metadata (about 150), the reference counts and allocator
/// headers of its five allocations, and its place in the engine's slots and index. Counted from the types' sizes on a
/// 64-bit machine, and rounded up.
const OVERHEAD: u64 = 400;
/// What a place in the engine's slots and index takes, with the reference counts of the key.
const PLACE: u64 = 150;
/// What a node of a map takes per pair beside the texts.
const PAIR_OVERHEAD: u64 = 64;

impl CacheEntry {
    /// How much memory it takes, in bytes.
    pub fn weight(&self) -> u64 {
        let attributes = &self.metadata.attributes;
        let pairs = attributes.tags.iter().chain(attributes.user_metadata.iter());
        let texts: u64 = pairs.map(|(name, value)| (name.len() + value.len()) as u64 + PAIR_OVERHEAD).sum();
        let content_type = attributes.content_type.as_ref().map_or(0, String::len);
        let own = self.bytes.len() + self.metadata.key.as_str().len() + content_type;
        OVERHEAD + own as u64 + texts
    }

    /// How much memory it takes to remember that there is none under a key, in bytes.
    pub(super) fn weight_of_none(key: &Key) -> u64 {
        PLACE + key.as_str().len() as u64
    }
}
