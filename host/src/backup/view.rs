use std::collections::VecDeque;
use std::fmt;
use std::ops::{Bound, Range};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use parking_lot::Mutex;

use super::entry::{Chunk, Entry};
use super::pages::{self, PageRef};
use super::record::BackupRecord;
use super::repository::Repository;
use crate::error::{Error, Result};
use crate::object::{Body, ByteRange, Digest, Key, Object, StorageMetadata};
use crate::provider::{ListQuery, Objects, Page, ReadOnly, StorageProvider};

/// The objects of a backup, as they are stored.
pub struct Backup {
    repository: Repository,
    pages: Vec<PageRef>,
    /// The pages that were read last, by their place in the list; held to look and to change, never over an await.
    recent: Mutex<VecDeque<(usize, Arc<Vec<Entry>>)>>,
}

/// How many pages are remembered: readers go through them in order, a few at a time.
const RECENT: usize = 4;
/// Up to so many bytes are returned in one piece.
const WHOLE: u64 = 1024 * 1024;
/// How many chunks of an object are fetched at a time.
const AHEAD: usize = 2;

impl Backup {
    /// Opens a backup as a provider that can only be read.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the list of its pages is damaged; those of the repository's store.
    pub async fn open(repository: &Repository, record: &BackupRecord) -> Result<Arc<dyn StorageProvider>> {
        let pages = pages::read(repository, &record.pages).await?;
        let backup = Self { repository: repository.clone(), pages, recent: Mutex::default() };
        Ok(Arc::new(ReadOnly(backup)))
    }

    /// The page at this place.
    async fn page(&self, place: usize) -> Result<Arc<Vec<Entry>>> {
        let found = self.recent.lock().iter().find(|(at, _)| *at == place).map(|(_, page)| Arc::clone(page));
        if let Some(page) = found {
            return Ok(page);
        }
        let page = Arc::new(pages::read::<Entry>(&self.repository, &self.pages[place].page).await?);
        let mut recent = self.recent.lock();
        recent.push_back((place, Arc::clone(&page)));
        if recent.len() > RECENT {
            recent.pop_front();
        }
        Ok(page)
    }

    /// The place of the page in which this key is, if it is in one.
    fn place_of(&self, key: &str) -> Option<usize> {
        self.pages.partition_point(|page| page.first.as_str() <= key).checked_sub(1)
    }

    async fn find(&self, key: &Key) -> Result<Entry> {
        let missing = || Error::not_found(key);
        let page = self.page(self.place_of(key.as_str()).ok_or_else(missing)?).await?;
        let at = page.binary_search_by(|entry| entry.metadata.key.cmp(key)).map_err(|_| missing())?;
        Ok(page[at].clone())
    }
}

#[async_trait]
impl Objects for Backup {
    async fn retrieve(&self, key: &Key, range: Option<ByteRange>) -> Result<Object> {
        let Entry { metadata, chunks } = self.find(key).await?;
        let whole = range.is_none();
        let range = range.map_or(Ok(0..metadata.size), |range| range.resolve(metadata.size))?;
        let repository = self.repository.clone();
        let parts = parts(chunks, range.clone()).into_iter().map(move |(digest, part)| {
            let repository = repository.clone();
            async move { cut(repository.get(&digest).await?, part) }
        });
        let size = range.end - range.start;
        let checksum = whole.then_some(metadata.checksum);
        let body = Body::stream(stream::iter(parts).buffered(AHEAD));
        let mut body = body.verified(size, checksum, format!("the object \u{2018}{key}\u{2019}"));
        if size <= WHOLE {
            body = Body::Bytes(body.collect(size).await?);
        }
        Ok(Object { metadata: metadata.into(), range, body })
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        let limit = query.limit.clamp(1, ListQuery::MAX_LIMIT);
        let start = query.start();
        let (Bound::Included(from) | Bound::Excluded(from)) = start else {
            return Err(Error::internal("a listing starts somewhere"));
        };
        let mut objects = Vec::new();
        for place in self.place_of(from).unwrap_or(0)..self.pages.len() {
            for entry in self.page(place).await?.iter() {
                let key = entry.metadata.key.as_str();
                let is_before = if matches!(start, Bound::Excluded(_)) { key <= from } else { key < from };
                if is_before {
                    continue;
                }
                if !key.starts_with(&query.prefix) {
                    return Ok(Page { objects, more: false });
                }
                if objects.len() == limit {
                    return Ok(Page { objects, more: true });
                }
                objects.push(entry.metadata.clone());
            }
        }
        Ok(Page { objects, more: false })
    }

    async fn metadata(&self, key: &Key) -> Result<StorageMetadata> {
        Ok(self.find(key).await?.metadata)
    }
}

/// Which of the bytes of which chunks the range has.
fn parts(chunks: Vec<Chunk>, range: Range<u64>) -> Vec<(Digest, Range<u64>)> {
    let mut start = 0;
    let mut parts = Vec::new();
    for Chunk(digest, size) in chunks {
        let (from, to) = (range.start.max(start), range.end.min(start + size));
        if from < to {
            parts.push((digest, from - start..to - start));
        }
        start += size;
    }
    parts
}

fn cut(chunk: Bytes, part: Range<u64>) -> Result<Bytes> {
    if part.end > chunk.len() as u64 {
        return Err(Error::corrupt("a chunk in the repository is shorter than its object says"));
    }
    // Both ends are within the chunk, whose length is a usize.
    Ok(chunk.slice(part.start as usize..part.end as usize))
}

impl fmt::Debug for Backup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backup").field("pages", &self.pages.len()).finish_non_exhaustive()
    }
}
