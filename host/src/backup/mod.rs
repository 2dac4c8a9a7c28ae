//! Backups: what stores held at one moment, kept in another store.
//!
//! A [`Repository`] keeps bytes under their SHA-256, each once, whichever object and whichever backup they are of. A
//! backup is a list of objects, of which each says which bytes it has. What an earlier backup has of an object that did not
//! change since is not read again. What is written where stands in `host/docs/backup.md`.
//!
//! Objects are backed up as they are stored: what is encrypted in the store is so in the backup. [`Backup`] shows the
//! objects of a backup as a provider, and within the layers of a store it reads as the store did.

mod chunks;
mod create;
mod entry;
mod keep;
mod known;
mod lease;
mod pages;
mod record;
mod remove;
mod repository;
mod restore;
#[cfg(test)]
mod tests;
mod verify;
mod view;

pub use self::create::{Reading, create};
pub use self::keep::Keep;
pub use self::record::BackupRecord;
pub use self::remove::{Removed, remove};
pub use self::repository::Repository;
pub use self::restore::{Existing, Restored, Selection, restore};
pub use self::verify::{Verified, verify};
pub use self::view::Backup;
use crate::error::Error;
use crate::object::Key;

/// Hears how work on a backup goes on.
pub trait Watch: Send + Sync {
    /// There are so many more objects, of so many bytes together.
    fn expect(&self, _objects: u64, _bytes: u64) {}
    /// An object is done that has so many bytes.
    fn done(&self, _bytes: u64) {}
    /// An object, or all of a backup, can not be read, or can not be written; work goes on with the others.
    fn failed(&self, _what: Failed<'_>, _error: &Error) {}
}

/// What failed by itself.
#[derive(Clone, Copy, Debug)]
pub enum Failed<'a> {
    /// An object.
    Object(&'a Key),
    /// What says which objects a backup has.
    Backup(&'a str),
}

/// Hears nothing.
impl Watch for () {}

/// How many objects are worked on at a time: enough of them that a store which commits together has something to do.
const CONCURRENT: usize = 32;

/// How many objects that come in pieces are worked on at a time: each may have two of the largest chunks in memory.
const CONCURRENT_LARGE: usize = 4;
