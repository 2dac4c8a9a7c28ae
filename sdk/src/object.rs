use std::fmt;
use std::time::Duration;

use crate::body::Body;
use crate::checksum::Checksum;
use crate::pairs::Pairs;
use crate::timestamp::Timestamp;

/// Names one write of one object: no other write, of any object, ever has the same. Opaque; the host makes it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ETag(String);

impl ETag {
    /// Takes text that came from an etag: 1 to 64 characters of printable ASCII without quotes.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The etag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl From<ETag> for String {
    fn from(etag: ETag) -> Self {
        etag.0
    }
}

/// What is known of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// UTF-8 of 1 to 1,024 bytes, without NUL. Opaque.
    pub key: String,
    /// The number of bytes.
    pub size: u64,
    /// When the key came to be; overwriting keeps it.
    pub created_at: Timestamp,
    /// When these bytes were stored; changing attributes leaves it as it is.
    pub updated_at: Timestamp,
    /// The checksum of the bytes.
    pub checksum: Checksum,
    /// Names the write that these bytes came with.
    pub etag: ETag,
    /// What the writer said about it.
    pub attributes: Attributes,
}

impl Metadata {
    /// How long ago, as of `now`, the bytes were stored.
    pub fn age(&self, now: Timestamp) -> Duration {
        now.since(self.updated_at)
    }
}

/// What a writer says about an object beside its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// A media type, such as `text/plain; charset=utf-8`.
    pub content_type: Option<String>,
    /// The writer's own names and values, opaque to larder. Names are lower case.
    pub user_metadata: Pairs,
    /// Names and values that policies and operators select by.
    pub tags: Pairs,
}

impl Attributes {
    /// Carries out changes: what is absent in them stays.
    pub fn apply(&mut self, changes: AttributeChanges) {
        let AttributeChanges { content_type, user_metadata, tags } = changes;
        if content_type.is_some() {
            self.content_type = content_type;
        }
        if let Some(user_metadata) = user_metadata {
            self.user_metadata = user_metadata;
        }
        if let Some(tags) = tags {
            self.tags = tags;
        }
    }
}

/// A change of attributes. What is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttributeChanges {
    /// The new content type.
    pub content_type: Option<String>,
    /// All of the new user metadata.
    pub user_metadata: Option<Pairs>,
    /// All of the new tags.
    pub tags: Option<Pairs>,
}

/// An object as it was at one moment: its metadata and its bytes are of the same write.
#[derive(Debug)]
pub struct Object {
    /// The metadata of the whole object, also when `body` is a range of it.
    pub metadata: Metadata,
    /// The bytes of the object, or of the range that was asked for.
    pub body: Body,
}
