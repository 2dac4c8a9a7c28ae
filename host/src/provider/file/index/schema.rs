use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::ops::RangeInclusive;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::log::{journal_path, log_path};
use crate::error::{Error, Result};
use crate::provider::file::durability::Durability;
use crate::provider::file::fault::Fault;
use crate::provider::file::layout::Generation;

/// How the tables come from each version to the next, the first from an empty file to version 1. A step that an index may
/// have taken is never changed again.
const MIGRATIONS: &[&str] = &[TABLES];

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
";

/// Opens the index for writing, makes it if `may_create`, and brings its tables up to date. One connection at a time may be
/// open so.
pub(in super::super) fn open(path: &Path, may_create: bool, durability: Durability) -> Result<Connection, Fault> {
    // SQLite would take the log beside an empty index for a stale one, and remove it.
    let is_there = path.metadata().is_ok_and(|metadata| metadata.len() > 0);
    if !is_there && !may_create {
        return Err(missing(path).into());
    }
    let mut connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    match version(&connection)? {
        0 if !may_create => return Err(missing(path).into()),
        version => refuse_newer(path, version)?,
    }
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(Fault::Other(Error::unsupported(format!(
            "the file system of \u{2018}{}\u{2019} has no shared memory, which SQLite's write-ahead log needs: choose a \
             local disk",
            path.display()
        ))));
    }
    // The log goes to the index, with another sync, each 16 MiB; larger than SQLite's own 4 MiB, since values come
    // through it.
    connection.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA fullfsync = ON;
         PRAGMA wal_autocheckpoint = 4096;
         PRAGMA journal_size_limit = 67108864;
         PRAGMA cell_size_check = ON;
         PRAGMA trusted_schema = OFF;",
    )?;
    plan_once(&connection)?;
    // Synced whatever the durability: bodies beside an index without tables look like those of one that was lost.
    migrate(&mut connection, MIGRATIONS)?;
    // FULL: a commit syncs the log. NORMAL: the log is synced before it goes to the index, and so never out of order.
    connection.execute_batch(match durability {
        Durability::Strict => "PRAGMA synchronous = FULL;",
        Durability::Relaxed => "PRAGMA synchronous = NORMAL;",
        Durability::None => "PRAGMA synchronous = OFF;",
    })?;
    Ok(connection)
}

/// Takes the steps that the tables have not taken yet, each in a transaction: a crash leaves the version before or after.
fn migrate(connection: &mut Connection, migrations: &[&str]) -> Result<(), Fault> {
    let taken = usize::try_from(version(connection)?).unwrap_or(0);
    for (step, migration) in migrations.iter().enumerate().skip(taken) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", step as i64 + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

/// The version of the tables, in SQLite's `user_version`; 0 if there are none yet.
fn version(connection: &Connection) -> Result<i64, Fault> {
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

fn refuse_newer(path: &Path, version: i64) -> Result<()> {
    let known = MIGRATIONS.len();
    if usize::try_from(version).is_ok_and(|version| version <= known) {
        return Ok(());
    }
    Err(Error::unsupported(format!(
        "the index \u{2018}{}\u{2019} is of version {version}, and this larder knows versions up to {known}: run the larder \
         that wrote it, or a newer one",
        path.display()
    )))
}

fn missing(path: &Path) -> Error {
    Error::corrupt(format!(
        "the index \u{2018}{}\u{2019} is missing or empty, and bodies of objects are there: restore it from a backup, or \
         make a new one of them with larder store rebuild; nothing was changed",
        path.display()
    ))
}

/// Opens the index of a folder that nobody has open, for reading, and leaves it as it is: SQLite would write what is in
/// the log to the index. Where there is a log it writes to the shared memory beside it, which nobody else uses. What can
/// be read of a damaged index is read.
pub(in super::super) fn open_unchanged(path: &Path) -> Result<Connection, Fault> {
    if is_empty(path) {
        return Err(missing(path).into());
    }
    let connection = open_as_it_is(path)?;
    match version(&connection)? {
        0 => Err(missing(path).into()),
        version => {
            refuse_newer(path, version)?;
            Ok(connection)
        }
    }
}

/// Whether the index of a folder that nobody has open has no tables yet: whoever made it was stopped before that.
pub(in super::super) fn is_blank(path: &Path) -> bool {
    let has_tables = || -> Result<bool, Fault> {
        let connection = open_as_it_is(path)?;
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok(tables > 0 || version(&connection)? > 0)
    };
    is_empty(path) || was_empty(path) || has_tables().is_ok_and(|has_tables| !has_tables)
}

/// Whether a rollback journal says that the index was empty before. An index has one until it gets its log, and SQLite goes
/// back to that when it opens it for writing.
fn was_empty(path: &Path) -> bool {
    // Its magic, two numbers, and how many pages there were before, from the documentation of SQLite's file format.
    const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    let mut header = [0; 20];
    let read = File::open(journal_path(path)).and_then(|mut journal| journal.read_exact(&mut header));
    read.is_ok() && header.starts_with(&MAGIC) && header.ends_with(&[0; 4])
}

fn is_empty(path: &Path) -> bool {
    path.metadata().map_or(!path.exists(), |metadata| metadata.len() == 0)
}

fn open_as_it_is(path: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let has_log = log_path(path).metadata().is_ok_and(|metadata| metadata.len() > 0);
    let connection = Connection::open_with_flags(uri(path, !has_log), flags)?;
    // Only so SQLite reads an index that was cut off.
    connection.execute_batch("PRAGMA writable_schema = ON;")?;
    connection.execute_batch("PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF;")?;
    Ok(connection)
}

/// An empty index that is gone when it is closed.
pub(in super::super) fn open_temporary() -> Result<Connection, Fault> {
    let mut connection = Connection::open("")?;
    migrate(&mut connection, MIGRATIONS)?;
    Ok(connection)
}

/// Closes an index that stands by itself from then on, without a log.
pub(in super::super) fn close_for_good(connection: Connection) -> Result<(), Fault> {
    connection.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
    connection.close().map_err(|(_, error)| error.into())
}

/// A path as SQLite's URI; it takes no locks and looks for no log if the file is said to be immutable.
fn uri(path: &Path, immutable: bool) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => uri.push(char::from(*byte)),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri + if immutable { "?immutable=1" } else { "" }
}

/// Opens the index for reading, beside the one that writes.
pub(super) fn open_for_reading(path: &Path) -> Result<Connection, Fault> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.execute_batch("PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF;")?;
    plan_once(&connection)?;
    Ok(connection)
}

/// Has SQLite keep the plan of a statement: it would make a new one for each value that is bound, to look whether that is a
/// frequent one, which takes longer than the look-up.
fn plan_once(connection: &Connection) -> Result<(), Fault> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Opens the index for reading as it is now, whatever is committed later.
pub(in super::super) fn open_transaction(path: &Path) -> Result<Connection, Fault> {
    let connection = open_for_reading(path)?;
    // A transaction begins with its first look.
    connection.execute_batch("BEGIN")?;
    connection.query_row("SELECT objects FROM totals", [], |_| Ok(()))?;
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

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::super::row::Located;
    use super::*;
    use crate::object::Key;
    use crate::provider::ListQuery;

    const SECOND: &str = "ALTER TABLE totals ADD COLUMN parts INTEGER NOT NULL DEFAULT 7";

    fn parts(connection: &Connection) -> rusqlite::Result<i64> {
        connection.query_row("SELECT parts FROM totals", [], |row| row.get(0))
    }

    #[test]
    fn an_older_index_takes_the_steps_that_it_lacks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index.sqlite");
        let mut connection = open(&path, true, Durability::Strict).unwrap();
        assert_eq!(version(&connection).unwrap(), 1);
        migrate(&mut connection, &[TABLES, SECOND]).unwrap();
        assert_eq!((version(&connection).unwrap(), parts(&connection)), (2, Ok(7)));
        migrate(&mut connection, &[TABLES, SECOND]).unwrap();
        assert_eq!(version(&connection).unwrap(), 2);
    }

    #[test]
    fn a_look_up_is_planned_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index.sqlite");
        let writing = open(&path, true, Durability::Strict).unwrap();
        for connection in [writing, open_for_reading(&path).unwrap()] {
            for text in ["a", "b", "c"] {
                let key = Key::new(text).unwrap();
                Located::find(&connection, &key).unwrap();
                Located::find_with_value(&connection, &key).unwrap();
                Located::list(&connection, &ListQuery::with_prefix(text)).unwrap();
            }
            for sql in [Located::FIND, Located::FIND_WITH_VALUE, Located::LIST] {
                let statement = connection.prepare_cached(sql).unwrap();
                assert_eq!(statement.get_status(StatementStatus::RePrepare), 0, "{sql}");
                assert!(statement.get_status(StatementStatus::Run) >= 3, "{sql}");
            }
        }
    }

    #[test]
    fn a_step_that_fails_half_way_leaves_the_version_before() {
        let mut connection = Connection::open_in_memory().unwrap();
        let half_way = format!("{SECOND}; INSERT INTO nowhere VALUES (1)");
        assert!(migrate(&mut connection, &[TABLES, &half_way]).is_err());
        assert_eq!(version(&connection).unwrap(), 1);
        assert!(parts(&connection).is_err());
        migrate(&mut connection, &[TABLES, SECOND]).unwrap();
        assert_eq!((version(&connection).unwrap(), parts(&connection)), (2, Ok(7)));
    }
}
