//! Storing, reading and deleting objects.

use std::time::SystemTime;

use futures::TryStreamExt;
use futures::stream::{self, StreamExt};
use http_body_util::StreamBody;
use hyper::StatusCode;
use hyper::body::Frame;
use s3s::dto::{
    Checksum as Digests, ChecksumType, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput,
    DeletedObject, ETag as S3ETag, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, PutObjectInput,
    PutObjectOutput, Range as S3Range, StorageClass, StreamingBlob, Timestamp as S3Timestamp,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use super::attributes::Headers;
use super::conditions::{ReadConditions, parse_etag, write_condition};
use super::errors::{key_too_long, s3_error};
use super::upload::{Claims, Upload};
use super::{Bucket, Door};
use crate::error::Error;
use crate::object::{Body, ByteRange, Checksum, ETag, Key, StorageMetadata, Timestamp};
use crate::provider::layers::Archived;
use crate::provider::{StorageProvider, StoreOptions};

/// How many objects of one DeleteObjects request are deleted at a time.
const DELETES_AT_ONCE: usize = 16;

pub(super) fn key(text: &str) -> S3Result<Key> {
    if text.len() > Key::MAX_LEN {
        return Err(key_too_long(text.len()));
    }
    Key::new(text).map_err(s3_error)
}

pub(super) fn etag(etag: &ETag) -> S3ETag {
    S3ETag::Strong(etag.as_str().to_owned())
}

pub(super) fn timestamp(moment: Timestamp) -> S3Timestamp {
    S3Timestamp::from(SystemTime::from(moment))
}

pub(super) fn base64(checksum: Checksum) -> String {
    base64_simd::STANDARD.encode_to_string(checksum.as_u64().to_be_bytes())
}

// No object is larger than what an i64 holds: bodies are counted in bytes that came over a wire or lie on a disk.
pub(super) fn length(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

pub(super) async fn put(door: &Door, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
    let S3Request { input, headers, trailing_headers, .. } = request;
    let Bucket { store, .. } = door.bucket(&input.bucket)?;
    let key = key(&input.key)?;
    let condition = write_condition(input.if_match, input.if_none_match)?;
    let attributes = Headers {
        content_type: input.content_type,
        cache_control: input.cache_control,
        content_disposition: input.content_disposition,
        content_encoding: input.content_encoding,
        content_language: input.content_language,
        expires: input.expires,
        metadata: input.metadata,
    }
    .into_attributes(input.tagging.as_deref())?;
    let digests = Digests {
        checksum_crc32: input.checksum_crc32,
        checksum_crc32c: input.checksum_crc32c,
        checksum_crc64nvme: input.checksum_crc64nvme,
        checksum_sha1: input.checksum_sha1,
        checksum_sha256: input.checksum_sha256,
        checksum_type: None,
    };
    let claims =
        Claims { length: input.content_length, md5: input.content_md5, digests: digests.clone(), ..Claims::default() }
            .announced(&headers, trailing_headers);
    let upload = Upload::receive(input.body, claims).await?;
    let blame = upload.blamer();
    let options = StoreOptions { attributes, condition, ..StoreOptions::default() };
    let metadata = store.store(&key, upload.body, options).await.map_err(blame)?;
    Ok(S3Response::new(PutObjectOutput {
        e_tag: Some(etag(&metadata.etag)),
        checksum_crc32: digests.checksum_crc32,
        checksum_crc32c: digests.checksum_crc32c,
        checksum_sha1: digests.checksum_sha1,
        checksum_sha256: digests.checksum_sha256,
        checksum_crc64nvme: Some(base64(metadata.checksum)),
        checksum_type: Some(ChecksumType::from_static(ChecksumType::FULL_OBJECT)),
        ..PutObjectOutput::default()
    }))
}

pub(super) fn byte_range(range: S3Range) -> S3Result<ByteRange> {
    let range = match range {
        S3Range::Int { first, last: None } => Ok(ByteRange::starting_at(first)),
        S3Range::Int { first, last: Some(last) } => ByteRange::between(first, last.saturating_add(1)),
        S3Range::Suffix { length } => ByteRange::last(length),
    };
    range.map_err(|error| s3_error!(InvalidRange, "{error}"))
}

fn check_part_number(part_number: Option<i32>) -> S3Result<()> {
    match part_number {
        None | Some(1) => Ok(()),
        Some(number) => Err(s3_error!(InvalidRange, "a completed object is one part, and part {number} is not there")),
    }
}

fn content_range(range: &std::ops::Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", range.start, range.end - 1)
}

pub(super) async fn get(door: &Door, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
    let input = request.input;
    let Bucket { store, .. } = door.bucket(&input.bucket)?;
    let key = key(&input.key)?;
    check_part_number(input.part_number)?;
    let range = input.range.map(byte_range).transpose()?;
    let conditions = ReadConditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    let object = match store.retrieve(&key, range).await {
        Ok(object) => object,
        Err(error @ Error::RangeNotSatisfiable { .. }) if conditions.are_set() => {
            conditions.check(&store.metadata(&key).await.map_err(s3_error)?)?;
            return Err(s3_error(error));
        }
        Err(error @ Error::PermissionDenied { .. }) => return Err(refusal(&*store, &key, error).await),
        Err(error) => return Err(s3_error(error)),
    };
    conditions.check(&object.metadata)?;
    let StorageMetadata { size, etag: found, updated_at, checksum, attributes, .. } = &*object.metadata;
    let headers = Headers::of(attributes);
    Ok(S3Response::new(GetObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        body: Some(blob(object.body)),
        content_length: Some(length(object.range.end - object.range.start)),
        content_range: range.map(|_| content_range(&object.range, *size)),
        e_tag: Some(etag(found)),
        last_modified: Some(timestamp(*updated_at)),
        checksum_crc64nvme: range.is_none().then(|| base64(*checksum)),
        checksum_type: range.is_none().then(|| ChecksumType::from_static(ChecksumType::FULL_OBJECT)),
        tag_count: i32::try_from(attributes.tags.len()).ok().filter(|count| *count > 0),
        content_type: headers.content_type,
        cache_control: headers.cache_control,
        content_disposition: headers.content_disposition,
        content_encoding: headers.content_encoding,
        content_language: headers.content_language,
        expires: headers.expires,
        metadata: headers.metadata,
        ..GetObjectOutput::default()
    }))
}

/// Why an object can not be read: that it is archived has a code of its own.
async fn refusal(store: &dyn StorageProvider, key: &Key, error: Error) -> S3Error {
    match store.metadata(key).await {
        Ok(metadata) if Archived::of(&metadata).is_some() => {
            S3Error::with_message(S3ErrorCode::InvalidObjectState, error.to_string())
        }
        _ => s3_error(error),
    }
}

/// What S3 calls the place of an object's bytes.
pub(super) fn storage_class(metadata: &StorageMetadata) -> Option<&'static str> {
    Archived::of(metadata).map(|_| StorageClass::GLACIER)
}

pub(super) fn blob(body: Body) -> StreamingBlob {
    StreamingBlob::from(match body {
        Body::Bytes(bytes) => s3s::Body::from(bytes),
        Body::Stream(pieces) => s3s::Body::http_body_unsync(StreamBody::new(pieces.map_ok(Frame::data))),
    })
}

pub(super) async fn head(door: &Door, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
    let input = request.input;
    let Bucket { store, .. } = door.bucket(&input.bucket)?;
    let key = key(&input.key)?;
    check_part_number(input.part_number)?;
    let metadata = store.metadata(&key).await.map_err(s3_error)?;
    let conditions = ReadConditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    conditions.check(&metadata)?;
    let storage_class = storage_class(&metadata).map(StorageClass::from_static);
    let StorageMetadata { size, etag: found, updated_at, checksum, attributes, .. } = metadata;
    let range = match input.range {
        Some(range) => Some(byte_range(range)?.resolve(size).map_err(s3_error)?),
        None => None,
    };
    let headers = Headers::of(&attributes);
    let output = HeadObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        content_length: Some(length(range.as_ref().map_or(size, |range| range.end - range.start))),
        content_range: range.as_ref().map(|range| content_range(range, size)),
        e_tag: Some(etag(&found)),
        last_modified: Some(timestamp(updated_at)),
        checksum_crc64nvme: range.is_none().then(|| base64(checksum)),
        checksum_type: range.is_none().then(|| ChecksumType::from_static(ChecksumType::FULL_OBJECT)),
        content_type: headers.content_type,
        cache_control: headers.cache_control,
        content_disposition: headers.content_disposition,
        content_encoding: headers.content_encoding,
        content_language: headers.content_language,
        expires: headers.expires,
        metadata: headers.metadata,
        storage_class,
        ..HeadObjectOutput::default()
    };
    let status = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    Ok(S3Response::with_status(output, status))
}

pub(super) async fn delete(
    door: &Door,
    request: S3Request<DeleteObjectInput>,
) -> S3Result<S3Response<DeleteObjectOutput>> {
    let input = request.input;
    let Bucket { store, .. } = door.bucket(&input.bucket)?;
    if input.if_match_size.is_some() || input.if_match_last_modified_time.is_some() {
        return Err(s3_error!(NotImplemented, "a delete is conditional by If-Match with an etag only"));
    }
    let if_match = match input.if_match {
        None => None,
        Some(condition) => Some(match condition.into_etag() {
            Some(etag) => parse_etag(etag)?,
            None => return Err(s3_error!(NotImplemented, "a delete takes If-Match with one etag, not *")),
        }),
    };
    match store.delete(&key(&input.key)?, if_match.as_ref()).await {
        Ok(()) => {}
        Err(Error::NotFound { .. }) if if_match.is_none() => {}
        Err(error) => return Err(s3_error(error)),
    }
    Ok(S3Response::new(DeleteObjectOutput::default()))
}

pub(super) async fn delete_many(
    door: &Door,
    request: S3Request<DeleteObjectsInput>,
) -> S3Result<S3Response<DeleteObjectsOutput>> {
    let input = request.input;
    let Bucket { store, .. } = door.bucket(&input.bucket)?;
    if input.delete.objects.len() > 1000 {
        return Err(s3_error!(MalformedXML, "one request deletes at most 1000 objects: send several"));
    }
    let quiet = input.delete.quiet.unwrap_or(false);
    let delete_one = |object: s3s::dto::ObjectIdentifier| {
        let store = &store;
        async move {
            if object.version_id.as_deref().is_some_and(|version| version != "null") {
                return (object.key, Err(s3_error!(NoSuchVersion, "stores keep one version of an object")));
            }
            if object.size.is_some() || object.last_modified_time.is_some() {
                let error = s3_error!(NotImplemented, "a delete is conditional by etag only");
                return (object.key, Err(error));
            }
            let outcome = async {
                let if_match = object.e_tag.map(parse_etag).transpose()?;
                match store.delete(&key(&object.key)?, if_match.as_ref()).await {
                    Err(Error::NotFound { .. }) if if_match.is_none() => Ok(()),
                    outcome => outcome.map_err(s3_error),
                }
            };
            let outcome = outcome.await;
            (object.key, outcome)
        }
    };
    let outcomes: Vec<_> = stream::iter(input.delete.objects).map(delete_one).buffered(DELETES_AT_ONCE).collect().await;
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for (key, outcome) in outcomes {
        match outcome {
            Ok(()) if quiet => {}
            Ok(()) => deleted.push(DeletedObject { key: Some(key), ..DeletedObject::default() }),
            Err(error) => errors.push(s3s::dto::Error {
                code: Some(error.code().as_str().to_owned()),
                message: error.message().map(str::to_owned),
                key: Some(key),
                version_id: None,
            }),
        }
    }
    let some = |errors: Vec<_>| (!errors.is_empty()).then_some(errors);
    let output = DeleteObjectsOutput { deleted: Some(deleted), errors: some(errors), request_charged: None };
    Ok(S3Response::new(output))
}
