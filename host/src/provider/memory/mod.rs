//! The built-in memory provider.

mod due;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::RwLock;

use self::due::DueTable;
use super::{Condition, DueIndex, ListQuery, Objects, Page, ReadOnly, StorageProvider, StoreOptions, Usage, Version};
use crate::error::{Error, Result};
use crate::object::{AttributeChanges, Body, ByteRange, Checksum, ETag, Key, Object, StorageMetadata};

/// Keeps objects in memory, for as long as it lives.
///
/// Reading shares the stored bytes without copying them. A body that comes as a stream is collected first, so an object
/// costs its size in memory from the moment its writing begins.
#[derive(Default)]
pub struct MemoryStorageProvider {
    /// Guards all objects; held for a look-up or a change, never while a body is read or an await is pending.
    shelf: RwLock<Shelf>,
}

#[derive(Default)]
struct Shelf {
    objects: BTreeMap<Key, Entry>,
    /// The sum of the sizes of `objects`.
    bytes: u64,
    /// How many changes of objects there were; the version of an object is the number of its last.
    changes: i64,
    /// How many indexes of what is due were begun.
    indexes: i64,
    /// The index of what is due, if one is kept.
    due: Option<DueTable>,
}

#[derive(Clone)]
struct Entry {
    metadata: Arc<StorageMetadata>,
    bytes: Bytes,
    version: Version,
}

impl MemoryStorageProvider {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Shelf {
    fn get(&self, key: &Key) -> Result<&Entry> {
        self.objects.get(key).ok_or_else(|| Error::not_found(key))
    }

    /// The version of an object that is being changed, which is due with that.
    fn next_version(&mut self, key: &Key) -> Version {
        if let Some(due) = &mut self.due {
            due.is_due(key);
        }
        self.changes += 1;
        Version(self.changes)
    }
}

#[async_trait]
impl StorageProvider for MemoryStorageProvider {
    async fn store(&self, key: &Key, body: Body, options: StoreOptions) -> Result<StorageMetadata> {
        let bytes = body.collect(u64::MAX).await?;
        let checksum = Checksum::of(&bytes);
        let size = bytes.len() as u64;

        let mut shelf = self.shelf.write();
        let previous = shelf.objects.get(key).map(|entry| &*entry.metadata);
        options.condition.check(key, previous.map(|previous| &previous.etag))?;
        let metadata = options.into_metadata(key.clone(), size, checksum, previous);
        let freed = previous.map_or(0, |previous| previous.size);
        shelf.bytes = shelf.bytes - freed + size;
        let version = shelf.next_version(key);
        let entry = Entry { metadata: Arc::new(metadata.clone()), bytes, version };
        let replaced = shelf.objects.insert(key.clone(), entry);
        drop(shelf);
        drop(replaced);
        Ok(metadata)
    }

    async fn retrieve(&self, key: &Key, range: Option<ByteRange>) -> Result<Object> {
        let shelf = self.shelf.read();
        let Entry { metadata, bytes, .. } = shelf.get(key)?;
        let range = range.map_or(Ok(0..metadata.size), |range| range.resolve(metadata.size))?;
        // Both ends are within `bytes`, whose length is a usize.
        let part = bytes.slice(range.start as usize..range.end as usize);
        Ok(Object { metadata: Arc::clone(metadata), range, body: Body::Bytes(part) })
    }

    async fn delete(&self, key: &Key, if_match: Option<&ETag>) -> Result<()> {
        let mut shelf = self.shelf.write();
        Condition::from(if_match).check(key, Some(&shelf.get(key)?.metadata.etag))?;
        let removed = shelf.objects.remove(key);
        shelf.bytes -= removed.as_ref().map_or(0, |entry| entry.metadata.size);
        if let Some(due) = &mut shelf.due {
            due.remove(key);
        }
        drop(shelf);
        drop(removed);
        Ok(())
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        let limit = query.limit.clamp(1, ListQuery::MAX_LIMIT);
        let shelf = self.shelf.read();
        let mut behind = shelf
            .objects
            .range::<str, _>((query.start(), Bound::Unbounded))
            .take_while(|(key, _)| key.as_str().starts_with(&query.prefix))
            .map(|(_, entry)| &*entry.metadata);
        let objects = behind.by_ref().take(limit).cloned().collect();
        Ok(Page { objects, more: behind.next().is_some() })
    }

    async fn metadata(&self, key: &Key) -> Result<StorageMetadata> {
        Ok(StorageMetadata::clone(&self.shelf.read().get(key)?.metadata))
    }

    async fn update(&self, key: &Key, changes: AttributeChanges, if_match: Option<&ETag>) -> Result<StorageMetadata> {
        let mut shelf = self.shelf.write();
        Condition::from(if_match).check(key, Some(&shelf.get(key)?.metadata.etag))?;
        let next = shelf.next_version(key);
        let Entry { metadata, version, .. } = shelf.objects.get_mut(key).ok_or_else(|| Error::not_found(key))?;
        *version = next;
        let metadata = Arc::make_mut(metadata);
        metadata.attributes.apply(changes);
        Ok(metadata.clone())
    }

    async fn usage(&self) -> Result<Usage> {
        let shelf = self.shelf.read();
        Ok(Usage { objects: shelf.objects.len() as u64, bytes: shelf.bytes })
    }

    /// Costs a look at every object, and shares their bytes.
    async fn snapshot(&self) -> Result<Arc<dyn StorageProvider>> {
        let shelf = self.shelf.read();
        let taken = Shelf { objects: shelf.objects.clone(), bytes: shelf.bytes, ..Shelf::default() };
        drop(shelf);
        Ok(Arc::new(ReadOnly(Self { shelf: RwLock::new(taken) })))
    }

    fn due_index(self: Arc<Self>) -> Option<Arc<dyn DueIndex>> {
        Some(self)
    }
}

/// As it is; a snapshot is one that nobody else has.
#[async_trait]
impl Objects for MemoryStorageProvider {
    async fn retrieve(&self, key: &Key, range: Option<ByteRange>) -> Result<Object> {
        StorageProvider::retrieve(self, key, range).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        StorageProvider::list(self, query).await
    }

    async fn metadata(&self, key: &Key) -> Result<StorageMetadata> {
        StorageProvider::metadata(self, key).await
    }
}

impl fmt::Debug for MemoryStorageProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shelf = self.shelf.read();
        f.debug_struct("MemoryStorageProvider")
            .field("objects", &shelf.objects.len())
            .field("bytes", &shelf.bytes)
            .finish()
    }
}
