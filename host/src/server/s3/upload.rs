//! The bytes that a client sends, held against everything it said about them before the provider sees their end.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use hyper::HeaderMap;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use s3s::dto::{Checksum as Digests, StreamingBlob};
use s3s::{S3Error, S3ErrorCode, S3Result, TrailingHeaders, s3_error};

use super::errors;
use crate::error::Error;
use crate::object::Body;

/// Bodies of up to this many bytes are handed on in one piece, so that they can be cached and inlined.
const INLINE_LIMIT: u64 = 1024 * 1024;

/// A client that sends nothing for so long is taken for gone.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the client said about the bytes.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// How many there are.
    pub(super) length: Option<i64>,
    /// `Content-MD5`.
    pub(super) md5: Option<String>,
    /// `x-amz-checksum-*`, in base64.
    pub(super) digests: Digests,
    /// Where the trailers will be once the body has been read.
    pub(super) trailers: Option<TrailingHeaders>,
    /// The checksum that comes as a trailer, by the name of its header.
    pub(super) trailer: Option<String>,
}

impl Claims {
    /// Claims with the trailer that the request's headers announce.
    pub(super) fn announced(mut self, headers: &HeaderMap, trailers: Option<TrailingHeaders>) -> Self {
        let announced = headers.get("x-amz-trailer").and_then(|value| value.to_str().ok());
        self.trailer = announced
            .and_then(|names| names.split(',').map(str::trim).find(|name| name.starts_with("x-amz-checksum-")))
            .map(str::to_ascii_lowercase);
        self.trailers = trailers;
        self
    }
}

/// A body under verification, and what was found wrong with it.
#[derive(Debug)]
pub(super) struct Upload {
    /// The bytes; it fails in the end if they are not what was claimed.
    pub(super) body: Body,
    verdict: Verdict,
}

// The first thing found wrong, so that the client hears of it instead of the provider's failed write.
type Verdict = Arc<OnceLock<(S3ErrorCode, String)>>;

impl Upload {
    /// Takes the bytes; a small body is read and verified at once.
    ///
    /// # Errors
    /// Claims that make no sense, and for a small body those of its bytes.
    pub(super) async fn receive(blob: Option<StreamingBlob>, claims: Claims) -> S3Result<Self> {
        let verdict = Verdict::default();
        let length = match claims.length {
            Some(length) => Some(u64::try_from(length).map_err(|_| s3_error!(InvalidArgument, "negative length"))?),
            None => None,
        };
        let source = blob.unwrap_or_else(|| StreamingBlob::from(s3s::Body::empty()));
        let verifier = Verifier::new(source, length, claims, Arc::clone(&verdict))?;
        let mut upload = Self { body: Body::stream(verifier.into_stream()), verdict };
        if length.is_some_and(|length| length <= INLINE_LIMIT) {
            let body = std::mem::replace(&mut upload.body, Body::from(Bytes::new()));
            upload.body = Body::Bytes(body.collect(INLINE_LIMIT).await.map_err(|error| upload.blame(error))?);
        }
        Ok(upload)
    }

    /// The S3 error of a write that failed: what was wrong with the body, if something was.
    pub(super) fn blamer(&self) -> impl FnOnce(Error) -> S3Error + use<> {
        let verdict = Arc::clone(&self.verdict);
        move |error| blame(&verdict, error)
    }

    fn blame(&self, error: Error) -> S3Error {
        blame(&self.verdict, error)
    }
}

fn blame(verdict: &Verdict, error: Error) -> S3Error {
    match verdict.get() {
        Some((code, message)) => S3Error::with_message(code.clone(), message.clone()),
        None => errors::s3_error(error),
    }
}

struct Verifier {
    source: StreamingBlob,
    expected: Option<u64>,
    received: u64,
    md5: Option<(Md5, String)>,
    hasher: ChecksumHasher,
    claims: Claims,
    verdict: Verdict,
}

impl Verifier {
    fn new(source: StreamingBlob, expected: Option<u64>, mut claims: Claims, verdict: Verdict) -> S3Result<Self> {
        let md5 = match claims.md5.take() {
            Some(claimed) => {
                let digest = base64_simd::STANDARD.decode_to_vec(&claimed);
                if digest.map_or(0, |digest| digest.len()) != 16 {
                    return Err(s3_error!(InvalidDigest, "Content-MD5 is the base64 of 16 bytes, not {claimed:?}"));
                }
                Some((Md5::new(), claimed))
            }
            None => None,
        };
        let Digests { checksum_crc32, checksum_crc32c, checksum_sha1, checksum_sha256, checksum_crc64nvme, .. } =
            &claims.digests;
        let wanted = |claim: &Option<String>, header| claim.is_some() || claims.trailer.as_deref() == Some(header);
        let hasher = ChecksumHasher {
            crc32: wanted(checksum_crc32, "x-amz-checksum-crc32").then(Crc32::new),
            crc32c: wanted(checksum_crc32c, "x-amz-checksum-crc32c").then(Crc32c::new),
            sha1: wanted(checksum_sha1, "x-amz-checksum-sha1").then(Sha1::new),
            sha256: wanted(checksum_sha256, "x-amz-checksum-sha256").then(Sha256::new),
            crc64nvme: wanted(checksum_crc64nvme, "x-amz-checksum-crc64nvme").then(Crc64Nvme::new),
        };
        Ok(Self { source, expected, received: 0, md5, hasher, claims, verdict })
    }

    fn into_stream(self) -> impl futures::Stream<Item = Result<Bytes, Error>> + Send + 'static {
        stream::try_unfold(Some(self), |state| async move {
            let Some(mut verifier) = state else { return Ok(None) };
            let verdict = Arc::clone(&verifier.verdict);
            let step = async {
                match verifier.next().await? {
                    Some(piece) => Ok(Some((piece, Some(verifier)))),
                    None => verifier.finish().map(|()| None),
                }
            };
            step.await.map_err(|(code, message)| {
                let error = Error::invalid_input(message.clone());
                // Nobody else sets it: the stream ends with its first error.
                let _ = verdict.set((code, message));
                error
            })
        })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, (S3ErrorCode, String)> {
        let waited = tokio::time::timeout(PATIENCE, self.source.next()).await;
        let Ok(next) = waited else {
            let message = format!("the client sent nothing for {} seconds", PATIENCE.as_secs());
            return Err((S3ErrorCode::RequestTimeout, message));
        };
        match next {
            Some(Ok(piece)) => {
                self.received += piece.len() as u64;
                if self.expected.is_some_and(|expected| self.received > expected) {
                    return Err(self.wrong_length());
                }
                self.hasher.update(&piece);
                if let Some((md5, _)) = &mut self.md5 {
                    md5.update(&piece);
                }
                Ok(Some(piece))
            }
            Some(Err(error)) => Err(cut_off(&*error)),
            None => Ok(None),
        }
    }

    fn wrong_length(&self) -> (S3ErrorCode, String) {
        let (expected, received) = (self.expected.unwrap_or_default(), self.received);
        let message = format!("the request announced {expected} bytes, and {received} came");
        (S3ErrorCode::IncompleteBody, message)
    }

    fn finish(self) -> Result<(), (S3ErrorCode, String)> {
        if self.expected.is_some_and(|expected| self.received != expected) {
            return Err(self.wrong_length());
        }
        if let Some((md5, claimed)) = self.md5 {
            let found = base64_simd::STANDARD.encode_to_string(md5.finalize());
            if found != claimed {
                return Err(bad_digest("content-md5", &claimed, &found));
            }
        }
        let found = by_header(self.hasher.finalize());
        for ((header, claimed), (_, found)) in by_header(self.claims.digests).iter().zip(&found) {
            if let (Some(claimed), Some(found)) = (claimed, found)
                && claimed != found
            {
                return Err(bad_digest(header, claimed, found));
            }
        }
        let Some(announced) = self.claims.trailer else { return Ok(()) };
        let Some((_, Some(found))) = found.iter().find(|(header, _)| *header == announced) else {
            let message = format!("the trailer {announced} is of no algorithm known here");
            return Err((S3ErrorCode::InvalidRequest, message));
        };
        let read = |trailers: &HeaderMap| trailers.get(&announced).and_then(|value| value.to_str().ok()?.parse().ok());
        let claimed: Option<String> = self.claims.trailers.and_then(|trailers| trailers.read(read).flatten());
        match claimed {
            Some(claimed) if claimed == *found => Ok(()),
            Some(claimed) => Err(bad_digest(&announced, &claimed, found)),
            None => {
                let message = format!("the request announced the trailer {announced}, and it did not come");
                Err((S3ErrorCode::IncompleteBody, message))
            }
        }
    }
}

fn by_header(digests: Digests) -> [(&'static str, Option<String>); 5] {
    [
        ("x-amz-checksum-crc32", digests.checksum_crc32),
        ("x-amz-checksum-crc32c", digests.checksum_crc32c),
        ("x-amz-checksum-sha1", digests.checksum_sha1),
        ("x-amz-checksum-sha256", digests.checksum_sha256),
        ("x-amz-checksum-crc64nvme", digests.checksum_crc64nvme),
    ]
}

fn bad_digest(header: &str, claimed: &str, found: &str) -> (S3ErrorCode, String) {
    let message = format!("{header} says {claimed}, and the bytes that came have {found}: nothing was stored");
    (S3ErrorCode::BadDigest, message)
}

// s3s verifies signed payloads itself, with error types that it keeps to itself; their texts tell them apart.
fn cut_off(error: &(dyn std::error::Error + Send + Sync)) -> (S3ErrorCode, String) {
    let text = error.to_string();
    let code = if text.contains("Sha256Mismatch") {
        S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into())
    } else if text.contains("SignatureMismatch") {
        S3ErrorCode::SignatureDoesNotMatch
    } else {
        S3ErrorCode::IncompleteBody
    };
    (code, format!("the body did not come whole: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(text: &'static str) -> Option<StreamingBlob> {
        Some(StreamingBlob::from(s3s::Body::from(Bytes::from_static(text.as_bytes()))))
    }

    async fn outcome(claims: Claims) -> Result<Bytes, String> {
        let upload = Upload::receive(blob("123456789"), claims).await.map_err(|e| e.code().as_str().to_owned())?;
        let blame = upload.blamer();
        upload.body.collect(100).await.map_err(|error| blame(error).code().as_str().to_owned())
    }

    #[tokio::test]
    async fn bytes_that_are_what_was_claimed_pass() {
        let digests = Digests {
            checksum_crc32: Some("y/Q5Jg==".into()),
            checksum_crc64nvme: Some("rosUhgp5mIg=".into()),
            ..Digests::default()
        };
        let claims =
            Claims { length: Some(9), md5: Some("JfnnlDI7RTiF9RgfG2JNCw==".into()), digests, ..Claims::default() };
        assert_eq!(outcome(claims).await.unwrap(), "123456789");
        assert_eq!(outcome(Claims::default()).await.unwrap(), "123456789");
    }

    #[tokio::test]
    async fn bytes_that_are_not_what_was_claimed_fail_in_the_end() {
        let md5 = |md5: &str| Claims { md5: Some(md5.into()), ..Claims::default() };
        assert_eq!(outcome(md5("AAAAAAAAAAAAAAAAAAAAAA==")).await.unwrap_err(), "BadDigest");
        assert_eq!(outcome(md5("AAAA")).await.unwrap_err(), "InvalidDigest");
        for length in [8, 10] {
            let claims = Claims { length: Some(length), ..Claims::default() };
            assert_eq!(outcome(claims).await.unwrap_err(), "IncompleteBody", "{length}");
        }
        let digests = Digests { checksum_sha256: Some("AAAA".into()), ..Digests::default() };
        assert_eq!(outcome(Claims { digests, ..Claims::default() }).await.unwrap_err(), "BadDigest");
    }

    #[tokio::test]
    async fn a_trailer_that_was_announced_must_come() {
        let claims = |name: &str| Claims { trailer: Some(name.into()), ..Claims::default() };
        assert_eq!(outcome(claims("x-amz-checksum-crc32")).await.unwrap_err(), "IncompleteBody");
        assert_eq!(outcome(claims("x-amz-checksum-none")).await.unwrap_err(), "InvalidRequest");
    }
}
