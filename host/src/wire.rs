//! What the object API and its client say to each other.
//!
//! A body that carries an object is a frame: the length of a JSON head as a big-endian `u32`, the head, the bytes.

use std::sync::Arc;

use std::ops::Range;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::cache::CacheReport;
use crate::error::{Error, Result};
use crate::lifecycle::AgeingStep;
use crate::object::{Attributes, ByteRange, ByteStream, ETag, Key, StorageMetadata, StoreName, Timestamp};
use crate::provider::{CheckReport, Condition, Finding, Page, Stamp, StoreOptions, Usage};

/// What begins a session of the console.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CodeBody {
    /// Good once.
    pub(crate) code: String,
    pub(crate) good_for_seconds: u64,
}

/// Objects of up to this many bytes travel in one piece.
pub(crate) const WHOLE_LIMIT: u64 = 1024 * 1024;

// Attributes at their limits: 8 KiB of user metadata, 50 tags of 128 and 256 characters, escaped as JSON escapes.
const MAX_HEAD: usize = 512 * 1024;

/// A frame without its bytes.
pub(crate) fn frame(head: &impl Serialize) -> Result<Bytes> {
    let json = serde_json::to_vec(head).map_err(|error| Error::internal(format!("a head is no JSON: {error}")))?;
    let length = u32::try_from(json.len()).map_err(|_| Error::too_large("a head is larger than 4 GiB"))?;
    let mut frame = BytesMut::with_capacity(4 + json.len());
    frame.put_u32(length);
    frame.put_slice(&json);
    Ok(frame.freeze())
}

/// Reads the head of a frame, and returns it with its length in the frame and the stream of the bytes behind it.
///
/// # Errors
/// [`Error::InvalidInput`] if it is none, and whatever the stream fails with.
pub(crate) async fn read_frame<T: DeserializeOwned>(mut pieces: ByteStream) -> Result<(T, u64, ByteStream)> {
    let mut read = BytesMut::new();
    fill(&mut read, &mut pieces, 4).await?;
    let length = u32::from_be_bytes([read[0], read[1], read[2], read[3]]) as usize;
    if length > MAX_HEAD {
        return Err(Error::invalid_input(format!("the head of the body has {length} bytes, and {MAX_HEAD} are taken")));
    }
    fill(&mut read, &mut pieces, 4 + length).await?;
    let rest = read.split_off(4 + length).freeze();
    let head = serde_json::from_slice(&read[4..])
        .map_err(|error| Error::invalid_input(format!("the head of the body is not what it should be: {error}")))?;
    let rest = stream::iter((!rest.is_empty()).then_some(Ok(rest))).chain(pieces).boxed();
    Ok((head, 4 + length as u64, rest))
}

async fn fill(read: &mut BytesMut, pieces: &mut ByteStream, size: usize) -> Result<()> {
    while read.len() < size {
        let next = pieces.try_next().await?;
        let piece = next.ok_or_else(|| Error::invalid_input("the body ends within its head"))?;
        read.extend_from_slice(&piece);
    }
    Ok(())
}

/// The head of a body to store: [`StoreOptions`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutHead {
    attributes: Attributes,
    etag: ETag,
    updated_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    if_absent: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    if_match: Option<ETag>,
}

impl From<StoreOptions> for PutHead {
    fn from(options: StoreOptions) -> Self {
        let StoreOptions { attributes, stamp: Stamp { etag, updated_at, created_at }, condition } = options;
        let (if_absent, if_match) = match condition {
            Condition::None => (false, None),
            Condition::IfAbsent => (true, None),
            Condition::IfMatch(etag) => (false, Some(etag)),
        };
        Self { attributes, etag, updated_at, created_at, if_absent, if_match }
    }
}

impl TryFrom<PutHead> for StoreOptions {
    type Error = Error;

    fn try_from(head: PutHead) -> Result<Self> {
        let PutHead { attributes, etag, updated_at, created_at, if_absent, if_match } = head;
        let condition = match (if_absent, if_match) {
            (false, None) => Condition::None,
            (true, None) => Condition::IfAbsent,
            (false, Some(etag)) => Condition::IfMatch(etag),
            (true, Some(_)) => return Err(Error::invalid_input("a write is if_absent or if_match, not both")),
        };
        Ok(Self { attributes, stamp: Stamp { etag, updated_at, created_at }, condition })
    }
}

/// The head of an object's body.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ObjectHead {
    pub(crate) metadata: Arc<StorageMetadata>,
    pub(crate) range: Range<u64>,
}

/// One of the stores there are.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StoreEntry {
    pub(crate) name: StoreName,
    pub(crate) created_at: Timestamp,
}

/// [`Page`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PageBody {
    objects: Vec<StorageMetadata>,
    more: bool,
}

impl From<Page> for PageBody {
    fn from(Page { objects, more }: Page) -> Self {
        Self { objects, more }
    }
}

impl From<PageBody> for Page {
    fn from(PageBody { objects, more }: PageBody) -> Self {
        Self { objects, more }
    }
}

/// The cache of a store.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CacheBody {
    pub(crate) store: StoreName,
    #[serde(flatten)]
    pub(crate) report: CacheReport,
}

/// A step in the ageing of an object that somebody asks for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AgeBody {
    pub(crate) key: Key,
    pub(crate) step: AgeingStep,
}

/// A snapshot of a store.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SnapshotBody {
    pub(crate) snapshot: String,
}

/// A line of the answer to a request for a check.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CheckLine {
    /// There are so many bytes to be read.
    Expect(u64),
    /// So many bytes more were read.
    Read(u64),
    Found(Finding),
    /// The last line, if all went well.
    Report(CheckReport),
    /// The last line, if it did not.
    Failed(ErrorBody),
}

/// How many copies were removed from an archive.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SweptBody {
    pub(crate) copies: u64,
}

/// Of how many keys a cache forgot what it knew.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct InvalidatedBody {
    pub(crate) keys: u64,
}

/// [`Usage`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct UsageBody {
    objects: u64,
    bytes: u64,
}

impl From<Usage> for UsageBody {
    fn from(Usage { objects, bytes }: Usage) -> Self {
        Self { objects, bytes }
    }
}

impl From<UsageBody> for Usage {
    fn from(UsageBody { objects, bytes }: UsageBody) -> Self {
        Self { objects, bytes }
    }
}

/// An [`Error`] with all that it takes to rebuild it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ErrorBody {
    kind: String,
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Key>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    range: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

impl From<&Error> for ErrorBody {
    fn from(error: &Error) -> Self {
        let (kind, message) = (error.kind().to_owned(), error.to_string());
        let mut body = Self { kind, message, key: None, range: None, size: None, retry_after_ms: None };
        match error {
            Error::NotFound { key } => body.key = Some(key.clone()),
            Error::RangeNotSatisfiable { range, size } => {
                body.range = Some(range.to_string());
                body.size = Some(*size);
            }
            Error::Unavailable { retry_after: Some(wait), .. } => {
                body.retry_after_ms = Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
            }
            _ => {}
        }
        body
    }
}

impl From<ErrorBody> for Error {
    fn from(body: ErrorBody) -> Self {
        let ErrorBody { kind, message, key, range, size, retry_after_ms } = body;
        let range = range.and_then(|range| parse_range(&range).ok());
        match (kind.as_str(), key, range.zip(size)) {
            ("not-found", Some(key), _) => Self::NotFound { key },
            ("range-not-satisfiable", _, Some((range, size))) => Self::RangeNotSatisfiable { range, size },
            ("precondition-failed", ..) => Self::PreconditionFailed { message },
            ("invalid-input", ..) => Self::InvalidInput { message },
            ("unsupported", ..) => Self::Unsupported { message },
            ("exhausted", ..) => Self::Exhausted { message },
            ("too-large", ..) => Self::TooLarge { message },
            ("corrupt", ..) => Self::Corrupt { message },
            ("permission-denied", ..) => Self::PermissionDenied { message },
            ("unavailable", ..) => {
                Self::Unavailable { message, retry_after: retry_after_ms.map(Duration::from_millis) }
            }
            ("timeout", ..) => Self::Timeout { message },
            _ => Self::Internal { message },
        }
    }
}

/// A range as [`ByteRange`] displays it: `0-99`, `100-`, `-5`.
///
/// # Errors
/// [`Error::InvalidInput`] if it is none.
pub(crate) fn parse_range(text: &str) -> Result<ByteRange> {
    let wrong = || Error::invalid_input(format!("a range is first-last, first- or -count, in bytes, not {text:?}"));
    let number = |digits: &str| digits.parse::<u64>().map_err(|_| wrong());
    match text.split_once('-').ok_or_else(wrong)? {
        ("", count) => ByteRange::last(number(count)?),
        (first, "") => Ok(ByteRange::starting_at(number(first)?)),
        (first, last) => ByteRange::between(number(first)?, number(last)?.checked_add(1).ok_or_else(wrong)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_comes_through_whole() {
        let range = ByteRange::between(9, 12).unwrap();
        let errors = [
            Error::not_found(&Key::new("a/é").unwrap()),
            Error::precondition_failed("1"),
            Error::invalid_input("2"),
            Error::RangeNotSatisfiable { range, size: 3 },
            Error::unsupported("3"),
            Error::exhausted("4"),
            Error::too_large("5"),
            Error::corrupt("6"),
            Error::permission_denied("7"),
            Error::Unavailable { message: "8".into(), retry_after: Some(Duration::from_millis(1500)) },
            Error::timeout("9"),
            Error::internal("10"),
        ];
        for error in errors {
            let json = serde_json::to_vec(&ErrorBody::from(&error)).unwrap();
            let back = Error::from(serde_json::from_slice::<ErrorBody>(&json).unwrap());
            assert_eq!(format!("{back:?}"), format!("{error:?}"));
        }
    }

    #[test]
    fn ranges_read_back() {
        for text in ["0-99", "100-", "-5", "7-7"] {
            assert_eq!(parse_range(text).unwrap().to_string(), text);
        }
        for text in ["", "-", "5", "9-3", "-0", "a-b", "0-18446744073709551615", "1-2,4-5"] {
            assert!(parse_range(text).is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_frame_reads_back_however_it_is_cut() {
        let mut whole = frame(&vec!["head"]).unwrap().to_vec();
        whole.extend_from_slice(b"the bytes");
        for size in [1, 3, 7, 100] {
            let pieces: Vec<_> = whole.chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
            let (head, length, rest) = read_frame::<Vec<String>>(stream::iter(pieces).boxed()).await.unwrap();
            assert_eq!((head, length), (vec!["head".to_owned()], whole.len() as u64 - 9));
            assert_eq!(rest.try_collect::<BytesMut>().await.unwrap(), "the bytes");
        }
        let cut = stream::iter([Ok(Bytes::from_static(&[0, 0, 0, 9, b'[']))]).boxed();
        assert!(matches!(read_frame::<Vec<String>>(cut).await.map(|_| ()), Err(Error::InvalidInput { .. })));
        let huge = stream::iter([Ok(Bytes::from_static(&[255; 8]))]).boxed();
        assert!(matches!(read_frame::<Vec<String>>(huge).await.map(|_| ()), Err(Error::InvalidInput { .. })));
    }
}
