//! What crosses the boundary of extism, which knows one piece of bytes in and one out: a head in postcard, then the bytes
//! of a body or the columns of a batch as they are.
//!
//! The heads hold what the records in `wit/` hold, except what the comparison leaves at its default on every side
//! (conditions and ranges), in favour of extism.

use serde::{Deserialize, Serialize};

/// Head of a request to store; the body follows.
#[derive(Serialize, Deserialize)]
pub(crate) struct Store<'a> {
    pub(crate) key: &'a str,
    pub(crate) checksum: u64,
    pub(crate) etag: &'a str,
    pub(crate) updated_at: u64,
    pub(crate) created_at: Option<u64>,
    #[serde(borrow)]
    pub(crate) attributes: Attributes<'a>,
}

/// Request to retrieve an object, or its metadata alone.
#[derive(Serialize, Deserialize)]
pub(crate) struct Find<'a> {
    pub(crate) key: &'a str,
}

/// What a writer says about an object.
#[derive(Serialize, Deserialize)]
pub(crate) struct Attributes<'a> {
    pub(crate) content_type: Option<&'a str>,
    pub(crate) user_metadata: Vec<(&'a str, &'a str)>,
    pub(crate) tags: Vec<(&'a str, &'a str)>,
}

/// What is known of an object; in a reply to a request to retrieve, the body follows.
#[derive(Serialize, Deserialize)]
pub(crate) struct Metadata<'a> {
    pub(crate) key: &'a str,
    pub(crate) size: u64,
    pub(crate) created_at: u64,
    pub(crate) updated_at: u64,
    pub(crate) checksum: u64,
    pub(crate) etag: &'a str,
    #[serde(borrow)]
    pub(crate) attributes: Attributes<'a>,
}

/// A failure.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Failure<'a> {
    pub(crate) kind: FailureKind,
    pub(crate) code: &'a str,
    pub(crate) message: &'a str,
    pub(crate) retry_after: Option<u64>,
}

/// What kind of failure it was; this guest knows only one.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FailureKind {
    NotFound,
}

/// Head of a reply.
pub(crate) type Reply<'a> = Result<Metadata<'a>, Failure<'a>>;

/// Head of a batch of events; the columns follow, 8 bytes a number, little-endian. The reply is a column of victims.
#[derive(Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) inserted: u32,
    pub(crate) accessed: u32,
    pub(crate) removed: u32,
    pub(crate) wanted: u64,
    pub(crate) max_victims: u32,
}
