use std::fmt;

use async_trait::async_trait;

use super::ListQuery;
use crate::error::Result;
use crate::object::{Key, Timestamp};

/// Says which objects of a provider are to be looked at by when, so that whoever looks at them by their age need not walk over
/// all.
///
/// From [`begin`](DueIndex::begin) on, every object that is written or changed is due at once, in the same step as the change,
/// whoever makes it; and one that is deleted is not in the index. Whoever has looked at an object [`set`](DueIndex::set)s when
/// it is to be looked at again. What was there before is not in the index until it is set; once all of it is, the index is
/// [`complete`](DueIndex::complete).
///
/// Whoever begins it anew ends the use that others make of it: what they set from then on is nothing.
#[async_trait]
pub trait DueIndex: fmt::Debug + Send + Sync {
    /// What the index is for, and whether it is complete; `None` if none is kept.
    ///
    /// # Errors
    /// Those of the provider being out of reach; so of all methods.
    async fn state(&self) -> Result<Option<DueState>>;

    /// Begins an index for this purpose; one that there was is emptied.
    async fn begin(&self, purpose: &str) -> Result<Serial>;

    /// Takes note that every object is in the index that has to be, if it is still this one.
    async fn complete(&self, index: Serial) -> Result<()>;

    /// Keeps no index any more. Costs little if there is none.
    async fn end(&self) -> Result<()>;

    /// The versions of the objects of a page, in order of keys; to be asked for before the page is listed.
    async fn versions(&self, query: &ListQuery) -> Result<Vec<(Key, Version)>>;

    /// Objects that are due, earliest first and of one time in order of their keys: at most `limit` of those behind `after`.
    async fn due(&self, not_after: Timestamp, after: Option<&Due>, limit: usize) -> Result<Vec<Due>>;

    /// Sets when objects are to be looked at, all or none, if it is still this index.
    async fn set(&self, index: Serial, looks: Vec<(Key, NextLook)>) -> Result<()>;
}

/// What an index is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueState {
    /// As given to [`DueIndex::begin`].
    pub purpose: String,
    /// Whether every object is in it that has to be.
    pub complete: bool,
    /// Which of all that were begun.
    pub serial: Serial,
}

/// Names an index from its beginning to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serial(pub(in crate::provider) i64);

/// Names an object as it is now: bytes, times and attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(pub(in crate::provider) i64);

/// An object that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Its key.
    pub key: Key,
    /// Since when.
    pub at: Timestamp,
    /// How it is now.
    pub version: Version,
}

/// When an object is to be looked at next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextLook {
    /// At once.
    Now,
    /// At this moment, if it is still of that version; otherwise it is due at once already.
    At(Version, Timestamp),
    /// When it is changed, if it is still of that version.
    WhenChanged(Version),
}
