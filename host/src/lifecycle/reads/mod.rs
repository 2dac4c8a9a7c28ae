//! When objects were last read, where somebody wants to know.
//!
//! A read is noted in [memory](Table), by the minute, and written to a [file](ReadFile) now and then, and when the host stops.
//! What can not be known, because the process was killed before that or more keys were read than there is room for, counts as
//! read: the log has a *floor*, and says of no object that it was last read before that.

mod file;
mod table;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;

use self::file::ReadFile;
use self::table::{Minute, Room, Table};
use crate::error::{Error, Result};
use crate::object::{Key, StorageMetadata, Timestamp};
use crate::provider::layers::Clock;

/// How often what was noted is written down.
const EVERY: Duration = Duration::from_secs(60);

/// When the objects of a store were last read.
///
/// Noting a read takes a lock that is one of many, and memory only for a key that was not read since the last minute or so.
#[derive(Debug)]
pub struct ReadLog {
    noted: Arc<Noted>,
    /// There until it is dropped, and where it is written.
    writer: Option<Writer>,
}

#[derive(Debug)]
struct Writer {
    /// Asks for what was noted to be written now; dropped, it ends the thread.
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread that writes shares with those who read.
struct Noted {
    table: Table,
    /// Held to read or write the file, which is when the table is looked at before and after.
    file: Mutex<ReadFile>,
    /// In milliseconds since 1970; it only rises.
    floor: AtomicI64,
    /// Whether the table should be written soon.
    is_filling: AtomicBool,
    clock: Clock,
}

impl std::fmt::Debug for Noted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Noted").field("floor", &self.floor).finish_non_exhaustive()
    }
}

impl ReadLog {
    /// Opens the log in a file, and makes it if it is not there. One process at a time may.
    ///
    /// # Errors
    /// [`Error::Internal`] if the file can not be made.
    pub fn open(path: &Path, clock: Clock) -> Result<Self> {
        let now = clock();
        let file = ReadFile::open(path, now)?;
        let noted = Arc::new(Noted::new(file, clock));
        let (wake, woken) = mpsc::sync_channel(1);
        let writing = Arc::clone(&noted);
        let thread = thread::Builder::new().name("larder-reads".into()).spawn(move || writing.write_until_end(&woken));
        let thread =
            thread.map_err(|error| Error::internal(format!("could not start the thread that notes reads: {error}")))?;
        Ok(Self { noted, writer: Some(Writer { wake: Some(wake), thread: Some(thread) }) })
    }

    /// The log as another process has written it last, which may have it open; `None` if there is none. For a plan: what is
    /// noted since is not in it.
    pub fn peek(path: &Path, clock: Clock) -> Option<Self> {
        let file = ReadFile::peek(path)?;
        Some(Self { noted: Arc::new(Noted::new(file, clock)), writer: None })
    }

    /// Has no log any more: reads from now on are not noted, so that what it says would not be so.
    ///
    /// # Errors
    /// [`Error::Internal`] if the file can not be removed.
    pub fn remove(path: &Path) -> Result<()> {
        ReadFile::remove(path)
    }

    /// Takes note that an object was read just now.
    pub fn note(&self, key: &Key) {
        let noted = &*self.noted;
        let minute = Minute::ending_after((noted.clock)());
        match noted.table.note(key, minute) {
            Room::Enough => {}
            Room::Filling => {
                if !noted.is_filling.swap(true, Ordering::Relaxed) {
                    self.wake();
                }
            }
            Room::None => {
                noted.floor.fetch_max(minute.end().timestamp_millis(), Ordering::Relaxed);
            }
        }
    }

    /// Forgets an object that is not there any more.
    pub fn forget(&self, key: &Key) {
        self.noted.table.forget(key);
    }

    /// When objects were last read, or written if that is later; in the order of the objects, and as far as is known, which
    /// may be later than it was and is never earlier.
    pub async fn last_reads(&self, objects: &[StorageMetadata]) -> Vec<Timestamp> {
        let now = (self.noted.clock)();
        let keys: Vec<Key> = objects.iter().map(|object| object.key.clone()).collect();
        let noted = Arc::clone(&self.noted);
        let looked_up = tokio::task::spawn_blocking(move || noted.last_reads(&keys)).await;
        let found = looked_up.unwrap_or_else(|error| Err(Error::internal(error.to_string())));
        let reads = found.unwrap_or_else(|error| {
            tracing::warn!("when objects were last read is not known, so that they count as read now: {error}");
            vec![now; objects.len()]
        });
        let latest = |(object, read): (&StorageMetadata, Timestamp)| read.min(now).max(object.updated_at);
        objects.iter().zip(reads).map(latest).collect()
    }

    fn wake(&self) {
        if let Some(wake) = self.writer.as_ref().and_then(|writer| writer.wake.as_ref()) {
            // One that is full has been woken already.
            let _ = wake.try_send(());
        }
    }
}

/// Writes down what was noted.
impl Drop for ReadLog {
    fn drop(&mut self) {
        if let Some(mut writer) = self.writer.take() {
            drop(writer.wake.take());
            if let Some(thread) = writer.thread.take() {
                // What it panicked of is told already; the file then says that something may be missing.
                let _ = thread.join();
            }
        }
    }
}

impl Noted {
    fn new(file: ReadFile, clock: Clock) -> Self {
        let floor = AtomicI64::new(file.floor().timestamp_millis());
        Self { table: Table::default(), file: Mutex::new(file), floor, is_filling: AtomicBool::default(), clock }
    }

    fn floor(&self) -> Timestamp {
        Timestamp::from_timestamp_millis(self.floor.load(Ordering::Relaxed)).unwrap_or(Timestamp::MAX_UTC)
    }

    fn last_reads(&self, keys: &[Key]) -> Result<Vec<Timestamp>> {
        // The table first: what goes from it to the file is in the file by then.
        let noted: Vec<Option<Minute>> = keys.iter().map(|key| self.table.get(key)).collect();
        let written = self.file.lock().get(keys)?;
        let floor = self.floor();
        let latest = |(noted, written): (Option<Minute>, Option<Minute>)| {
            noted
                .or(written)
                .filter(|minute| *minute != Minute::FORGOTTEN)
                .map_or(floor, |minute| minute.end().max(floor))
        };
        Ok(noted.into_iter().zip(written).map(latest).collect())
    }

    fn write_until_end(&self, woken: &Receiver<()>) {
        while let Ok(()) | Err(RecvTimeoutError::Timeout) = woken.recv_timeout(EVERY) {
            self.write();
        }
        if self.write() {
            let floor = self.floor();
            if let Err(error) = self.file.lock().close(floor) {
                tracing::warn!("what was read may be missing after the next start: {error}");
            }
        }
    }

    /// Writes what was noted, and then forgets it here. Says whether that worked.
    fn write(&self) -> bool {
        let noted = self.table.all();
        if noted.is_empty() {
            return true;
        }
        let written = self.file.lock().put(&noted, self.floor());
        match &written {
            Ok(()) => self.table.remove(&noted),
            Err(error) => tracing::warn!("what was read can not be written down, and is kept in memory: {error}"),
        }
        self.is_filling.store(false, Ordering::Relaxed);
        written.is_ok()
    }
}

#[cfg(test)]
mod tests;
