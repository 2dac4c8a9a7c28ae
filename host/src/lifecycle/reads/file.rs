use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::table::Minute;
use crate::error::{Error, Result};
use crate::object::{Key, Timestamp};

/// `open` says that somebody notes reads, some of which may not be here.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS reads (key BLOB NOT NULL PRIMARY KEY, minute INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS state (id INTEGER PRIMARY KEY CHECK (id = 1), floor INTEGER NOT NULL, open INTEGER NOT NULL)
    STRICT;
";

/// The file of when objects were last read: SQLite.
#[derive(Debug)]
pub(super) struct ReadFile {
    connection: Connection,
    path: PathBuf,
    floor: Timestamp,
}

impl ReadFile {
    /// Opens the file, and makes it if it is not there. Whatever was read before `now` and is not in it counts as read now,
    /// unless whoever had it open has closed it. One that can not be read is made anew.
    pub(super) fn open(path: &Path, now: Timestamp) -> Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| failed(path, &error))?;
        }
        Self::take(path, now).or_else(|error| {
            tracing::warn!("when objects were last read is lost, so that all count as read now: {error}");
            Self::remove(path)?;
            Self::take(path, now).map_err(|error| failed(path, &error))
        })
    }

    fn take(path: &Path, now: Timestamp) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        // Synced: after a loss of power that takes what was written it must be seen that something is missing.
        connection.execute_batch("PRAGMA synchronous = FULL;")?;
        connection.execute_batch(TABLES)?;
        let closed: Option<i64> =
            connection.query_row("SELECT floor FROM state WHERE open = 0", [], |row| row.get(0)).optional()?;
        let floor = closed.and_then(Timestamp::from_timestamp_millis).unwrap_or(now);
        connection.execute("INSERT OR REPLACE INTO state VALUES (1, ?1, 1)", [floor.timestamp_millis()])?;
        connection.execute_batch("PRAGMA synchronous = NORMAL;")?;
        Ok(Self { connection, path: path.to_owned(), floor })
    }

    /// Opens a file that another process may have open; `None` if there is none that can be read.
    pub(super) fn peek(path: &Path) -> Option<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).ok()?;
        let floor = connection.query_row("SELECT floor FROM state", [], |row| row.get(0)).ok()?;
        Some(Self { connection, path: path.to_owned(), floor: Timestamp::from_timestamp_millis(floor)? })
    }

    /// Removes the file, if there is one.
    pub(super) fn remove(path: &Path) -> Result<()> {
        for suffix in ["", "-wal", "-shm"] {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            match fs::remove_file(&name) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(path, &error)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Nothing is known to have been unread since before that.
    pub(super) fn floor(&self) -> Timestamp {
        self.floor
    }

    /// The minutes of keys, as far as they are here.
    pub(super) fn get(&self, keys: &[Key]) -> Result<Vec<Option<Minute>>> {
        let get = || -> rusqlite::Result<Vec<Option<Minute>>> {
            let mut statement = self.connection.prepare_cached("SELECT minute FROM reads WHERE key = ?1")?;
            let minute = |key: &Key| statement.query_row([key.as_str().as_bytes()], |row| row.get(0)).optional();
            let minutes: rusqlite::Result<Vec<Option<u32>>> = keys.iter().map(minute).collect();
            Ok(minutes?.into_iter().map(|minute| minute.map(Minute)).collect())
        };
        get().map_err(|error| failed(&self.path, &error))
    }

    /// Writes minutes down, and takes forgotten keys out; all or nothing.
    pub(super) fn put(&mut self, noted: &[(Key, Minute)], floor: Timestamp) -> Result<()> {
        let mut put = || -> rusqlite::Result<()> {
            let transaction = self.connection.transaction()?;
            {
                let mut put = transaction.prepare_cached(
                    "INSERT INTO reads VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET minute = max(minute, excluded.minute)",
                )?;
                let mut forget = transaction.prepare_cached("DELETE FROM reads WHERE key = ?1")?;
                for (key, minute) in noted {
                    let key = key.as_str().as_bytes();
                    match *minute {
                        Minute::FORGOTTEN => forget.execute([key])?,
                        Minute(minute) => put.execute(params![key, minute])?,
                    };
                }
                transaction.execute("UPDATE state SET floor = ?1", [floor.timestamp_millis()])?;
            }
            transaction.commit()
        };
        put().map_err(|error| failed(&self.path, &error))
    }

    /// Says that all that was noted is here.
    pub(super) fn close(&mut self, floor: Timestamp) -> Result<()> {
        let close = || -> rusqlite::Result<()> {
            self.connection.execute_batch("PRAGMA synchronous = FULL;")?;
            self.connection.execute("UPDATE state SET floor = ?1, open = 0", [floor.timestamp_millis()])?;
            Ok(())
        };
        close().map_err(|error| failed(&self.path, &error))
    }
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::internal(format!("the file of what was read, \u{2018}{}\u{2019}: {error}", path.display()))
}
