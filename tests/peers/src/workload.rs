use anyhow::{Result, ensure};
use bytes::Bytes;
use larder::cache::{Batch, EntryId};
use larder::object::{Body, Checksum, Key, Object, StorageMetadata};
use larder::provider::StoreOptions;

/// Objects of one size, which every side stores and retrieves in turn.
#[derive(Debug)]
pub(crate) struct Objects {
    pub(crate) keys: Vec<Key>,
    pub(crate) body: Bytes,
    pub(crate) checksum: Checksum,
    pub(crate) options: StoreOptions,
}

impl Objects {
    /// A thousand objects of `size` bytes, or as many as 8 MiB hold.
    ///
    /// # Errors
    /// None: the keys are keys.
    pub(crate) fn new(size: usize) -> Result<Self> {
        let count = ((8 << 20) / size).min(1000);
        // They differ at their beginning: comparing keys is work of the guests, and not what is measured.
        let keys = (0..count).map(|number| Key::new(format!("{number:04}/bench/{size}")));
        let body: Bytes = (0..size).map(|position| (position * 31) as u8).collect();
        Ok(Self {
            keys: keys.collect::<Result<_, _>>()?,
            checksum: Checksum::of(&body),
            body,
            options: StoreOptions::default(),
        })
    }

    pub(crate) fn key(&self, turn: u64) -> &Key {
        &self.keys[turn as usize % self.keys.len()]
    }

    /// What storing one must return.
    pub(crate) fn metadata(&self, key: &Key) -> StorageMetadata {
        self.options.clone().into_metadata(key.clone(), self.body.len() as u64, self.checksum, None)
    }

    /// Sees to it that a side does what it is measured at.
    ///
    /// # Errors
    /// If what came back is not what was stored.
    pub(crate) fn check(&self, key: &Key, stored: &StorageMetadata, retrieved: &Object) -> Result<()> {
        let wanted = self.metadata(key);
        ensure!(*stored == wanted, "stored {wanted:?}, and was told {stored:?}");
        ensure!(*retrieved.metadata == wanted, "stored {wanted:?}, and found {:?}", retrieved.metadata);
        ensure!(
            matches!(&retrieved.body, Body::Bytes(bytes) if *bytes == self.body),
            "the bytes of {key:?} are not those that were stored"
        );
        Ok(())
    }
}

/// How many ids a batch has.
pub(crate) const IDS: u32 = 1000;

fn ids() -> Vec<u64> {
    (0..IDS).map(|slot| EntryId::new(slot, 7).0).collect()
}

/// The entries come in.
pub(crate) fn inserts() -> Batch {
    Batch { inserted: ids(), hashes: ids(), weights: vec![1; IDS as usize], ..Batch::default() }
}

/// Every entry is read once.
pub(crate) fn reads() -> Batch {
    Batch { accessed: ids(), ..Batch::default() }
}
