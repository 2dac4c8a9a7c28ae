//! Between the generated types and those that authors see.

use std::time::Duration;

use super::bindings::larder::plugin::types as wit;
use crate::checksum::Checksum;
use crate::error::{Error, ErrorKind};
use crate::lifecycle::Candidate;
use crate::object::{AttributeChanges, Attributes, ETag, Metadata};
use crate::provider::{Condition, ListQuery, Page, Stamp, StoreOptions};
use crate::range::ByteRange;
use crate::timestamp::Timestamp;

/// The whole milliseconds of a span, the longest that there is for longer ones.
pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

macro_rules! error_kinds {
    ($($kind:ident)*) => {
        impl From<ErrorKind> for wit::ErrorKind {
            fn from(kind: ErrorKind) -> Self {
                match kind {
                    $(ErrorKind::$kind => Self::$kind,)*
                }
            }
        }

        impl From<wit::ErrorKind> for ErrorKind {
            fn from(kind: wit::ErrorKind) -> Self {
                match kind {
                    $(wit::ErrorKind::$kind => Self::$kind,)*
                }
            }
        }
    };
}

error_kinds! {
    NotFound PreconditionFailed InvalidInput RangeNotSatisfiable Unsupported Exhausted TooLarge Corrupt
    PermissionDenied Unavailable Timeout Internal
}

impl From<Error> for wit::Error {
    fn from(error: Error) -> Self {
        let Error { kind, code, message, retry_after } = error;
        Self { kind: kind.into(), code, message, retry_after: retry_after.map(millis) }
    }
}

// No `From`: the generated type is a `std::error::Error`, and all of those become `internal`.
pub(super) fn error(error: wit::Error) -> Error {
    let wit::Error { kind, code, message, retry_after } = error;
    Error { kind: kind.into(), code, message, retry_after: retry_after.map(Duration::from_millis) }
}

impl From<Attributes> for wit::Attributes {
    fn from(attributes: Attributes) -> Self {
        let Attributes { content_type, user_metadata, tags } = attributes;
        Self { content_type, user_metadata: user_metadata.into(), tags: tags.into() }
    }
}

impl From<wit::Attributes> for Attributes {
    fn from(attributes: wit::Attributes) -> Self {
        let wit::Attributes { content_type, user_metadata, tags } = attributes;
        Self { content_type, user_metadata: user_metadata.into(), tags: tags.into() }
    }
}

impl From<AttributeChanges> for wit::AttributeChanges {
    fn from(changes: AttributeChanges) -> Self {
        let AttributeChanges { content_type, user_metadata, tags } = changes;
        Self { content_type, user_metadata: user_metadata.map(Into::into), tags: tags.map(Into::into) }
    }
}

impl From<wit::AttributeChanges> for AttributeChanges {
    fn from(changes: wit::AttributeChanges) -> Self {
        let wit::AttributeChanges { content_type, user_metadata, tags } = changes;
        Self { content_type, user_metadata: user_metadata.map(Into::into), tags: tags.map(Into::into) }
    }
}

impl From<Metadata> for wit::Metadata {
    fn from(metadata: Metadata) -> Self {
        let Metadata { key, size, created_at, updated_at, checksum, etag, attributes } = metadata;
        Self {
            key,
            size,
            created_at: created_at.as_millis(),
            updated_at: updated_at.as_millis(),
            checksum: checksum.0,
            etag: etag.into(),
            attributes: attributes.into(),
        }
    }
}

impl From<wit::Candidate> for Candidate {
    fn from(candidate: wit::Candidate) -> Self {
        let wit::Candidate { metadata, last_read_at } = candidate;
        Self { metadata: metadata.into(), last_read_at: last_read_at.map(Timestamp::from_millis) }
    }
}

impl From<wit::Metadata> for Metadata {
    fn from(metadata: wit::Metadata) -> Self {
        let wit::Metadata { key, size, created_at, updated_at, checksum, etag, attributes } = metadata;
        Self {
            key,
            size,
            created_at: Timestamp::from_millis(created_at),
            updated_at: Timestamp::from_millis(updated_at),
            checksum: Checksum(checksum),
            etag: ETag::new(etag),
            attributes: attributes.into(),
        }
    }
}

impl From<ByteRange> for wit::ByteRange {
    fn from(range: ByteRange) -> Self {
        match range {
            ByteRange::Between(start, end) => Self::Between((start, end)),
            ByteRange::StartingAt(start) => Self::StartingAt(start),
            ByteRange::Last(count) => Self::Last(count),
        }
    }
}

impl From<wit::ByteRange> for ByteRange {
    fn from(range: wit::ByteRange) -> Self {
        match range {
            wit::ByteRange::Between((start, end)) => Self::Between(start, end),
            wit::ByteRange::StartingAt(start) => Self::StartingAt(start),
            wit::ByteRange::Last(count) => Self::Last(count),
        }
    }
}

impl From<StoreOptions> for wit::StoreOptions {
    fn from(options: StoreOptions) -> Self {
        let StoreOptions { attributes, stamp, condition } = options;
        let stamp = wit::Stamp {
            etag: stamp.etag.into(),
            updated_at: stamp.updated_at.as_millis(),
            created_at: stamp.created_at.map(Timestamp::as_millis),
        };
        let condition = condition.map(|condition| match condition {
            Condition::IfAbsent => wit::Condition::IfAbsent,
            Condition::IfMatch(etag) => wit::Condition::IfMatch(etag.into()),
        });
        Self { attributes: attributes.into(), stamp, condition }
    }
}

impl From<wit::StoreOptions> for StoreOptions {
    fn from(options: wit::StoreOptions) -> Self {
        let wit::StoreOptions { attributes, stamp, condition } = options;
        let stamp = Stamp {
            etag: ETag::new(stamp.etag),
            updated_at: Timestamp::from_millis(stamp.updated_at),
            created_at: stamp.created_at.map(Timestamp::from_millis),
        };
        let condition = condition.map(|condition| match condition {
            wit::Condition::IfAbsent => Condition::IfAbsent,
            wit::Condition::IfMatch(etag) => Condition::IfMatch(ETag::new(etag)),
        });
        Self { attributes: attributes.into(), stamp, condition }
    }
}

impl From<&ListQuery> for wit::ListQuery {
    fn from(query: &ListQuery) -> Self {
        let ListQuery { prefix, start_after, limit } = query;
        Self { prefix: prefix.clone(), start_after: start_after.clone(), limit: *limit }
    }
}

impl From<wit::ListQuery> for ListQuery {
    fn from(query: wit::ListQuery) -> Self {
        let wit::ListQuery { prefix, start_after, limit } = query;
        Self { prefix, start_after, limit }
    }
}

impl From<Page> for wit::Page {
    fn from(page: Page) -> Self {
        let Page { objects, more } = page;
        Self { objects: objects.into_iter().map(Into::into).collect(), more }
    }
}

impl From<wit::Page> for Page {
    fn from(page: wit::Page) -> Self {
        let wit::Page { objects, more } = page;
        Self { objects: objects.into_iter().map(Into::into).collect(), more }
    }
}
