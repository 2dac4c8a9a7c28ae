//! The built-in file provider. What lies where is written down in `host/docs/file-format.md`.

mod body;
mod check;
mod closed;
mod due;
mod durability;
mod fault;
mod index;
mod layout;
mod pins;
mod reaper;
mod rebuild;
mod replacement;
mod snapshot;
mod space;

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use rusqlite::Connection;

use self::body::{BodyReader, BodyWriter};
pub use self::check::check;
pub use self::durability::Durability;
use self::index::{Change, Located, Log, Place, Readers, Value, Writer};
use self::layout::{Generation, Layout};
use self::pins::Pins;
use self::reaper::{Reaper, ReaperThread, Temporary};
pub use self::rebuild::{OldIndex, RebuildReport, plan_rebuild, rebuild};
use self::snapshot::Snapshot;
pub use self::space::{Space, space};
use super::{CheckReport, DueIndex, ListQuery, Page, ReadOnly, StorageProvider, StoreOptions, Usage, Watch};
use crate::error::{Error, Result};
use crate::object::{AttributeChanges, Body, ByteRange, ByteStream, Checksum, ETag, Key, Object, StorageMetadata};

/// The most bytes of an object that lies in the index, where a write costs one sync that it shares with others.
const MAX_INLINED: u64 = 16 * 1024;

/// The most bytes that are returned in one piece, and so found to be whole before the caller hears of them.
const MAX_WHOLE: u64 = 1024 * 1024;

/// How many bytes of a stream are gathered before they are written.
const GATHERED: usize = 256 * 1024;

/// How a [`FileStorageProvider`] works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileOptions {
    /// What outlasts a loss of power.
    pub durability: Durability,
}

/// Keeps objects in a folder.
///
/// An index in SQLite says which objects there are, and its commit is the write; it holds small values itself. Larger
/// bodies lie in files of their own, which are written aside, synced and renamed before the index refers to them, and are
/// never changed after that.
///
/// **Durability:** a write that was acknowledged survives a crash of the process; and a crash of the system and a loss of
/// power as its [`Durability`] says, provided the disk keeps what it says that it has synced. All bytes and all metadata are held against checksums when
/// they are read, ranges too.
///
/// One process at a time may have a folder open. Works on a tokio runtime, whose own threads it does not block; only
/// [`open`](Self::open) and dropping it do.
pub struct FileStorageProvider {
    // Dropped in this order: the readers go, so that the writer is the last to close the index, which empties its log; the
    // last changes are committed; the files that they made needless are removed; and only then another process is let in.
    readers: Arc<Readers>,
    writer: Writer,
    reaper: Reaper,
    _reaper_thread: ReaperThread,
    pins: Arc<Pins>,
    layout: Arc<Layout>,
    options: FileOptions,
    next_generation: AtomicU64,
    lock: Arc<File>,
}

impl FileStorageProvider {
    /// Opens the provider's folder, and makes it if it is not there. Removes what interrupted writes have left, which
    /// takes about a second for each million of objects that are larger than 16 KiB.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it is open already, here or in another process; [`Error::PermissionDenied`] if it can
    /// not be written; [`Error::Exhausted`] if the disk is full; [`Error::InvalidInput`] if the path leads through a
    /// file; [`Error::Unsupported`] if a newer larder wrote it; [`Error::Corrupt`] if the index can not be read.
    pub fn open(base_path: &Path, options: &FileOptions) -> Result<Self> {
        let durability = options.durability;
        let layout = Arc::new(Layout::create(base_path, durability)?);
        let lock = layout.lock()?;
        replacement::finish(&layout)?;
        layout.clear_temporaries()?;
        let index = layout.index();
        let has_bodies = layout.bodies_by_folder()?.next().is_some();
        if durability.syncs_files() {
            // A process that was stopped may have left commits that no disk has yet. What they made needless is removed
            // below, and a loss of power must not bring back the rows that refer to it.
            index::sync_closed(&index)?;
        }
        let connection = index::open(&index, !has_bodies, durability).map_err(|fault| fault.at(&index))?;
        layout.sync_folder(layout.base())?;
        let last = collect_orphans(&connection, &layout)?;

        let log = (durability == Durability::Relaxed).then(|| Log::of(&index)).transpose()?;
        let pins = Arc::<Pins>::default();
        let (reaper, reaper_thread) = Reaper::start(Arc::clone(&pins))?;
        let writer = Writer::start(connection, log, Arc::clone(&layout), reaper.clone())?;
        Ok(Self {
            readers: Arc::new(Readers::new(index)),
            writer,
            reaper,
            _reaper_thread: reaper_thread,
            pins,
            layout,
            options: *options,
            next_generation: AtomicU64::new(last.0 + 1),
            lock: Arc::new(lock),
        })
    }

    fn next_generation(&self) -> Generation {
        Generation(self.next_generation.fetch_add(1, Ordering::Relaxed))
    }

    async fn take_snapshot(&self) -> Result<Snapshot> {
        let (layout, pin, lock) = (Arc::clone(&self.layout), self.pins.pin(), Arc::clone(&self.lock));
        blocking(move || Snapshot::take(layout, pin, lock)).await
    }

    /// Writes a body to a file, as `first` and then `rest`.
    async fn write_body(
        &self,
        generation: Generation,
        key: &Key,
        first: Vec<Bytes>,
        mut rest: ByteStream,
        options: &StoreOptions,
    ) -> Result<(Place, u64, Checksum)> {
        // Whoever can not win need not send all of the body. Others may still lose when it is committed.
        let wanted = key.clone();
        let previous = self.readers.read(move |connection| Located::find(connection, &wanted)).await?;
        let previous = previous.map(|previous| previous.metadata);
        options.condition.check(key, previous.as_ref().map(|previous| &previous.etag))?;

        let temporary = Temporary::new(self.layout.temporary(generation), self.reaper.clone());
        let durability = self.options.durability;
        let mut writer = blocking(move || BodyWriter::create(temporary, durability)).await?;
        let mut pieces = first;
        while !pieces.is_empty() {
            let writing = blocking(move || {
                pieces.iter().try_for_each(|piece| writer.write(piece))?;
                Ok(writer)
            });
            let next = gather(&mut rest).await;
            writer = writing.await?;
            pieces = next?;
        }
        let (key, options, layout) = (key.clone(), options.clone(), Arc::clone(&self.layout));
        let (body, size, checksum) = blocking(move || {
            layout.prepare(generation)?;
            writer.finish(generation, |size, checksum| options.into_metadata(key, size, checksum, previous.as_ref()))
        })
        .await?;
        Ok((Place::File(body), size, checksum))
    }
}

#[async_trait]
impl StorageProvider for FileStorageProvider {
    async fn store(&self, key: &Key, body: Body, options: StoreOptions) -> Result<StorageMetadata> {
        let generation = self.next_generation();
        let mut rest = body.into_stream();
        let first = gather(&mut rest).await?;
        let gathered: u64 = first.iter().map(|piece| piece.len() as u64).sum();
        let (place, size, checksum) = if gathered <= MAX_INLINED {
            let bytes = join(first);
            let checksum = Checksum::of(&bytes);
            (Place::Inline(bytes), gathered, checksum)
        } else {
            self.write_body(generation, key, first, rest, &options).await?
        };
        self.writer.change(Change::Store { key: key.clone(), options, size, checksum, generation, place }).await
    }

    async fn retrieve(&self, key: &Key, range: Option<ByteRange>) -> Result<Object> {
        let mut missing = None;
        loop {
            let (layout, wanted) = (Arc::clone(&self.layout), key.clone());
            let found = self.readers.read(move |connection| find(connection, &layout, &wanted, range)).await?;
            match found {
                Found::Object(object) => return Ok(object),
                // Replaced or deleted between the look into the index and the look into its file; or lost.
                Found::NoFile(generation) if missing != Some(generation) => missing = Some(generation),
                Found::NoFile(generation) => return Err(lost(key, &self.layout.body(generation))),
            }
        }
    }

    async fn delete(&self, key: &Key, if_match: Option<&ETag>) -> Result<()> {
        self.writer.change(Change::Delete { key: key.clone(), if_match: if_match.cloned() }).await.map(drop)
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        let query = query.clone();
        self.readers.read(move |connection| Located::list(connection, &query)).await
    }

    async fn metadata(&self, key: &Key) -> Result<StorageMetadata> {
        let wanted = key.clone();
        let found = self.readers.read(move |connection| Located::find(connection, &wanted)).await?;
        found.map(|found| found.metadata).ok_or_else(|| Error::not_found(key))
    }

    async fn update(&self, key: &Key, changes: AttributeChanges, if_match: Option<&ETag>) -> Result<StorageMetadata> {
        self.writer.change(Change::Update { key: key.clone(), changes, if_match: if_match.cloned() }).await
    }

    async fn usage(&self) -> Result<Usage> {
        self.readers.read(index::usage).await
    }

    async fn snapshot(&self) -> Result<Arc<dyn StorageProvider>> {
        Ok(Arc::new(ReadOnly(self.take_snapshot().await?)))
    }

    fn due_index(self: Arc<Self>) -> Option<Arc<dyn DueIndex>> {
        Some(self)
    }

    /// Also whether the index is whole, and has a file for each body that it refers to, as of one moment. What a crash
    /// leaves behind was cleared away when the folder was opened.
    async fn check(&self, watch: Arc<dyn Watch>) -> Result<CheckReport> {
        let snapshot = self.take_snapshot().await?;
        blocking(move || snapshot.check(&*watch)).await
    }

    async fn check_index(&self) -> Result<()> {
        let index = self.layout.index();
        match &*self.readers.read(index::damage).await? {
            [] => Ok(()),
            [first, more @ ..] => {
                let more = if more.is_empty() { String::new() } else { format!(", and {} more", more.len()) };
                Err(Error::corrupt(format!(
                    "the index \u{2018}{}\u{2019}: {first}{more}; stop the host, and see `larder store check`",
                    index.display()
                )))
            }
        }
    }
}

impl fmt::Debug for FileStorageProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStorageProvider").field("folder", &self.layout.base()).finish_non_exhaustive()
    }
}

enum Found {
    Object(Object),
    /// The index names this file, and it is not there.
    NoFile(Generation),
}

fn find(connection: &Connection, layout: &Layout, key: &Key, range: Option<ByteRange>) -> Result<Found, fault::Fault> {
    let (located, value) = Located::find_with_value(connection, key)?.ok_or_else(|| Error::not_found(key))?;
    Ok(found(layout, located, value, range)?)
}

fn found(layout: &Layout, located: Located, value: Value, range: Option<ByteRange>) -> Result<Found> {
    let Located { metadata, generation, .. } = located;
    let range = range.map_or(Ok(0..metadata.size), |range| range.resolve(metadata.size))?;
    let body = match value {
        // Both ends are within the value, whose length is a usize.
        Value::Inlined(bytes) => Body::Bytes(bytes.slice(range.start as usize..range.end as usize)),
        Value::InFile => {
            let opened = BodyReader::open(&layout.body(generation), generation, &metadata)?;
            let Some(mut reader) = opened else { return Ok(Found::NoFile(generation)) };
            if range.end - range.start <= MAX_WHOLE {
                Body::Bytes(reader.read(range.clone())?)
            } else {
                body::stream(reader, range.clone())
            }
        }
    };
    Ok(Found::Object(Object { metadata: metadata.into(), range, body }))
}

/// Whether a folder is one that a [`FileStorageProvider`] keeps objects in.
pub fn is_store(base_path: &Path) -> bool {
    Layout::existing(base_path).index().exists()
}

/// Why an object can not be read whose file is not there.
fn lost(key: &Key, path: &Path) -> Error {
    Error::corrupt(format!(
        "the object \u{2018}{key}\u{2019} has lost its file \u{2018}{}\u{2019}: store it again",
        path.display()
    ))
}

/// Removes bodies that the index does not know: of writes that did not come to an end, and of objects that were replaced
/// or deleted just before the last end. Returns the greatest generation there ever was, as far as can be seen.
fn collect_orphans(connection: &Connection, layout: &Layout) -> Result<Generation> {
    let index = layout.index();
    let mut last = index::last_generation(connection).map_err(|fault| fault.at(&index))?;
    for folder in layout.bodies_by_folder()? {
        let folder = folder?;
        let Some(range) = folder.range() else { continue };
        last = last.max(*range.end());
        let known = index::body_generations(connection, range).map_err(|fault| fault.at(&index))?;
        for orphan in folder.generations.iter().filter(|generation| !known.contains(generation)) {
            let path = layout.body(*orphan);
            std::fs::remove_file(&path).map_err(|error| fault::of_io(&error, "could not remove", &path))?;
        }
        if known.is_empty() {
            // It stays if something else is in it.
            let _ = std::fs::remove_dir(&folder.path);
        }
    }
    Ok(last)
}

/// The next pieces of a body, together about as much as is worth a write of its own; none at its end.
async fn gather(rest: &mut ByteStream) -> Result<Vec<Bytes>> {
    let mut pieces = Vec::new();
    let mut size = 0;
    while size < GATHERED {
        let Some(piece) = rest.try_next().await? else { break };
        if !piece.is_empty() {
            size += piece.len();
            pieces.push(piece);
        }
    }
    Ok(pieces)
}

fn join(mut pieces: Vec<Bytes>) -> Bytes {
    match pieces.len() {
        0 | 1 => pieces.pop().unwrap_or_default(),
        _ => pieces.concat().into(),
    }
}

/// Runs a function that blocks on a thread made for that; it starts at once, and ends even if nobody waits for it.
fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> impl Future<Output = Result<T>> + Send {
    let running = tokio::task::spawn_blocking(work);
    async { running.await.unwrap_or_else(|error| Err(Error::internal(format!("work on files has ended: {error}")))) }
}

#[cfg(test)]
mod tests;
