//! Questions about the index as a whole, for which all of it is read.

use rusqlite::Connection;

use crate::provider::file::fault::Fault;

/// What SQLite finds wrong with the pages of the index; nothing if they are whole.
pub(in super::super) fn damage(connection: &Connection) -> Result<Vec<String>, Fault> {
    let mut statement = connection.prepare("PRAGMA integrity_check(100)")?;
    let said: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(said.into_iter().filter(|said| said != "ok").collect())
}

/// How many values there are.
pub(in super::super) fn values(connection: &Connection) -> Result<u64, Fault> {
    Ok(connection.query_row("SELECT count(*) FROM inlined", [], |row| row.get::<_, i64>(0))?.cast_unsigned())
}

/// Counts all objects anew.
pub(in super::super) fn count(connection: &Connection) -> Result<(), Fault> {
    connection
        .execute("UPDATE totals SET (objects, bytes) = (SELECT count(*), ifnull(sum(size), 0) FROM objects)", [])?;
    Ok(())
}
