//! Entries of the plugin's own, which outlast it: `grants: { state: true }`.
//!
//! All instances of a plugin share them, and no other plugin sees them; a write that was acknowledged survives a crash of
//! the host. Natively, in tests, they are in memory: [`testing::grant_state`](crate::testing::grant_state).
//!
//! ```
//! use larder_sdk::state::{self, Expected};
//! use larder_sdk::{ErrorKind, Result, testing};
//!
//! /// Counts, however many do so at once.
//! async fn count() -> Result<u64> {
//!     loop {
//!         let (count, expected) = match state::get("count").await? {
//!             Some(entry) => (entry.value[0] as u64 + 1, Expected::Version(entry.version)),
//!             None => (1, Expected::Absent),
//!         };
//!         match state::put("count", vec![count as u8], expected).await {
//!             Ok(_) => return Ok(count),
//!             Err(error) if error.is(ErrorKind::PreconditionFailed) => {}
//!             Err(error) => return Err(error),
//!         }
//!     }
//! }
//!
//! testing::grant_state();
//! testing::run(async {
//!     count().await.unwrap();
//!     assert_eq!(count().await.unwrap(), 2);
//! });
//! ```

use crate::abi;
use crate::error::Result;

/// Names one write of one entry: no other write of that entry has the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version(pub(crate) String);

/// A value, and the write that it came with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The value.
    pub value: Vec<u8>,
    /// The write.
    pub version: Version,
}

/// What must be so for a write to happen. Of several writers that expect the same, one wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Whatever there is, or is not.
    Anything,
    /// There is no entry under the key.
    Absent,
    /// The entry under the key is that of this write.
    Version(Version),
}

/// One page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPage {
    /// In strictly rising byte order.
    pub keys: Vec<String>,
    /// Whether there are more behind the last of these.
    pub more: bool,
}

/// Returns the entry under the key, if there is one.
///
/// # Errors
/// [`PermissionDenied`](crate::ErrorKind::PermissionDenied) if no state is granted;
/// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a key that is none: those are 1 to 1,024 bytes, without NUL.
pub async fn get(key: &str) -> Result<Option<Entry>> {
    abi::state::get(key).await
}

/// Stores a value of up to 1 MiB under the key, and returns the version of this write.
///
/// # Errors
/// As [`get`], and [`PreconditionFailed`](crate::ErrorKind::PreconditionFailed) if what is there is not what was expected,
/// [`Exhausted`](crate::ErrorKind::Exhausted) if there is no room left, [`TooLarge`](crate::ErrorKind::TooLarge). Nothing
/// was changed.
pub async fn put(key: &str, value: impl Into<Vec<u8>>, expected: Expected) -> Result<Version> {
    abi::state::put(key, value.into(), expected).await
}

/// Deletes the entry under the key; with a version, only if it is that of this write.
///
/// # Errors
/// As [`get`], and [`NotFound`](crate::ErrorKind::NotFound),
/// [`PreconditionFailed`](crate::ErrorKind::PreconditionFailed).
pub async fn delete(key: &str, expected: Option<&Version>) -> Result<()> {
    abi::state::delete(key, expected).await
}

/// Lists up to `limit` keys, 1 to 1,000, that begin with `prefix` and lie behind `start_after` in byte order.
///
/// # Errors
/// As [`get`].
pub async fn list_keys(prefix: &str, start_after: Option<&str>, limit: u32) -> Result<KeyPage> {
    abi::state::list_keys(prefix, start_after, limit).await
}
