//! The first seam: where bytes live.

mod due;
pub mod file;
mod finding;
pub mod grouped;
pub mod layers;
pub mod memory;
mod read_only;

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;

pub use self::due::{Due, DueIndex, DueState, NextLook, Serial, Version};
pub use self::finding::{CheckReport, Finding, FindingKind, Findings, Watch};
pub use self::read_only::{Objects, ReadOnly};

use crate::error::{Error, Result};
use crate::lifecycle::AgeingStore;
use crate::object::{
    AttributeChanges, Attributes, Body, ByteRange, Checksum, ETag, Key, Object, StorageMetadata, Timestamp, now,
};

/// Keeps objects. What a provider promises, natively or as a plugin:
///
/// - **Atomicity.** A write happens whole or not at all. A write that failed or was cut off, even in the middle of its
///   body, leaves the object as it was. A reader sees one write whole: bytes and metadata of the same one, even if the
///   object is overwritten or deleted while the body is being read.
/// - **Order.** Once a call has returned, every later call sees its effect. Of concurrent writes of a key one is last,
///   and all readers agree which.
/// - **Conditions** are checked and the write done in one step: of several writers with the same condition one wins.
/// - **Integrity.** Bytes that are not the ones stored are [`Error::Corrupt`], never data.
/// - **Opaque keys.** Any two different keys name different objects.
/// - **Honesty.** What it does not do is [`Error::Unsupported`], never a silent success.
///
/// How durable an acknowledged write is, each provider says for itself.
///
/// Calls may be dropped half way; the write then happens whole or not at all.
#[async_trait]
pub trait StorageProvider: fmt::Debug + Send + Sync + 'static {
    /// Stores an object under the key, replacing any that is there, and returns its metadata: `created_at` is
    /// `options.stamp.created_at`, or that of the object replaced, or `updated_at`; checksum and size are those of the
    /// bytes; the rest comes from `options`.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`], nothing changed; the body's own error, nothing changed; [`Error::Exhausted`] and
    /// [`Error::TooLarge`] when there is no room.
    async fn store(&self, key: &Key, body: Body, options: StoreOptions) -> Result<StorageMetadata>;

    /// Returns an object, or a range of it. A range that reaches over the end stops there.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::RangeNotSatisfiable`], [`Error::Corrupt`] (also from the body's stream, in the end).
    async fn retrieve(&self, key: &Key, range: Option<ByteRange>) -> Result<Object>;

    /// Deletes an object; with `if_match`, only if the object is that one.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none; [`Error::PreconditionFailed`] if it is another one.
    async fn delete(&self, key: &Key, if_match: Option<&ETag>) -> Result<()>;

    /// Returns a page of a listing: objects in strictly rising byte order of their keys, each once. Objects that were
    /// there all the while are in it, whatever else changed between the pages.
    ///
    /// # Errors
    /// Those of the provider being out of reach.
    async fn list(&self, query: &ListQuery) -> Result<Page>;

    /// Returns an object's metadata.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such object.
    async fn metadata(&self, key: &Key) -> Result<StorageMetadata>;

    /// Changes an object's attributes and nothing else: bytes, times and etag stay. With `if_match`, only if the object
    /// is that one.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such object; [`Error::PreconditionFailed`] if it is another one.
    async fn update(&self, key: &Key, changes: AttributeChanges, if_match: Option<&ETag>) -> Result<StorageMetadata>;

    /// How much there is. Unless a provider knows better, this walks over all objects.
    ///
    /// # Errors
    /// Those of listing.
    async fn usage(&self) -> Result<Usage> {
        let mut usage = Usage::default();
        let mut query = ListQuery::all();
        loop {
            let page = self.list(&query).await?;
            usage.objects += page.objects.len() as u64;
            usage.bytes += page.objects.iter().map(|object| object.size).sum::<u64>();
            match page.next() {
                Some(last) => query.start_after = Some(last.as_str().to_owned()),
                None => return Ok(usage),
            }
        }
    }

    /// Reads all that is there and holds it against its checksums; `watch` hears how far that is, and of what is not as it
    /// should be. Changes nothing. Unless a provider knows better, every object is read.
    ///
    /// # Errors
    /// What hinders all of it. What concerns one object is a finding.
    async fn check(&self, watch: Arc<dyn Watch>) -> Result<CheckReport> {
        finding::read_all(self, &*watch).await
    }

    /// Looks through the index that a provider keeps of its objects, if it keeps one, without reading the objects. Changes
    /// nothing.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it is damaged; those of the provider being out of reach.
    async fn check_index(&self) -> Result<()> {
        Ok(())
    }

    /// What there is at this moment, of all objects at once, whatever changes later: a provider that can only be read. It
    /// shows objects as they are stored: within layers, what the layers have written, which is read through the same
    /// layers around it.
    ///
    /// What it shows stays on the disk until it is dropped, also if it is replaced or deleted.
    ///
    /// # Errors
    /// [`Error::Unsupported`] unless a provider can do this; those of the provider being out of reach.
    async fn snapshot(&self) -> Result<Arc<dyn StorageProvider>> {
        Err(Error::unsupported("this provider can not show all that it holds as of one moment"))
    }

    /// What says which of its objects are due, if it can; other stores are walked over.
    fn due_index(self: Arc<Self>) -> Option<Arc<dyn DueIndex>> {
        None
    }

    /// The same store as one whose objects age, if they do.
    fn ageing(self: Arc<Self>) -> Option<Arc<dyn AgeingStore>> {
        None
    }
}

/// How to store an object.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// What the writer says about it.
    pub attributes: Attributes,
    /// The etag and the times it gets.
    pub stamp: Stamp,
    /// What must be so for the write to happen.
    pub condition: Condition,
}

impl StoreOptions {
    /// The metadata of an object of `size` bytes stored so under `key`, in place of `previous`.
    pub fn into_metadata(
        self,
        key: Key,
        size: u64,
        checksum: Checksum,
        previous: Option<&StorageMetadata>,
    ) -> StorageMetadata {
        let Self { attributes, stamp, condition: _ } = self;
        let created_at = stamp.created_at.or(previous.map(|previous| previous.created_at)).unwrap_or(stamp.updated_at);
        StorageMetadata { key, size, created_at, updated_at: stamp.updated_at, checksum, etag: stamp.etag, attributes }
    }
}

/// No attributes, a fresh etag, the present moment, no condition.
impl Default for StoreOptions {
    fn default() -> Self {
        Self { attributes: Attributes::default(), stamp: Stamp::at(now()), condition: Condition::None }
    }
}

/// What identifies and dates a write, decided by its owner so that providers need neither a clock nor randomness.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// The new object's etag.
    pub etag: ETag,
    /// The new object's `updated_at`.
    pub updated_at: Timestamp,
    /// The new object's `created_at`; when absent, that of the object replaced, or else `updated_at`.
    pub created_at: Option<Timestamp>,
}

impl Stamp {
    /// A write at this moment, with a fresh etag.
    pub fn at(moment: Timestamp) -> Self {
        Self { etag: ETag::generate(), updated_at: moment, created_at: None }
    }
}

/// What must be so for a write to happen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// Nothing: the write replaces what is there.
    #[default]
    None,
    /// There is no object under the key.
    IfAbsent,
    /// The object under the key is this one.
    IfMatch(ETag),
}

impl Condition {
    /// Holds the condition against what is there.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`] if it is not met.
    pub fn check(&self, key: &Key, current: Option<&ETag>) -> Result<()> {
        match (self, current) {
            (Self::None, _) | (Self::IfAbsent, None) => Ok(()),
            (Self::IfMatch(wanted), Some(found)) if wanted == found => Ok(()),
            (Self::IfAbsent, Some(found)) => Err(Error::precondition_failed(format!(
                "\u{2018}{key}\u{2019} was to be stored only if absent, and is there with etag {found}"
            ))),
            (Self::IfMatch(wanted), Some(found)) => Err(Error::precondition_failed(format!(
                "\u{2018}{key}\u{2019} was to have etag {wanted}, and has {found}"
            ))),
            (Self::IfMatch(wanted), None) => Err(Error::precondition_failed(format!(
                "\u{2018}{key}\u{2019} was to have etag {wanted}, and is not there"
            ))),
        }
    }
}

/// With an etag, [`Condition::IfMatch`] it.
impl From<Option<&ETag>> for Condition {
    fn from(if_match: Option<&ETag>) -> Self {
        if_match.map_or(Self::None, |etag| Self::IfMatch(etag.clone()))
    }
}

/// Which objects to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// Only keys that begin with this; empty for all.
    pub prefix: String,
    /// Only keys behind this one in byte order; it need not exist.
    pub start_after: Option<String>,
    /// The most objects in a page, 1 to [`ListQuery::MAX_LIMIT`]. A provider may return fewer, but at least one if there
    /// is one.
    pub limit: usize,
}

impl ListQuery {
    /// The most objects in a page.
    pub const MAX_LIMIT: usize = 1000;

    /// All objects, in pages as large as they get.
    pub fn all() -> Self {
        Self::with_prefix("")
    }

    /// The objects whose keys begin with `prefix`, in pages as large as they get.
    pub fn with_prefix(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), start_after: None, limit: Self::MAX_LIMIT }
    }

    /// Where the listing starts: from there on, keys that do not begin with the prefix lie behind all that do.
    pub fn start(&self) -> Bound<&str> {
        match &self.start_after {
            Some(after) if *after >= self.prefix => Bound::Excluded(after),
            _ => Bound::Included(&self.prefix),
        }
    }
}

/// One page of a listing.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// In strictly rising byte order of their keys.
    pub objects: Vec<StorageMetadata>,
    /// Whether there are more behind the last of these.
    pub more: bool,
}

impl Page {
    /// The key to start the next page after, if there is one.
    pub fn next(&self) -> Option<&Key> {
        self.objects.last().filter(|_| self.more).map(|object| &object.key)
    }
}

/// How much a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Usage {
    /// How many objects.
    pub objects: u64,
    /// How many bytes they have together.
    pub bytes: u64,
}
