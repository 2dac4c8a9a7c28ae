use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::error::{Error, Result};
use crate::object::{Attributes, Checksum, ETag, Key, StorageMetadata, Timestamp};
use crate::provider::file::fault::Fault;
use crate::provider::file::layout::Generation;
use crate::provider::{ListQuery, Page, Usage};

/// An object in the index, without its value.
#[derive(Clone, Debug)]
pub(in super::super) struct Located {
    pub(in super::super) metadata: StorageMetadata,
    pub(in super::super) generation: Generation,
    /// Whether the bytes are in the index, and not in a file.
    pub(in super::super) inlined: bool,
}

/// The bytes of an object, or where they are.
#[derive(Debug)]
pub(in super::super) enum Value {
    Inlined(Bytes),
    InFile,
}

macro_rules! columns {
    () => {
        "key, size, created_at, updated_at, checksum, etag, attributes, o.generation, inlined, seal"
    };
}

impl Located {
    pub(super) const FIND: &str = concat!("SELECT ", columns!(), " FROM objects o WHERE key = ?1");
    pub(super) const FIND_WITH_VALUE: &str = concat!(
        "SELECT ",
        columns!(),
        ", i.value FROM objects o LEFT JOIN inlined i ON i.generation = o.generation WHERE key = ?1"
    );
    pub(super) const LIST: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM objects o WHERE key >= ?1 AND key > ?2 AND (?3 IS NULL OR key < ?3) ORDER BY key LIMIT ?4"
    );

    /// The object under this key.
    pub(in super::super) fn find(connection: &Connection, key: &Key) -> Result<Option<Self>, Fault> {
        let mut statement = connection.prepare_cached(Self::FIND)?;
        let found = statement.query_row([key.as_str().as_bytes()], |row| Ok(Self::from_row(row))).optional()?;
        found.transpose()
    }

    /// The object under this key and its value, as of one moment.
    pub(in super::super) fn find_with_value(
        connection: &Connection,
        key: &Key,
    ) -> Result<Option<(Self, Value)>, Fault> {
        let mut statement = connection.prepare_cached(Self::FIND_WITH_VALUE)?;
        let found = statement
            .query_row([key.as_str().as_bytes()], |row| Ok((Self::from_row(row), row.get::<_, Option<Vec<u8>>>(10)?)))
            .optional()?;
        let Some((located, value)) = found else { return Ok(None) };
        let located = located?;
        let value = if located.inlined { Value::Inlined(located.proven(value)?) } else { Value::InFile };
        Ok(Some((located, value)))
    }

    /// The value of an object that has it in the index; or, of an index that is damaged too, why there is none.
    pub(in super::super) fn value(&self, connection: &Connection) -> Result<Bytes, String> {
        let read = || {
            let mut statement = connection.prepare_cached("SELECT value FROM inlined WHERE generation = ?1")?;
            self.proven(statement.query_row([self.generation], |row| row.get(0)).optional()?)
        };
        read().map_err(|fault| match fault {
            Fault::Sql(error) => {
                let key = &self.metadata.key;
                format!("the object \u{2018}{key}\u{2019} is damaged in the index: its bytes can not be read: {error}")
            }
            Fault::Other(error) => error.to_string(),
        })
    }

    /// The bytes, if they are those of the object.
    fn proven(&self, value: Option<Vec<u8>>) -> Result<Bytes, Fault> {
        let StorageMetadata { key, size, checksum, .. } = &self.metadata;
        match value {
            Some(value) if Checksum::of(&value) == *checksum && value.len() as u64 == *size => Ok(value.into()),
            _ => Err(Fault::Other(Error::corrupt(format!(
                "the object \u{2018}{key}\u{2019} is damaged in the index: its bytes do not have their checksum; store \
                 it again"
            )))),
        }
    }

    /// A page of a listing, as of one moment.
    pub(in super::super) fn list(connection: &Connection, query: &ListQuery) -> Result<Page, Fault> {
        let mut statement = connection.prepare_cached(Self::LIST)?;
        let limit = query.limit.clamp(1, ListQuery::MAX_LIMIT);
        // Every key is greater than the empty one.
        let after = query.start_after.as_deref().unwrap_or_default();
        let from = query.prefix.as_bytes().max(after.as_bytes());
        let mut rows =
            statement.query(params![from, after.as_bytes(), behind_prefix(&query.prefix), limit as i64 + 1])?;
        let mut page = Page::default();
        while let Some(row) = rows.next()? {
            if page.objects.len() == limit {
                page.more = true;
                break;
            }
            page.objects.push(Self::from_row(row)?.metadata);
        }
        Ok(page)
    }

    /// Writes the object down, in place of any other under its key.
    pub(in super::super) fn write(&self, connection: &Connection) -> Result<(), Fault> {
        let Self { metadata, generation, inlined } = self;
        let attributes = attributes_to_text(&metadata.attributes)?;
        let mut statement = connection.prepare_cached(
            "INSERT OR REPLACE INTO objects
             (key, size, created_at, updated_at, checksum, etag, attributes, generation, inlined, seal)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?;
        statement.execute(params![
            metadata.key.as_str().as_bytes(),
            metadata.size.cast_signed(),
            metadata.created_at.timestamp_millis(),
            metadata.updated_at.timestamp_millis(),
            metadata.checksum.as_u64().cast_signed(),
            metadata.etag.as_str(),
            attributes,
            generation,
            inlined,
            self.seal(attributes.as_deref()),
        ])?;
        Ok(())
    }

    fn from_row(row: &Row<'_>) -> Result<Self, Fault> {
        let key = row.get_ref(0)?.as_blob().map_err(|error| Error::corrupt(format!("a key in the index: {error}")))?;
        let damaged = |why: &dyn std::fmt::Display| {
            let key = String::from_utf8_lossy(key);
            Error::corrupt(format!("the object \u{2018}{key}\u{2019} is damaged in the index: {why}"))
        };
        let moment = |column| -> Result<Timestamp, Fault> {
            let millis = row.get(column)?;
            Ok(Timestamp::from_timestamp_millis(millis).ok_or_else(|| damaged(&"there is no such time"))?)
        };
        let attributes: Option<String> = row.get(6)?;
        let located = Self {
            metadata: StorageMetadata {
                key: Key::new(String::from_utf8(key.to_vec()).map_err(|error| damaged(&error))?)?,
                size: row.get::<_, i64>(1)?.cast_unsigned(),
                created_at: moment(2)?,
                updated_at: moment(3)?,
                checksum: Checksum::from_u64(row.get::<_, i64>(4)?.cast_unsigned()),
                etag: ETag::new(row.get::<_, String>(5)?).map_err(|error| damaged(&error))?,
                attributes: attributes_from_text(attributes.as_deref()).map_err(|error| damaged(&error))?,
            },
            generation: row.get(7)?,
            inlined: row.get(8)?,
        };
        if located.seal(attributes.as_deref()) != row.get::<_, i64>(9)? {
            return Err(damaged(&"its metadata does not have its checksum").into());
        }
        Ok(located)
    }

    /// The checksum of all columns: SQLite itself does not notice a flipped bit in a value.
    fn seal(&self, attributes: Option<&str>) -> i64 {
        let StorageMetadata { key, size, created_at, updated_at, checksum, etag, attributes: _ } = &self.metadata;
        let mut seal = Checksum::hasher();
        for text in [key.as_str(), etag.as_str(), attributes.unwrap_or_default()] {
            seal.update(&(text.len() as u64).to_le_bytes());
            seal.update(text.as_bytes());
        }
        for number in [
            *size,
            created_at.timestamp_millis().cast_unsigned(),
            updated_at.timestamp_millis().cast_unsigned(),
            checksum.as_u64(),
            self.generation.0,
            u64::from(self.inlined),
        ] {
            seal.update(&number.to_le_bytes());
        }
        seal.finish().as_u64().cast_signed()
    }
}

/// Puts the value of a generation in its place.
pub(in super::super) fn write_value(
    connection: &Connection,
    generation: Generation,
    value: &[u8],
) -> Result<(), Fault> {
    connection.prepare_cached("INSERT INTO inlined VALUES (?1, ?2)")?.execute(params![generation, value])?;
    Ok(())
}

/// A row that does not have its checksum.
#[derive(Debug)]
pub(in super::super) struct Damaged {
    pub(in super::super) error: Error,
    /// What it says of itself, of which one may be wrong.
    pub(in super::super) generation: Option<Generation>,
    pub(in super::super) etag: Option<String>,
}

/// In which order of their keys rows are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Order {
    Ascending,
    Descending,
}

/// Hands over every row for as long as `each` says so, also damaged ones. Ends with the fault if a page can not be read.
pub(in super::super) fn scan(
    connection: &Connection,
    order: Order,
    mut each: impl FnMut(Result<Located, Damaged>) -> bool,
) -> Result<(), Fault> {
    let mut statement = connection.prepare(match order {
        Order::Ascending => concat!("SELECT ", columns!(), " FROM objects o ORDER BY key"),
        Order::Descending => concat!("SELECT ", columns!(), " FROM objects o ORDER BY key DESC"),
    })?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let located = Located::from_row(row).map_err(|fault| Damaged {
            error: match fault {
                Fault::Other(error) => error,
                Fault::Sql(error) => Error::corrupt(format!("a row of the index is damaged: {error}")),
            },
            generation: row.get(7).ok(),
            etag: row.get(5).ok(),
        });
        if !each(located) {
            break;
        }
    }
    Ok(())
}

/// How much there is, as counted with every change.
pub(in super::super) fn usage(connection: &Connection) -> Result<Usage, Fault> {
    let mut statement = connection.prepare_cached("SELECT objects, bytes FROM totals")?;
    Ok(statement.query_row([], |row| {
        Ok(Usage { objects: row.get::<_, i64>(0)?.cast_unsigned(), bytes: row.get::<_, i64>(1)?.cast_unsigned() })
    })?)
}

/// The least bytes behind all keys that begin with the prefix, if there are any. No byte of UTF-8 is 0xFF, so that the
/// last one can always be counted up.
pub(super) fn behind_prefix(prefix: &str) -> Option<Vec<u8>> {
    let mut bytes = prefix.as_bytes().to_vec();
    *bytes.last_mut()? += 1;
    Some(bytes)
}

fn attributes_to_text(attributes: &Attributes) -> Result<Option<String>> {
    if *attributes == Attributes::default() {
        return Ok(None);
    }
    serde_json::to_string(attributes)
        .map(Some)
        .map_err(|error| Error::internal(format!("could not write down the attributes of an object: {error}")))
}

fn attributes_from_text(text: Option<&str>) -> serde_json::Result<Attributes> {
    text.map_or_else(|| Ok(Attributes::default()), serde_json::from_str)
}
