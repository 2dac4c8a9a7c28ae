use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rusqlite::{Connection, ErrorCode, TransactionBehavior, params};
use tokio::sync::oneshot;

use super::due::DueChange;
use super::log::Log;
use super::row::{self, Located};
use crate::error::{Error, Result};
use crate::object::{AttributeChanges, Checksum, ETag, Key, StorageMetadata};
use crate::provider::file::fault::Fault;
use crate::provider::file::layout::{Generation, Layout};
use crate::provider::file::reaper::{Reaper, Temporary};
use crate::provider::{Condition, StoreOptions};

/// The most changes that are committed together.
const MAX_BATCH: usize = 1024;

/// How long a commit waits for its sync where commits are not synced themselves.
const SYNC_AFTER: Duration = Duration::from_secs(1);

/// A change of one object.
#[derive(Debug)]
pub(in super::super) enum Change {
    Store { key: Key, options: StoreOptions, size: u64, checksum: Checksum, generation: Generation, place: Place },
    Delete { key: Key, if_match: Option<ETag> },
    Update { key: Key, changes: AttributeChanges, if_match: Option<ETag> },
}

/// Where the bytes of a new object are.
#[derive(Debug)]
pub(in super::super) enum Place {
    /// Here: they go into the index.
    Inline(Bytes),
    /// In this file, whole and synced; the folder that it goes to is [ready](Layout::prepare).
    File(Temporary),
}

struct Command {
    work: Work,
    reply: oneshot::Sender<Result<Changed>>,
}

/// What is changed.
enum Work {
    Object(Change),
    Due(DueChange),
}

/// The metadata of the object that was changed, if it was one.
type Changed = Option<StorageMetadata>;

/// The one that changes the index: a thread that takes all changes that wait and commits them together, so that one sync
/// serves them all.
#[derive(Debug)]
pub(in super::super) struct Writer {
    commands: Option<mpsc::Sender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread. With a log, it syncs that at most a second after a commit.
    pub(in super::super) fn start(
        connection: Connection,
        log: Option<Log>,
        layout: Arc<Layout>,
        reaper: Reaper,
    ) -> Result<Self> {
        let (commands, received) = mpsc::channel();
        connection.set_prepared_statement_cache_capacity(32);
        let committer = Committer { connection, log, unsynced: None, layout, reaper, broken: None };
        let thread = thread::Builder::new()
            .name("larder-index".into())
            .spawn(move || committer.run(&received))
            .map_err(|error| Error::internal(format!("could not start the thread that writes the index: {error}")))?;
        Ok(Self { commands: Some(commands), thread: Some(thread) })
    }

    /// Carries out a change and waits until it is committed. Returns the object's metadata: the new one, or of what was
    /// deleted.
    pub(in super::super) async fn change(&self, change: Change) -> Result<StorageMetadata> {
        let changed = self.work(Work::Object(change)).await?;
        changed.ok_or_else(|| Error::internal("a change of an object has changed none"))
    }

    /// Changes when objects are due, and waits until that is committed.
    pub(in super::super) async fn change_due(&self, change: DueChange) -> Result<()> {
        self.work(Work::Due(change)).await.map(drop)
    }

    async fn work(&self, work: Work) -> Result<Changed> {
        let gone = || Error::internal("the thread that writes the index has ended: restart larder");
        let (reply, answer) = oneshot::channel();
        let commands = self.commands.as_ref().ok_or_else(gone)?;
        commands.send(Command { work, reply }).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

/// Waits until what was asked for is done.
impl Drop for Writer {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes the index has panicked");
        }
    }
}

struct Committer {
    connection: Connection,
    /// What is to be synced after commits, if they do not sync it themselves.
    log: Option<Log>,
    /// What was committed and not synced yet.
    unsynced: Option<Unsynced>,
    layout: Arc<Layout>,
    reaper: Reaper,
    /// Why nothing is written any more.
    broken: Option<Error>,
}

/// Commits that a loss of power may still take back.
struct Unsynced {
    due: Instant,
    /// Bodies that the index would refer to again.
    outdated: Vec<PathBuf>,
}

/// What changes come to beside the index.
#[derive(Default)]
struct Effects {
    /// Bodies that are at their place, and removed again unless the commit succeeds.
    placed: Vec<Temporary>,
    /// Folders with new bodies in them.
    folders: BTreeSet<PathBuf>,
    /// Bodies that nothing refers to once the commit has succeeded.
    outdated: Vec<PathBuf>,
    objects: i64,
    bytes: i64,
}

impl Committer {
    fn run(mut self, received: &mpsc::Receiver<Command>) {
        while let Some(first) = self.next(received) {
            let batch = std::iter::once(first).chain(received.try_iter()).take(MAX_BATCH);
            let (work, replies): (Vec<_>, Vec<_>) = batch.map(|Command { work, reply }| (work, reply)).unzip();
            let results = match self.commit(work) {
                Ok(results) => results,
                Err(error) => vec![Err(error); replies.len()],
            };
            for (reply, result) in replies.into_iter().zip(results) {
                // Whoever asked may have gone away; the change holds all the same.
                let _ = reply.send(result);
            }
        }
        self.sync();
    }

    /// The next command, or `None` after the last one. Syncs when it is time to.
    fn next(&mut self, received: &mpsc::Receiver<Command>) -> Option<Command> {
        while let Some(Unsynced { due, .. }) = &self.unsynced {
            match due.checked_duration_since(Instant::now()).map(|left| received.recv_timeout(left)) {
                Some(Ok(command)) => return Some(command),
                Some(Err(RecvTimeoutError::Disconnected)) => return None,
                Some(Err(RecvTimeoutError::Timeout)) | None => self.sync(),
            }
        }
        received.recv().ok()
    }

    /// Makes all commits survive a loss of power. Only then what they made needless may be removed.
    fn sync(&mut self) {
        let (Some(log), Some(unsynced)) = (&self.log, self.unsynced.take()) else { return };
        if self.broken.is_some() {
            return;
        }
        match log.sync() {
            Ok(()) => unsynced.outdated.into_iter().for_each(|body| self.reaper.remove_outdated(body)),
            Err(error) => self.broken = Some(broken(&error)),
        }
    }

    /// Carries out all changes or none, but for those that fail for reasons of their own.
    fn commit(&mut self, work: Vec<Work>) -> Result<Vec<Result<Changed>>> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        let index = self.layout.index();
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|error| Fault::from(error).at(&index))?;
        let mut effects = Effects::default();
        let mut results = Vec::with_capacity(work.len());
        for work in work {
            let result = apply_or_undo(&transaction, &self.layout, &mut effects, work);
            if transaction.is_autocommit() {
                // SQLite has given up the whole transaction, as it does when the disk is full.
                return Err(result
                    .err()
                    .map_or_else(|| Error::internal("the index gave up a transaction"), |fault| fault.at(&index)));
            }
            results.push(result.map_err(|fault| fault.at(&index)));
        }
        // The names of the bodies must last before anything refers to them.
        if let Err(error) = effects.folders.iter().try_for_each(|folder| self.layout.sync_folder(folder)) {
            self.broken = Some(broken(&error));
            return Err(error);
        }
        effects.count(&transaction).map_err(|fault| fault.at(&index))?;
        if let Err(error) = transaction.commit() {
            let full = error.sqlite_error_code() == Some(ErrorCode::DiskFull);
            let error = Fault::from(error).at(&index);
            if !full {
                // After a failed sync nobody knows what the disk holds: a restart may find this commit or not. Until
                // then the bodies of both outcomes must stay.
                self.broken = Some(broken(&error));
                effects.placed.into_iter().for_each(Temporary::keep);
            }
            return Err(error);
        }
        effects.placed.into_iter().for_each(Temporary::keep);
        if self.log.is_some() {
            let due = Instant::now() + SYNC_AFTER;
            self.unsynced.get_or_insert(Unsynced { due, outdated: Vec::new() }).outdated.extend(effects.outdated);
        } else {
            effects.outdated.into_iter().for_each(|body| self.reaper.remove_outdated(body));
        }
        Ok(results)
    }
}

/// Why nothing is written any more after a failed sync: a later one may succeed although the disk lost what it was for.
fn broken(error: &Error) -> Error {
    tracing::error!(%error, "a sync has failed: nothing more is written until a restart");
    Error::unavailable(format!("nothing can be stored until larder is restarted, since a sync has failed: {error}"))
}

impl Effects {
    fn add(&mut self, other: Self) {
        self.placed.extend(other.placed);
        self.folders.extend(other.folders);
        self.outdated.extend(other.outdated);
        self.objects += other.objects;
        self.bytes += other.bytes;
    }

    fn count(&self, connection: &Connection) -> Result<(), Fault> {
        if (self.objects, self.bytes) != (0, 0) {
            let mut statement =
                connection.prepare_cached("UPDATE totals SET objects = objects + ?1, bytes = bytes + ?2")?;
            statement.execute(params![self.objects, self.bytes])?;
        }
        Ok(())
    }

    /// Counts an object out, and its bytes as no longer needed.
    fn remove(&mut self, connection: &Connection, layout: &Layout, old: &Located) -> Result<(), Fault> {
        if old.inlined {
            connection.prepare_cached("DELETE FROM inlined WHERE generation = ?1")?.execute([old.generation])?;
        } else {
            self.outdated.push(layout.body(old.generation));
        }
        self.objects -= 1;
        self.bytes -= old.metadata.size.cast_signed();
        Ok(())
    }

    /// Counts an object in, and puts its bytes in their place.
    fn insert(&mut self, connection: &Connection, layout: &Layout, new: &Located, place: Place) -> Result<(), Fault> {
        match place {
            Place::Inline(bytes) => {
                row::write_value(connection, new.generation, &bytes)?;
            }
            Place::File(mut body) => {
                let path = layout.body(new.generation);
                self.folders.extend(path.parent().map(PathBuf::from));
                body.rename(path)?;
                self.placed.push(body);
            }
        }
        self.objects += 1;
        self.bytes += new.metadata.size.cast_signed();
        Ok(())
    }
}

/// Carries out one change; if it fails, the transaction is as it was before.
fn apply_or_undo(
    connection: &Connection,
    layout: &Layout,
    effects: &mut Effects,
    work: Work,
) -> Result<Changed, Fault> {
    connection.prepare_cached("SAVEPOINT change")?.execute([])?;
    let applied = match work {
        Work::Object(change) => apply(connection, layout, change).map(|(object, effects)| (Some(object), effects)),
        Work::Due(change) => change.apply(connection).map(|()| (None, Effects::default())),
    };
    match applied {
        Ok((changed, effect)) => {
            connection.prepare_cached("RELEASE change")?.execute([])?;
            effects.add(effect);
            Ok(changed)
        }
        Err(fault) => {
            if !connection.is_autocommit() {
                connection.prepare_cached("ROLLBACK TO change")?.execute([])?;
                connection.prepare_cached("RELEASE change")?.execute([])?;
            }
            Err(fault)
        }
    }
}

fn apply(connection: &Connection, layout: &Layout, change: Change) -> Result<(StorageMetadata, Effects), Fault> {
    let mut effects = Effects::default();
    let metadata = match change {
        Change::Store { key, options, size, checksum, generation, place } => {
            let old = Located::find(connection, &key)?;
            let previous = old.as_ref().map(|old| &old.metadata);
            options.condition.check(&key, previous.map(|previous| &previous.etag))?;
            let metadata = options.into_metadata(key, size, checksum, previous);
            let new = Located { metadata, generation, inlined: matches!(place, Place::Inline(_)) };
            if let Some(old) = &old {
                effects.remove(connection, layout, old)?;
            }
            new.write(connection)?;
            effects.insert(connection, layout, &new, place)?;
            new.metadata
        }
        Change::Delete { key, if_match } => {
            let old = Located::find(connection, &key)?.ok_or_else(|| Error::not_found(&key))?;
            Condition::from(if_match.as_ref()).check(&key, Some(&old.metadata.etag))?;
            connection.prepare_cached("DELETE FROM objects WHERE key = ?1")?.execute([key.as_str().as_bytes()])?;
            effects.remove(connection, layout, &old)?;
            old.metadata
        }
        Change::Update { key, changes, if_match } => {
            let mut object = Located::find(connection, &key)?.ok_or_else(|| Error::not_found(&key))?;
            Condition::from(if_match.as_ref()).check(&key, Some(&object.metadata.etag))?;
            object.metadata.attributes.apply(changes);
            object.write(connection)?;
            object.metadata
        }
    };
    Ok((metadata, effects))
}
