//! The index's table of when objects are due, where there is one.
//!
//! Triggers keep it, so that it is right whoever changes an object, also a larder that knows nothing of it.

use rusqlite::{Connection, OptionalExtension, params};

use super::row::behind_prefix;
use crate::error::Error;
use crate::object::{Key, Timestamp};
use crate::provider::file::fault::Fault;
use crate::provider::{Due, DueState, ListQuery, NextLook, Serial, Version};

/// A change of the table.
#[derive(Debug)]
pub(in super::super) enum DueChange {
    Begin { purpose: String, serial: Serial },
    Complete { index: Serial },
    End,
    Set { index: Serial, looks: Vec<(Key, NextLook)> },
}

/// What is due at once has the time zero. `INSERT OR REPLACE` of an object fires the first trigger alone.
const BEGIN: &str = "
    CREATE TABLE due (key BLOB NOT NULL PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE INDEX due_at ON due (at, key);
    CREATE TABLE due_state (
        id       INTEGER PRIMARY KEY CHECK (id = 1),
        purpose  TEXT    NOT NULL,
        complete INTEGER NOT NULL,
        serial   INTEGER NOT NULL
    ) STRICT;
    CREATE TRIGGER due_written AFTER INSERT ON objects BEGIN INSERT OR REPLACE INTO due VALUES (NEW.key, 0); END;
    CREATE TRIGGER due_changed AFTER UPDATE ON objects BEGIN INSERT OR REPLACE INTO due VALUES (NEW.key, 0); END;
    CREATE TRIGGER due_deleted AFTER DELETE ON objects BEGIN DELETE FROM due WHERE key = OLD.key; END;
";

const END: &str = "
    DROP TRIGGER IF EXISTS due_written;
    DROP TRIGGER IF EXISTS due_changed;
    DROP TRIGGER IF EXISTS due_deleted;
    DROP TABLE IF EXISTS due_state;
    DROP TABLE IF EXISTS due;
";

impl DueChange {
    pub(super) fn apply(self, connection: &Connection) -> Result<(), Fault> {
        match self {
            Self::Begin { purpose, serial } => {
                connection.execute_batch(END)?;
                connection.execute_batch(BEGIN)?;
                connection.execute("INSERT INTO due_state VALUES (1, ?1, 0, ?2)", params![purpose, serial.0])?;
            }
            Self::Complete { index } if is_there(connection, index)? => {
                connection.execute("UPDATE due_state SET complete = 1", [])?;
            }
            Self::End => connection.execute_batch(END)?,
            Self::Set { index, looks } if is_there(connection, index)? => {
                looks.iter().try_for_each(|(key, look)| set(connection, key, *look))?;
            }
            Self::Complete { .. } | Self::Set { .. } => {}
        }
        Ok(())
    }
}

fn is_there(connection: &Connection, index: Serial) -> Result<bool, Fault> {
    Ok(due_state(connection)?.is_some_and(|state| state.serial == index))
}

fn set(connection: &Connection, key: &Key, look: NextLook) -> Result<(), Fault> {
    let key = key.as_str().as_bytes();
    match look {
        NextLook::Now => {
            const NOW: &str = "INSERT OR REPLACE INTO due SELECT key, 0 FROM objects WHERE key = ?1";
            connection.prepare_cached(NOW)?.execute([key])?;
        }
        NextLook::At(version, at) => {
            const AT: &str = "INSERT OR REPLACE INTO due SELECT key, ?3 FROM objects WHERE key = ?1 AND seal = ?2";
            connection.prepare_cached(AT)?.execute(params![key, version.0, at.timestamp_millis()])?;
        }
        NextLook::WhenChanged(version) => {
            const NEVER: &str =
                "DELETE FROM due WHERE key = ?1 AND EXISTS (SELECT 1 FROM objects WHERE key = ?1 AND seal = ?2)";
            connection.prepare_cached(NEVER)?.execute(params![key, version.0])?;
        }
    }
    Ok(())
}

/// What the table is for, if there is one.
pub(in super::super) fn due_state(connection: &Connection) -> Result<Option<DueState>, Fault> {
    const EXISTS: &str = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'due_state'";
    if connection.query_row(EXISTS, [], |_| Ok(())).optional()?.is_none() {
        return Ok(None);
    }
    let state = |row: &rusqlite::Row<'_>| {
        Ok(DueState { purpose: row.get(0)?, complete: row.get(1)?, serial: Serial(row.get(2)?) })
    };
    Ok(connection.query_row("SELECT purpose, complete, serial FROM due_state", [], state).optional()?)
}

/// The versions of the objects of a page of a listing.
pub(in super::super) fn versions(connection: &Connection, query: &ListQuery) -> Result<Vec<(Key, Version)>, Fault> {
    const VERSIONS: &str = "SELECT key, seal FROM objects
         WHERE key >= ?1 AND key > ?2 AND (?3 IS NULL OR key < ?3) ORDER BY key LIMIT ?4";
    let after = query.start_after.as_deref().unwrap_or_default();
    let from = query.prefix.as_bytes().max(after.as_bytes());
    let limit = query.limit.clamp(1, ListQuery::MAX_LIMIT) as i64;
    let mut statement = connection.prepare_cached(VERSIONS)?;
    let mut rows = statement.query(params![from, after.as_bytes(), behind_prefix(&query.prefix), limit])?;
    let mut versions = Vec::new();
    while let Some(row) = rows.next()? {
        versions.push((key(row.get(0)?)?, Version(row.get(1)?)));
    }
    Ok(versions)
}

/// Objects that are due, behind one of them.
pub(in super::super) fn due(
    connection: &Connection,
    not_after: Timestamp,
    after: Option<&Due>,
    limit: usize,
) -> Result<Vec<Due>, Fault> {
    const DUE: &str = "SELECT d.at, d.key, o.seal FROM due d CROSS JOIN objects o ON o.key = d.key
         WHERE (d.at, d.key) > (?1, ?2) AND d.at <= ?3 ORDER BY d.at, d.key LIMIT ?4";
    // Every key is greater than the empty one.
    let (at, behind) = after.map_or((i64::MIN, ""), |due| (due.at.timestamp_millis(), due.key.as_str()));
    let mut statement = connection.prepare_cached(DUE)?;
    let mut rows = statement.query(params![at, behind.as_bytes(), not_after.timestamp_millis(), limit as i64])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let at = Timestamp::from_timestamp_millis(row.get(0)?);
        let at = at.ok_or_else(|| Error::corrupt("a time in the index of what is due is none"))?;
        found.push(Due { at, key: key(row.get(1)?)?, version: Version(row.get(2)?) });
    }
    Ok(found)
}

fn key(bytes: Vec<u8>) -> Result<Key, Fault> {
    let text = String::from_utf8(bytes).map_err(|error| Error::corrupt(format!("a key in the index: {error}")))?;
    Ok(Key::new(text)?)
}
