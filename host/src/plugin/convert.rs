//! Between the nouns of the host and the records of `wit/types.wit`.
//!
//! What comes from a plugin is held against the same rules as what comes from anyone: only the constructors of the nouns
//! make nouns.

use std::time::Duration;

use super::GrantedSecrets;
use super::bindings::provider::larder::plugin::types as wit;
use super::exports;
use super::log::on_one_line;
use crate::error::{Error, Result};
use crate::lifecycle::Candidate;
use crate::object::{
    AttributeChanges, Attributes, ByteRange, Checksum, ETag, Key, StorageMetadata, Tags, UserMetadata,
    millis_from_timestamp, timestamp_from_millis,
};
use crate::provider::{Condition, ListQuery, Page, Stamp, StoreOptions};

/// The longest text that is taken over from a plugin's error.
const MAX_MESSAGE: usize = 1024;
/// The longest code of an error, in bytes.
const MAX_CODE: usize = 64;
/// The longest that a plugin has its callers wait.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// A failure that a plugin returned, for a request about `key`, without the secrets that it was handed.
pub(super) fn error_from_plugin(error: wit::Error, key: Option<&Key>, secrets: &GrantedSecrets) -> Error {
    let wit::Error { kind, code, message, retry_after } = error;
    // The most frequent of all, which needs none of the plugin's words.
    if let (wit::ErrorKind::NotFound, Some(key)) = (kind, key) {
        return Error::not_found(key);
    }
    let (code, message) = (secrets.redact(&code), secrets.redact(&message));
    let mut message = on_one_line(&message, MAX_MESSAGE).into_owned();
    if !code.is_empty() {
        message = format!("{message} ({})", on_one_line(&code, MAX_CODE));
    }
    match kind {
        // Of what was not asked for.
        wit::ErrorKind::NotFound | wit::ErrorKind::Internal => Error::internal(message),
        wit::ErrorKind::PreconditionFailed => Error::precondition_failed(message),
        wit::ErrorKind::InvalidInput => Error::invalid_input(message),
        wit::ErrorKind::RangeNotSatisfiable => Error::invalid_input(message),
        wit::ErrorKind::Unsupported => Error::unsupported(message),
        wit::ErrorKind::Exhausted => Error::exhausted(message),
        wit::ErrorKind::TooLarge => Error::too_large(message),
        wit::ErrorKind::Corrupt => Error::corrupt(message),
        wit::ErrorKind::PermissionDenied => Error::permission_denied(message),
        wit::ErrorKind::Unavailable => {
            let retry_after = retry_after.map(|after| Duration::from_millis(after).min(MAX_RETRY_AFTER));
            Error::Unavailable { message, retry_after }
        }
        wit::ErrorKind::Timeout => Error::timeout(message),
    }
}

/// A failure of the host, told to a plugin.
pub(super) fn error_to_plugin(error: &Error) -> wit::Error {
    let kind = match error {
        Error::NotFound { .. } => wit::ErrorKind::NotFound,
        Error::PreconditionFailed { .. } => wit::ErrorKind::PreconditionFailed,
        Error::InvalidInput { .. } => wit::ErrorKind::InvalidInput,
        Error::RangeNotSatisfiable { .. } => wit::ErrorKind::RangeNotSatisfiable,
        Error::Unsupported { .. } => wit::ErrorKind::Unsupported,
        Error::Exhausted { .. } => wit::ErrorKind::Exhausted,
        Error::TooLarge { .. } => wit::ErrorKind::TooLarge,
        Error::Corrupt { .. } => wit::ErrorKind::Corrupt,
        Error::PermissionDenied { .. } => wit::ErrorKind::PermissionDenied,
        Error::Unavailable { .. } => wit::ErrorKind::Unavailable,
        Error::Timeout { .. } => wit::ErrorKind::Timeout,
        Error::Internal { .. } => wit::ErrorKind::Internal,
    };
    let retry_after = match error {
        Error::Unavailable { retry_after, .. } => retry_after.map(millis),
        _ => None,
    };
    wit::Error { kind, code: String::new(), message: error.to_string(), retry_after }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn pairs<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<wit::Pair> {
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

impl From<&Attributes> for wit::Attributes {
    fn from(attributes: &Attributes) -> Self {
        Self {
            content_type: attributes.content_type.clone(),
            user_metadata: pairs(attributes.user_metadata.iter()),
            tags: pairs(attributes.tags.iter()),
        }
    }
}

impl TryFrom<wit::Attributes> for Attributes {
    type Error = Error;

    fn try_from(attributes: wit::Attributes) -> Result<Self> {
        Ok(Self {
            content_type: attributes.content_type,
            user_metadata: UserMetadata::from_pairs(attributes.user_metadata)?,
            tags: Tags::from_pairs(attributes.tags)?,
        })
    }
}

impl From<&StorageMetadata> for wit::Metadata {
    fn from(metadata: &StorageMetadata) -> Self {
        Self {
            key: metadata.key.as_str().to_owned(),
            size: metadata.size,
            created_at: millis_from_timestamp(metadata.created_at),
            updated_at: millis_from_timestamp(metadata.updated_at),
            checksum: metadata.checksum.as_u64(),
            etag: metadata.etag.as_str().to_owned(),
            attributes: (&metadata.attributes).into(),
        }
    }
}

impl From<&Candidate> for wit::Candidate {
    fn from(candidate: &Candidate) -> Self {
        Self { metadata: (&candidate.metadata).into(), last_read_at: candidate.last_read_at.map(millis_from_timestamp) }
    }
}

impl TryFrom<exports::Metadata> for StorageMetadata {
    type Error = Error;

    fn try_from(metadata: exports::Metadata) -> Result<Self> {
        Ok(Self {
            key: Key::new(metadata.key)?,
            size: metadata.size,
            created_at: timestamp_from_millis(metadata.created_at),
            updated_at: timestamp_from_millis(metadata.updated_at),
            checksum: Checksum::from_u64(metadata.checksum),
            etag: ETag::new(metadata.etag)?,
            attributes: metadata.attributes.try_into()?,
        })
    }
}

impl From<&StoreOptions> for exports::StoreOptions {
    fn from(options: &StoreOptions) -> Self {
        Self {
            attributes: (&options.attributes).into(),
            stamp: exports::Stamp {
                etag: options.stamp.etag.shared(),
                updated_at: millis_from_timestamp(options.stamp.updated_at),
                created_at: options.stamp.created_at.map(millis_from_timestamp),
            },
            condition: match &options.condition {
                Condition::None => None,
                Condition::IfAbsent => Some(exports::Condition::IfAbsent),
                Condition::IfMatch(etag) => Some(exports::Condition::IfMatch(etag.shared())),
            },
        }
    }
}

impl TryFrom<wit::StoreOptions> for StoreOptions {
    type Error = Error;

    fn try_from(options: wit::StoreOptions) -> Result<Self> {
        let wit::StoreOptions { attributes, stamp, condition } = options;
        Ok(Self {
            attributes: attributes.try_into()?,
            stamp: Stamp {
                etag: ETag::new(stamp.etag)?,
                updated_at: timestamp_from_millis(stamp.updated_at),
                created_at: stamp.created_at.map(timestamp_from_millis),
            },
            condition: match condition {
                None => Condition::None,
                Some(wit::Condition::IfAbsent) => Condition::IfAbsent,
                Some(wit::Condition::IfMatch(etag)) => Condition::IfMatch(ETag::new(etag)?),
            },
        })
    }
}

impl From<ByteRange> for wit::ByteRange {
    fn from(range: ByteRange) -> Self {
        range.fold(|start, end| Self::Between((start, end)), Self::StartingAt, Self::Last)
    }
}

impl TryFrom<wit::ByteRange> for ByteRange {
    type Error = Error;

    fn try_from(range: wit::ByteRange) -> Result<Self> {
        match range {
            wit::ByteRange::Between((start, end)) => Self::between(start, end),
            wit::ByteRange::StartingAt(start) => Ok(Self::starting_at(start)),
            wit::ByteRange::Last(count) => Self::last(count),
        }
    }
}

impl From<&AttributeChanges> for wit::AttributeChanges {
    fn from(changes: &AttributeChanges) -> Self {
        Self {
            content_type: changes.content_type.clone(),
            user_metadata: changes.user_metadata.as_ref().map(|metadata| pairs(metadata.iter())),
            tags: changes.tags.as_ref().map(|tags| pairs(tags.iter())),
        }
    }
}

impl TryFrom<wit::AttributeChanges> for AttributeChanges {
    type Error = Error;

    fn try_from(changes: wit::AttributeChanges) -> Result<Self> {
        Ok(Self {
            content_type: changes.content_type,
            user_metadata: changes.user_metadata.map(UserMetadata::from_pairs).transpose()?,
            tags: changes.tags.map(Tags::from_pairs).transpose()?,
        })
    }
}

impl From<&ListQuery> for wit::ListQuery {
    fn from(query: &ListQuery) -> Self {
        Self {
            prefix: query.prefix.clone(),
            start_after: query.start_after.clone(),
            limit: u32::try_from(query.limit).unwrap_or(u32::MAX),
        }
    }
}

impl From<wit::ListQuery> for ListQuery {
    fn from(query: wit::ListQuery) -> Self {
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX).clamp(1, Self::MAX_LIMIT);
        Self { prefix: query.prefix, start_after: query.start_after, limit }
    }
}

impl From<&Page> for wit::Page {
    fn from(page: &Page) -> Self {
        Self { objects: page.objects.iter().map(wit::Metadata::from).collect(), more: page.more }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugins_nonsense_becomes_an_error_and_no_noun() {
        let good = || exports::Metadata {
            key: "k".into(),
            size: 1,
            created_at: 0,
            updated_at: 0,
            checksum: 0,
            etag: "e".into(),
            attributes: wit::Attributes { content_type: None, user_metadata: vec![], tags: vec![] },
        };
        assert!(StorageMetadata::try_from(good()).is_ok());
        assert!(StorageMetadata::try_from(exports::Metadata { key: "".into(), ..good() }).is_err());
        assert!(StorageMetadata::try_from(exports::Metadata { etag: "a\"b".into(), ..good() }).is_err());
        let twice = vec![("a".into(), String::new()), ("a".into(), String::new())];
        let attributes = wit::Attributes { content_type: None, user_metadata: vec![], tags: twice };
        assert!(StorageMetadata::try_from(exports::Metadata { attributes, ..good() }).is_err());
        assert!(StorageMetadata::try_from(exports::Metadata { updated_at: u64::MAX, ..good() }).is_ok());
    }

    #[test]
    fn errors_keep_their_kind_both_ways() {
        let key = Key::new("k").unwrap();
        let errors = [
            Error::not_found(&key),
            Error::precondition_failed("x"),
            Error::invalid_input("x"),
            Error::unsupported("x"),
            Error::exhausted("x"),
            Error::too_large("x"),
            Error::corrupt("x"),
            Error::permission_denied("x"),
            Error::Unavailable { message: "x".into(), retry_after: Some(Duration::from_secs(3)) },
            Error::timeout("x"),
            Error::internal("x"),
        ];
        for error in errors {
            let back = error_from_plugin(error_to_plugin(&error), Some(&key), &GrantedSecrets::default());
            assert_eq!((back.kind(), back.to_string()), (error.kind(), error.to_string()));
        }
    }
}
