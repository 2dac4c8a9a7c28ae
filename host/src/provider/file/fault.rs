use std::io::{self, ErrorKind};
use std::path::Path;

use rusqlite::ErrorCode;

use crate::error::Error;

/// What goes wrong in the index, before it is known which index it was.
#[derive(Debug)]
pub(super) enum Fault {
    Sql(rusqlite::Error),
    Other(Error),
}

impl Fault {
    /// The error, with the place of the index.
    pub(super) fn at(self, index: &Path) -> Error {
        match self {
            Self::Sql(error) => of_sqlite(&error, index),
            Self::Other(error) => error,
        }
    }

    /// What went wrong, for a sentence that says where.
    pub(super) fn why(&self) -> String {
        match self {
            Self::Sql(error) => error.to_string(),
            Self::Other(error) => error.to_string(),
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// An error of the file system, as what the caller can do about it. `doing` is what was tried: `could not sync`.
pub(super) fn of_io(error: &io::Error, doing: &str, path: &Path) -> Error {
    let what = format!("{doing} \u{2018}{}\u{2019}: {error}", path.display());
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Error::exhausted(format!("{what}; free some space there")),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Error::permission_denied(format!(
            "{what}; let the user that larder runs as read and write there, or choose another folder"
        )),
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            Error::invalid_input(format!("{what}; a part of the path is a file: choose another folder"))
        }
        _ => Error::internal(what),
    }
}

fn of_sqlite(error: &rusqlite::Error, index: &Path) -> Error {
    let place = index.display();
    let what = format!("the index \u{2018}{place}\u{2019}: {error}");
    let rusqlite::Error::SqliteFailure(failure, _) = error else {
        return match error {
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..) => Error::corrupt(what),
            _ => Error::internal(what),
        };
    };
    match failure.code {
        // The shared memory of the write-ahead log grows on the same disk, and says so in its own way.
        ErrorCode::DiskFull => Error::exhausted(format!("{what}; free some space there")),
        ErrorCode::SystemIoFailure if failure.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE => {
            Error::exhausted(format!("{what}; free some space there"))
        }
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Error::corrupt(format!(
            "{what}; restore the store's folder from a backup, or make a new index with larder store rebuild"
        )),
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen => Error::permission_denied(format!(
            "{what}; let the user that larder runs as read and write this file and its folder"
        )),
        _ => Error::internal(what),
    }
}
