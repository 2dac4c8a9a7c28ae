use serde::de::DeserializeOwned;

use crate::body::Upload;
use crate::checksum::Checksum;
use crate::error::{Error, Result};
use crate::object::{AttributeChanges, Attributes, ETag, Metadata, Object};
use crate::range::ByteRange;
use crate::timestamp::Timestamp;

/// Keeps objects. What a provider promises:
///
/// - **Atomicity.** A write happens whole or not at all: one that failed or was cut off, even in the middle of its body,
///   leaves the object as it was. A reader sees one write whole, bytes and metadata of the same one.
/// - **Order.** Once a call has returned, every later call sees its effect.
/// - **Conditions** are checked and the write done in one step: of several writers with the same condition one wins. A
///   body is read with `await`, and other calls happen meanwhile: check when all of it is there.
/// - **Integrity.** Bytes that are not the ones stored are [`Corrupt`](crate::ErrorKind::Corrupt), never data.
/// - **Opaque keys.** Any two different keys name different objects.
/// - **Honesty.** What it does not do is [`Unsupported`](crate::ErrorKind::Unsupported), never a silent success.
///
/// Methods take `&self`, since several calls run at a time when they wait for something. There is one thread: a
/// [`RefCell`](std::cell::RefCell) guards state, and is not to be borrowed over an `await`. The host may make several
/// instances of a plugin and end any of them: what they must share lives in [`InnerStore`](crate::InnerStore)s.
///
/// A store that refuses to overwrite:
///
/// ```
/// use larder_sdk::{
///     AttributeChanges, ByteRange, Condition, ETag, Error, InnerStore, ListQuery, Metadata, Object, Page, Result,
///     StorageProvider, StoreOptions, Upload,
/// };
///
/// struct WriteOnce {
///     inner: InnerStore,
/// }
///
/// #[derive(serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Config {
///     /// The word under which the operator granted a store.
///     store: String,
/// }
///
/// impl StorageProvider for WriteOnce {
///     type Config = Config;
///
///     async fn open(config: Config) -> Result<Self> {
///         Ok(Self { inner: InnerStore::open(&config.store)? })
///     }
///
///     async fn store(&self, key: &str, upload: Upload, mut options: StoreOptions) -> Result<Metadata> {
///         if let Some(Condition::IfMatch(_)) = options.condition {
///             return Err(Error::permission_denied(format!("‘{key}’ can not be overwritten")).with_code("write-once"));
///         }
///         options.condition = Some(Condition::IfAbsent);
///         self.inner.store(key, upload, options).await
///     }
///
///     async fn retrieve(&self, key: &str, range: Option<ByteRange>) -> Result<Object> {
///         self.inner.retrieve(key, range).await
///     }
///
///     async fn delete(&self, key: &str, _if_match: Option<&ETag>) -> Result<()> {
///         Err(Error::permission_denied(format!("‘{key}’ can not be deleted")).with_code("write-once"))
///     }
///
///     async fn list(&self, query: &ListQuery) -> Result<Page> {
///         self.inner.list(query).await
///     }
///
///     async fn metadata(&self, key: &str) -> Result<Metadata> {
///         self.inner.metadata(key).await
///     }
///
///     async fn update(&self, key: &str, changes: AttributeChanges, if_match: Option<&ETag>) -> Result<Metadata> {
///         self.inner.update(key, changes, if_match).await
///     }
/// }
///
/// larder_sdk::export!(provider: WriteOnce);
///
/// // Its test: the twin of the host grants a store that lives in memory.
/// use larder_sdk::{ErrorKind, testing};
///
/// testing::grant("archive");
/// testing::run(async {
///     let provider: WriteOnce = testing::open_provider("{\"store\": \"archive\"}").await?;
///     provider.store("a", Upload::new("first"), testing::options()).await?;
///     let error = provider.store("a", Upload::new("second"), testing::options()).await.unwrap_err();
///     assert_eq!(error.kind, ErrorKind::PreconditionFailed);
///     let object = provider.retrieve("a", None).await?;
///     assert_eq!(object.body.collect(100).await?, b"first");
///     Ok::<_, Error>(())
/// })
/// .unwrap();
/// ```
#[allow(async_fn_in_trait, reason = "a plugin has one thread, so nothing need be Send")]
pub trait StorageProvider: Sized + 'static {
    /// What the operator writes under `config` for this plugin. Put `#[serde(deny_unknown_fields)]` on it, so that a
    /// misspelt key is an error; see [`config`](crate::config) for what no configuration at all means.
    type Config: DeserializeOwned;

    /// Prepares this instance. Called once, before all else.
    ///
    /// # Errors
    /// Any failure means that the plugin can not work with the configuration, and refuses the plugin.
    async fn open(config: Self::Config) -> Result<Self>;

    /// Stores an object under the key, replacing any that is there, and returns its metadata, as made by
    /// [`StoreOptions::into_metadata`].
    ///
    /// # Errors
    /// [`PreconditionFailed`](crate::ErrorKind::PreconditionFailed) from [`Condition::check`]; the upload's own error; in
    /// all cases nothing changed.
    async fn store(&self, key: &str, upload: Upload, options: StoreOptions) -> Result<Metadata>;

    /// Returns an object, or a range of it.
    ///
    /// # Errors
    /// [`Error::not_found`] if there is none; what [`ByteRange::resolve`] fails with.
    async fn retrieve(&self, key: &str, range: Option<ByteRange>) -> Result<Object>;

    /// Deletes an object; with `if_match`, only if the object is that one.
    ///
    /// # Errors
    /// [`Error::not_found`] if there is none; [`PreconditionFailed`](crate::ErrorKind::PreconditionFailed) if it is
    /// another one.
    async fn delete(&self, key: &str, if_match: Option<&ETag>) -> Result<()>;

    /// Returns a page of a listing: objects in strictly rising byte order of their keys.
    ///
    /// # Errors
    /// Whatever keeps the provider from listing.
    async fn list(&self, query: &ListQuery) -> Result<Page>;

    /// Returns an object's metadata.
    ///
    /// # Errors
    /// [`Error::not_found`] if there is none.
    async fn metadata(&self, key: &str) -> Result<Metadata>;

    /// Changes an object's attributes and nothing else: bytes, times and etag stay. With `if_match`, only if the object
    /// is that one.
    ///
    /// # Errors
    /// [`Error::not_found`] if there is none; [`PreconditionFailed`](crate::ErrorKind::PreconditionFailed) if it is
    /// another one.
    async fn update(&self, key: &str, changes: AttributeChanges, if_match: Option<&ETag>) -> Result<Metadata>;
}

/// How to store an object.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// What the writer says about it.
    pub attributes: Attributes,
    /// The etag and the times it gets.
    pub stamp: Stamp,
    /// What must be so for the write to happen; `None`: nothing.
    pub condition: Option<Condition>,
}

impl StoreOptions {
    /// The metadata of an object of `size` bytes stored so under `key`, in place of `previous`.
    pub fn into_metadata(
        self,
        key: impl Into<String>,
        size: u64,
        checksum: Checksum,
        previous: Option<&Metadata>,
    ) -> Metadata {
        let Self { attributes, stamp, condition: _ } = self;
        let created_at = stamp.created_at.or(previous.map(|previous| previous.created_at)).unwrap_or(stamp.updated_at);
        let (updated_at, etag) = (stamp.updated_at, stamp.etag);
        Metadata { key: key.into(), size, created_at, updated_at, checksum, etag, attributes }
    }
}

/// What the host decides for a write, so that plugins need neither a clock nor randomness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The new object's etag.
    pub etag: ETag,
    /// The new object's `updated_at`.
    pub updated_at: Timestamp,
    /// The new object's `created_at`; when absent, that of the object replaced, or else `updated_at`.
    pub created_at: Option<Timestamp>,
}

/// What must be so for a write to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// There is no object under the key.
    IfAbsent,
    /// The object under the key is this one.
    IfMatch(ETag),
}

impl Condition {
    /// Holds the condition, if there is one, against what is there.
    ///
    /// # Errors
    /// [`PreconditionFailed`](crate::ErrorKind::PreconditionFailed) if it is not met.
    pub fn check(condition: Option<&Self>, key: &str, current: Option<&ETag>) -> Result<()> {
        let wanted = match (condition, current) {
            (None, _) | (Some(Self::IfAbsent), None) => return Ok(()),
            (Some(Self::IfMatch(wanted)), Some(found)) if wanted == found => return Ok(()),
            (Some(Self::IfAbsent), Some(_)) => "absent".to_owned(),
            (Some(Self::IfMatch(wanted)), _) => format!("the object {wanted}"),
        };
        let found = current.map_or("absent".to_owned(), |found| format!("the object {found}"));
        Err(Error::precondition_failed(format!("\u{2018}{key}\u{2019} was to be {wanted}, and is {found}")))
    }
}

/// Which objects to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// Only keys that begin with this; empty for all.
    pub prefix: String,
    /// Only keys behind this one in byte order; it need not exist.
    pub start_after: Option<String>,
    /// The most objects in a page; at least 1. A provider may return fewer, but at least one if there is one.
    pub limit: u32,
}

impl ListQuery {
    /// The objects whose keys begin with `prefix`, in pages of up to 1,000.
    pub fn with_prefix(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), start_after: None, limit: 1000 }
    }
}

/// One page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In strictly rising byte order of their keys.
    pub objects: Vec<Metadata>,
    /// Whether there are more behind the last of these.
    pub more: bool,
}

impl Page {
    /// The key to start the next page after, if there is one.
    pub fn next(&self) -> Option<&str> {
        self.objects.last().filter(|_| self.more).map(|object| object.key.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_condition_says_what_was_wanted_and_what_was_found() {
        let (one, two) = (ETag::new("one"), ETag::new("two"));
        assert!(Condition::check(None, "k", Some(&one)).is_ok());
        assert!(Condition::check(Some(&Condition::IfAbsent), "k", None).is_ok());
        assert!(Condition::check(Some(&Condition::IfMatch(one.clone())), "k", Some(&one)).is_ok());
        let error = Condition::check(Some(&Condition::IfMatch(one.clone())), "k", Some(&two)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::PreconditionFailed);
        assert_eq!(error.message, "‘k’ was to be the object one, and is the object two");
        assert!(Condition::check(Some(&Condition::IfAbsent), "k", Some(&two)).is_err());
        assert!(Condition::check(Some(&Condition::IfMatch(one)), "k", None).is_err());
    }
}
