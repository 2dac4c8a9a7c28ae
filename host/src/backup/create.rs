use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::vec;

use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::Semaphore;

use super::chunks::{self, Chunks};
use super::entry::{Chunk, Entry};
use super::known::Known;
use super::lease::{Lease, Use};
use super::pages::PageWriter;
use super::record::BackupRecord;
use super::repository::Repository;
use super::{CONCURRENT, CONCURRENT_LARGE, Failed, Watch};
use crate::error::{Error, Result};
use crate::object::{Checksum, StorageMetadata, StoreName, now};
use crate::provider::layers::Archived;
use crate::provider::{ListQuery, StorageProvider};

/// What a backup reads of its store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// The objects that changed since the last backup of it.
    #[default]
    Changed,
    /// All objects; and what the repository has of them, which is stored anew if it is damaged.
    All,
}

/// Backs a store up: all objects as of this moment, if its provider can show them so; otherwise each as it is when it is
/// read. Objects that are [`Error::Corrupt`], or that can not be read where they are archived, are left out, and `watch` hears of them; others go on.
///
/// What was written of a backup that did not come to its end is of use for the next one.
///
/// # Errors
/// Those of the store and of the repository's; [`Error::Unavailable`] if backups are removed for longer than it waits. There
/// is no such backup then.
pub async fn create(
    repository: &Repository,
    name: &StoreName,
    store: &Arc<dyn StorageProvider>,
    reading: Reading,
    watch: &dyn Watch,
) -> Result<BackupRecord> {
    let lease = repository.lease(Use::Add).await?;
    let made = make(repository, name, store, reading, watch, lease.as_ref()).await;
    if let Some(lease) = lease {
        lease.release().await;
    }
    made
}

async fn make(
    repository: &Repository,
    name: &StoreName,
    store: &Arc<dyn StorageProvider>,
    reading: Reading,
    watch: &dyn Watch,
    lease: Option<&Lease>,
) -> Result<BackupRecord> {
    let last = if reading == Reading::All { None } else { repository.last_of(name).await? };
    let known = match &last {
        Some(last) => Known::of(repository, last).await?,
        None => Known::nothing(repository),
    };
    let (id, taken_at) = (Repository::new_id(), now());
    let (source, of_one_moment) = match store.snapshot().await {
        Ok(snapshot) => (snapshot, true),
        Err(Error::Unsupported { .. }) => (Arc::clone(store), false),
        Err(error) => return Err(error),
    };
    let work = Work {
        source: &*source,
        of_one_moment,
        repository,
        reading,
        watch,
        large: Semaphore::new(CONCURRENT_LARGE),
        read: AtomicU64::new(0),
        added: AtomicU64::new(0),
        left_out: AtomicU64::new(0),
    };
    let (mut objects, mut bytes) = (0, 0);
    let mut pages = PageWriter::new(repository);
    let mut entries = pin!(work.listing(known).map(|listed| work.entry(listed)).buffered(CONCURRENT));
    while let Some(entry) = entries.try_next().await? {
        let Some(entry) = entry else { continue };
        objects += 1;
        bytes += entry.metadata.size;
        watch.done(entry.metadata.size);
        pages.push(entry).await?;
    }
    let list = pages.finish().await?;
    let [read, added, left_out] = [&work.read, &work.added, &work.left_out].map(|count| count.load(Ordering::Relaxed));
    let record = BackupRecord {
        format: BackupRecord::FORMAT,
        id,
        store: name.clone(),
        taken_at,
        ended_at: now(),
        of_one_moment,
        objects,
        bytes,
        left_out,
        read,
        added: added + pages.added,
        pages: list,
    };
    // Without it somebody may have removed what the backup needs.
    if let Some(lease) = lease {
        lease.check().await?;
    }
    repository.finish(&record).await?;
    Ok(record)
}

struct Work<'a> {
    source: &'a dyn StorageProvider,
    of_one_moment: bool,
    repository: &'a Repository,
    reading: Reading,
    watch: &'a dyn Watch,
    /// Held while an object is read that comes in pieces.
    large: Semaphore,
    read: AtomicU64,
    added: AtomicU64,
    left_out: AtomicU64,
}

/// Whether an object is left out because of an error: it is damaged, or archived and not to be read from there.
fn is_unreadable(object: &StorageMetadata, error: &Error) -> bool {
    match error {
        Error::Corrupt { .. } => true,
        Error::PermissionDenied { .. } => Archived::of(object).is_some(),
        _ => false,
    }
}

/// An object, and what the last backup says of it.
type Listed = (StorageMetadata, Option<Entry>);

/// Where a listing is.
struct Listing<'a> {
    query: ListQuery,
    page: vec::IntoIter<StorageMetadata>,
    more: bool,
    known: Known<'a>,
}

impl<'a> Work<'a> {
    fn listing(&self, known: Known<'a>) -> impl stream::Stream<Item = Result<Listed>> {
        let listing = Listing { query: ListQuery::all(), page: Vec::new().into_iter(), more: true, known };
        stream::try_unfold(listing, async |mut listing| {
            loop {
                // A snapshot also shows what the host probes the store with.
                if let Some(object) = listing.page.find(|object| !object.key.is_reserved()) {
                    let known = listing.known.at(&object.key).await?;
                    return Ok(Some(((object, known), listing)));
                }
                if !listing.more {
                    return Ok(None);
                }
                let page = self.source.list(&listing.query).await?;
                self.watch.expect(page.objects.len() as u64, page.objects.iter().map(|object| object.size).sum());
                listing.more = page.more;
                listing.query.start_after = page.next().map(|last| last.as_str().to_owned());
                listing.page = page.objects.into_iter();
            }
        })
    }

    /// The entry of an object, whose bytes the repository then has; `None` if it is left out.
    async fn entry(&self, listed: Result<Listed>) -> Result<Option<Entry>> {
        let (object, known) = listed?;
        if let Some(known) = known.filter(|known| known.has_bytes_of(&object)) {
            // Attributes change without the bytes.
            return Ok(Some(Entry { metadata: object, chunks: known.chunks }));
        }
        match self.back_up(&object).await {
            Err(Error::NotFound { .. }) if !self.of_one_moment => Ok(None),
            Err(error) if is_unreadable(&object, &error) => {
                self.left_out.fetch_add(1, Ordering::Relaxed);
                self.watch.failed(Failed::Object(&object.key), &error);
                Ok(None)
            }
            entry => entry.map(Some),
        }
    }

    async fn back_up(&self, listed: &StorageMetadata) -> Result<Entry> {
        let _permit = if listed.size as usize > chunks::MAX / 2 { self.large.acquire().await.ok() } else { None };
        let object = self.source.retrieve(&listed.key, None).await?;
        let metadata = StorageMetadata::clone(&object.metadata);
        let (mut cut, mut found) = (Chunks::of(object.body.into_stream()), Vec::new());
        let mut checksum = Checksum::hasher();
        while let Some((digest, chunk)) = cut.next().await? {
            checksum.update(&chunk);
            let size = chunk.len() as u64;
            let new = match self.reading {
                Reading::Changed => self.repository.put(&digest, chunk).await?,
                Reading::All => self.repository.put_anew(&digest, chunk).await?,
            };
            if new {
                self.added.fetch_add(size, Ordering::Relaxed);
            }
            found.push(Chunk(digest, size));
        }
        if (checksum.size(), checksum.finish()) != (metadata.size, metadata.checksum) {
            let key = &metadata.key;
            return Err(Error::corrupt(format!("the bytes of \u{2018}{key}\u{2019} do not have their checksum")));
        }
        self.read.fetch_add(1, Ordering::Relaxed);
        Ok(Entry { metadata, chunks: found })
    }
}
