use std::sync::Arc;
use std::time::Instant;

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
}

/// An entry in an engine, weighed once.
#[derive(Clone, Debug)]
pub(super) struct Resident {
    pub(super) entry: CacheEntry,
    pub(super) weight: u64,
    pub(super) expires_at: Option<Instant>,
}

impl Resident {
    pub(super) fn key(&self) -> &Key {
        &self.entry.metadata.key
    }

    /// Whether its time is over. The clock is read only if it has one.
    pub(super) fn is_expired(&self) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= Instant::now())
    }
}
