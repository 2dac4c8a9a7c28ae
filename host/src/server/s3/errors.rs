//! What larder's errors are in the words of S3.

use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use s3s::{S3Error, S3ErrorCode};

use crate::error::Error;
use crate::object::Key;

/// The S3 error for a failure. The code is S3's own where it has one; `InsufficientStorage`, `ObjectCorrupt` and
/// `GatewayTimeout` are larder's.
pub(super) fn s3_error(error: Error) -> S3Error {
    let message = error.to_string();
    let (code, status) = match &error {
        Error::NotFound { .. } => (S3ErrorCode::NoSuchKey, None),
        Error::PreconditionFailed { .. } => (S3ErrorCode::PreconditionFailed, None),
        Error::InvalidInput { .. } => (S3ErrorCode::InvalidArgument, None),
        Error::RangeNotSatisfiable { .. } => (S3ErrorCode::InvalidRange, None),
        Error::Unsupported { .. } => (S3ErrorCode::NotImplemented, None),
        Error::Exhausted { .. } => {
            (S3ErrorCode::Custom("InsufficientStorage".into()), Some(StatusCode::INSUFFICIENT_STORAGE))
        }
        Error::TooLarge { .. } => (S3ErrorCode::EntityTooLarge, None),
        Error::Corrupt { .. } => (S3ErrorCode::Custom("ObjectCorrupt".into()), Some(StatusCode::INTERNAL_SERVER_ERROR)),
        Error::PermissionDenied { .. } => (S3ErrorCode::AccessDenied, None),
        Error::Unavailable { .. } => (S3ErrorCode::ServiceUnavailable, Some(StatusCode::SERVICE_UNAVAILABLE)),
        Error::Timeout { .. } => (S3ErrorCode::Custom("GatewayTimeout".into()), Some(StatusCode::GATEWAY_TIMEOUT)),
        Error::Internal { .. } => (S3ErrorCode::InternalError, None),
    };
    let mut answer = S3Error::with_message(code, message);
    if let Some(status) = status {
        answer.set_status_code(status);
    }
    if let Error::Unavailable { retry_after, .. } = error {
        answer.set_headers(retry_headers(retry_after));
    }
    answer
}

/// The S3 error for a key of `len` bytes, which is too many.
pub(super) fn key_too_long(len: usize) -> S3Error {
    let max = Key::MAX_LEN;
    s3s::s3_error!(KeyTooLongError, "a key has at most {max} bytes, and this one has {len}: shorten it")
}

// Headers of an error replace those that it would have, so the content type is said again.
fn retry_headers(retry_after: Option<Duration>) -> HeaderMap {
    let seconds = retry_after.map_or(1, |wait| wait.as_secs().max(1));
    HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static("application/xml")),
        (RETRY_AFTER, HeaderValue::from(seconds)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::ByteRange;

    #[test]
    fn each_kind_has_a_code_and_a_status_that_clients_act_on() {
        let range = ByteRange::starting_at(9);
        let cases = [
            (Error::not_found(&Key::new("k").unwrap()), "NoSuchKey", 404),
            (Error::precondition_failed("x"), "PreconditionFailed", 412),
            (Error::invalid_input("x"), "InvalidArgument", 400),
            (Error::RangeNotSatisfiable { range, size: 3 }, "InvalidRange", 416),
            (Error::unsupported("x"), "NotImplemented", 501),
            (Error::exhausted("x"), "InsufficientStorage", 507),
            (Error::too_large("x"), "EntityTooLarge", 400),
            (Error::corrupt("x"), "ObjectCorrupt", 500),
            (Error::permission_denied("x"), "AccessDenied", 403),
            (Error::unavailable("x"), "ServiceUnavailable", 503),
            (Error::timeout("x"), "GatewayTimeout", 504),
            (Error::internal("x"), "InternalError", 500),
        ];
        for (error, code, status) in cases {
            let kind = error.kind();
            let answer = s3_error(error);
            assert_eq!(answer.code().as_str(), code, "{kind}");
            assert_eq!(answer.status_code().map(|status| status.as_u16()), Some(status), "{kind}");
        }
    }

    #[test]
    fn an_unavailable_store_says_when_to_come_back() {
        let error = Error::Unavailable { message: "restarting".into(), retry_after: Some(Duration::from_secs(7)) };
        assert_eq!(s3_error(error).headers().unwrap()[RETRY_AFTER], "7");
    }
}
