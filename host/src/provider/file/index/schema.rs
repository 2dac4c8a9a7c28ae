use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::error::Error;
use crate::provider::file::fault::Fault;
use crate::provider::file::layout::Generation;

/// The version of the tables, in SQLite's `user_version`.
const VERSION: i64 = 1;

/// Objects lie in the order of their keys and hold no values, so that a listing reads what it returns and little else.
/// A value goes to a table of its own, at the end of it, since its generation is the greatest yet.
const TABLES: &str = "
    CREATE TABLE objects (
        key        BLOB    NOT NULL PRIMARY KEY,
        size       INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        checksum   INTEGER NOT NULL,
        etag       TEXT    NOT NULL,
        attributes TEXT,
        generation INTEGER NOT NULL,
        inlined    INTEGER NOT NULL,
        seal       INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX bodies ON objects (generation) WHERE inlined = 0;
    CREATE TABLE inlined (generation INTEGER PRIMARY KEY, value BLOB NOT NULL) STRICT;
    CREATE TABLE totals (id INTEGER PRIMARY KEY CHECK (id = 1), objects INTEGER NOT NULL, bytes INTEGER NOT NULL) STRICT;
    INSERT INTO totals VALUES (1, 0, 0);
    PRAGMA user_version = 1;
";

/// Opens the index for writing, and makes it if `may_create`. One connection at a time may be open so.
pub(in super::super) fn open(path: &Path, may_create: bool) -> Result<Connection, Fault> {
    // SQLite would take the log beside an empty index for a stale one, and remove it.
    let is_there = path.metadata().is_ok_and(|metadata| metadata.len() > 0);
    if !is_there && !may_create {
        return Err(missing(path).into());
    }
    let mut connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match version {
        VERSION => {}
        0 if may_create => {}
        0 => return Err(missing(path).into()),
        newer => {
            return Err(Fault::Other(Error::unsupported(format!(
                "the index \u{2018}{}\u{2019} is of version {newer}, and this larder knows versions up to {VERSION}: \
                 run the larder that wrote it, or a newer one",
                path.display()
            ))));
        }
    }
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(Fault::Other(Error::unsupported(format!(
            "the file system of \u{2018}{}\u{2019} has no shared memory, which SQLite's write-ahead log needs: choose a \
             local disk",
            path.display()
        ))));
    }
    // A commit syncs the log. It goes to the index, with another sync, each 16 MiB; larger than SQLite's own 4 MiB,
    // since values come through it.
    connection.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA fullfsync = ON;
         PRAGMA wal_autocheckpoint = 4096;
         PRAGMA journal_size_limit = 67108864;
         PRAGMA cell_size_check = ON;
         PRAGMA trusted_schema = OFF;",
    )?;
    if version == 0 {
        let transaction = connection.transaction()?;
        transaction.execute_batch(TABLES)?;
        transaction.commit()?;
    }
    Ok(connection)
}

fn missing(path: &Path) -> Error {
    Error::corrupt(format!(
        "the index \u{2018}{}\u{2019} is missing or empty, and bodies of objects are there: restore it from a backup; \
         nothing was changed",
        path.display()
    ))
}

/// Opens the index for reading, beside the one that writes.
pub(super) fn open_for_reading(path: &Path) -> Result<Connection, Fault> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.execute_batch("PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF;")?;
    Ok(connection)
}

/// The greatest generation that the index knows.
pub(in super::super) fn last_generation(connection: &Connection) -> Result<Generation, Fault> {
    Ok(connection.query_row(
        "SELECT max(ifnull((SELECT max(generation) FROM inlined), 0),
                    ifnull((SELECT max(generation) FROM objects WHERE inlined = 0), 0))",
        [],
        |row| row.get(0),
    )?)
}

/// The generations in this range that have a body.
pub(in super::super) fn body_generations(
    connection: &Connection,
    range: RangeInclusive<Generation>,
) -> Result<HashSet<Generation>, Fault> {
    let mut statement = connection
        .prepare_cached("SELECT generation FROM objects WHERE inlined = 0 AND generation BETWEEN ?1 AND ?2")?;
    let rows = statement.query_map([range.start(), range.end()], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
