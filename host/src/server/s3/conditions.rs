//! Preconditions of requests (RFC 9110, section 13), in the precedence that S3 gives them.

use std::time::SystemTime;

use chrono::SubsecRound;
use hyper::header::{ETAG, HeaderMap, HeaderValue};
use s3s::dto::{ETag as S3ETag, ETagCondition, Timestamp};
use s3s::{S3Error, S3Result, s3_error};

use super::errors;
use crate::object::{ETag, StorageMetadata};
use crate::provider::Condition;

/// What must be so for an object to be read.
#[derive(Debug, Default)]
pub(super) struct ReadConditions {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
    pub(super) if_modified_since: Option<Timestamp>,
    pub(super) if_unmodified_since: Option<Timestamp>,
}

impl ReadConditions {
    /// Whether there are any.
    pub(super) fn are_set(&self) -> bool {
        self.if_match.is_some()
            || self.if_none_match.is_some()
            || self.if_modified_since.is_some()
            || self.if_unmodified_since.is_some()
    }

    /// For a read: 412 if it is not the object wanted, 304 if the client has it.
    pub(super) fn check(&self, metadata: &StorageMetadata) -> S3Result<()> {
        if !self.is_wanted(metadata) {
            return Err(precondition_failed(metadata));
        }
        if self.is_known(metadata) {
            let mut error = s3_error!(NotModified);
            if let Ok(etag) = HeaderValue::from_str(&format!("\"{}\"", metadata.etag)) {
                error.set_headers(HeaderMap::from_iter([(ETAG, etag)]));
            }
            return Err(error);
        }
        Ok(())
    }

    /// For the source of a copy, where all failures are 412.
    pub(super) fn check_source(&self, metadata: &StorageMetadata) -> S3Result<()> {
        if self.is_wanted(metadata) && !self.is_known(metadata) { Ok(()) } else { Err(precondition_failed(metadata)) }
    }

    fn is_wanted(&self, metadata: &StorageMetadata) -> bool {
        match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) => names(condition, &metadata.etag),
            (None, Some(moment)) => modified(metadata) <= *moment,
            (None, None) => true,
        }
    }

    fn is_known(&self, metadata: &StorageMetadata) -> bool {
        match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) => names(condition, &metadata.etag),
            (None, Some(moment)) => modified(metadata) <= *moment,
            (None, None) => false,
        }
    }
}

fn precondition_failed(metadata: &StorageMetadata) -> S3Error {
    let StorageMetadata { key, etag, updated_at, .. } = metadata;
    s3_error!(PreconditionFailed, "\u{2018}{key}\u{2019} has etag {etag} and was last modified {updated_at}")
}

fn names(condition: &ETagCondition, etag: &ETag) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(named) => named.value() == etag.as_str(),
    }
}

// Clients know the moment to the second, from the header Last-Modified.
fn modified(metadata: &StorageMetadata) -> Timestamp {
    Timestamp::from(SystemTime::from(metadata.updated_at.trunc_subsecs(0)))
}

/// The condition of a write, from `If-Match` and `If-None-Match`.
pub(super) fn write_condition(
    if_match: Option<ETagCondition>,
    if_none_match: Option<ETagCondition>,
) -> S3Result<Condition> {
    match (if_match, if_none_match) {
        (None, None) => Ok(Condition::None),
        (None, Some(ETagCondition::Any)) => Ok(Condition::IfAbsent),
        (Some(ETagCondition::ETag(etag)), None) => Ok(Condition::IfMatch(parse_etag(etag)?)),
        _ => Err(s3_error!(NotImplemented, "a write takes If-None-Match: * or If-Match with one etag, and not both")),
    }
}

/// The etag that a client named.
pub(super) fn parse_etag(etag: S3ETag) -> S3Result<ETag> {
    ETag::new(etag.into_value()).map_err(errors::s3_error)
}
