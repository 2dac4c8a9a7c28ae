use serde::{Deserialize, Serialize};

use crate::object::{Digest, StoreName, Timestamp};

/// What there is to be said of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupRecord {
    /// The version of how it is written: 1.
    pub(super) format: u32,
    /// Its name, of 26 digits and letters; those of later backups are greater.
    pub id: String,
    /// The store that it is of.
    pub store: StoreName,
    /// The moment that it shows; or, if it is not of one moment, when it was begun.
    pub taken_at: Timestamp,
    /// When it was whole.
    pub ended_at: Timestamp,
    /// Whether all objects are as they were at one moment. Otherwise each is as it was at some moment in between.
    pub of_one_moment: bool,
    /// How many objects it has.
    pub objects: u64,
    /// How many bytes they have together, as they are stored.
    pub bytes: u64,
    /// How many objects could not be read, since they are damaged in the store: they are not in it.
    pub left_out: u64,
    /// How many objects were read, since no earlier backup has them as they are.
    pub read: u64,
    /// How many bytes the repository has got by it.
    pub added: u64,
    /// The list of its pages.
    pub(super) pages: Digest,
}

impl BackupRecord {
    /// The version that this larder writes, and the last that it reads.
    pub(super) const FORMAT: u32 = 1;
}
