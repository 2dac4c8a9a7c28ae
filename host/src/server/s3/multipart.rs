//! Multipart uploads: parts of up to what the disk holds, numbered 1 to 10,000, of any size.

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, Checksum as Digests, ChecksumType,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CompletedPart, CopyPartResult,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, ETag as S3ETag, ListMultipartUploadsInput,
    ListMultipartUploadsOutput, ListPartsInput, ListPartsOutput, MultipartUpload, Part as S3Part, Range as S3Range,
    StorageClass, Timestamp, UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::attributes::Headers;
use super::conditions::{ReadConditions, write_condition};
use super::copy::Source;
use super::errors::s3_error;
use super::objects::{base64, byte_range, etag, key, length, timestamp};
use super::spool::{Part, Record};
use super::upload::{Claims, Upload};
use super::{Bucket, Door, objects, owner};
use crate::provider::StoreOptions;

const MAX_PART_NUMBER: i32 = 10_000;

fn part_number(number: i32) -> S3Result<u16> {
    match u16::try_from(number) {
        Ok(part) if (1..=MAX_PART_NUMBER).contains(&number) => Ok(part),
        _ => Err(s3_error!(InvalidArgument, "a part number is 1 to {MAX_PART_NUMBER}, not {number}")),
    }
}

fn part_etag(part: &Part) -> S3ETag {
    S3ETag::Strong(part.md5.clone())
}

/// The upload, if it is one of that key.
async fn find(door: &Door, id: &str, bucket: &Bucket, name: &str) -> S3Result<Record> {
    let record = door.spool.record(id).await?;
    if record.store == bucket.name && record.key.as_str() == name {
        Ok(record)
    } else {
        Err(s3_error!(NoSuchUpload, "the upload {id} is of another object"))
    }
}

pub(super) async fn create(
    door: &Door,
    request: S3Request<CreateMultipartUploadInput>,
) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
    let input = request.input;
    let Bucket { name, .. } = door.bucket(&input.bucket)?;
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
    let record = Record::new(name, key(&input.key)?, attributes);
    let upload_id = door.spool.begin(&record).await?;
    Ok(S3Response::new(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(upload_id),
        checksum_algorithm: input.checksum_algorithm,
        checksum_type: input.checksum_type,
        ..CreateMultipartUploadOutput::default()
    }))
}

pub(super) async fn upload_part(
    door: &Door,
    request: S3Request<UploadPartInput>,
) -> S3Result<S3Response<UploadPartOutput>> {
    let S3Request { input, headers, trailing_headers, .. } = request;
    let bucket = door.bucket(&input.bucket)?;
    let number = part_number(input.part_number)?;
    find(door, &input.upload_id, &bucket, &input.key).await?;
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
    let part = door.spool.write_part(&input.upload_id, number, upload.body, door.seal(&bucket)).await.map_err(blame)?;
    let part = part.ok_or_else(|| s3_error!(NoSuchUpload, "the upload {} has ended", input.upload_id))?;
    Ok(S3Response::new(UploadPartOutput {
        e_tag: Some(part_etag(&part)),
        checksum_crc32: digests.checksum_crc32,
        checksum_crc32c: digests.checksum_crc32c,
        checksum_sha1: digests.checksum_sha1,
        checksum_sha256: digests.checksum_sha256,
        checksum_crc64nvme: Some(base64(part.checksum)),
        ..UploadPartOutput::default()
    }))
}

pub(super) async fn upload_part_copy(
    door: &Door,
    request: S3Request<UploadPartCopyInput>,
) -> S3Result<S3Response<UploadPartCopyOutput>> {
    let input = request.input;
    let bucket = door.bucket(&input.bucket)?;
    let number = part_number(input.part_number)?;
    find(door, &input.upload_id, &bucket, &input.key).await?;
    let conditions = ReadConditions {
        if_match: input.copy_source_if_match,
        if_none_match: input.copy_source_if_none_match,
        if_modified_since: input.copy_source_if_modified_since,
        if_unmodified_since: input.copy_source_if_unmodified_since,
    };
    let range = match input.copy_source_range {
        None => None,
        Some(text) => {
            let range = S3Range::parse(&text)
                .map_err(|_| s3_error!(InvalidArgument, "x-amz-copy-source-range is bytes=first-last, not {text:?}"))?;
            Some(byte_range(range)?)
        }
    };
    let object = Source::find(door, &input.copy_source)?.read(&conditions, range).await?;
    let part =
        door.spool.write_part(&input.upload_id, number, object.body, door.seal(&bucket)).await.map_err(s3_error)?;
    let part = part.ok_or_else(|| s3_error!(NoSuchUpload, "the upload {} has ended", input.upload_id))?;
    let result = CopyPartResult {
        e_tag: Some(part_etag(&part)),
        last_modified: Some(Timestamp::from(part.modified)),
        checksum_crc64nvme: Some(base64(part.checksum)),
        ..CopyPartResult::default()
    };
    Ok(S3Response::new(UploadPartCopyOutput { copy_part_result: Some(result), ..UploadPartCopyOutput::default() }))
}

pub(super) async fn complete(
    door: &Door,
    request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
    let input = request.input;
    let bucket = door.bucket(&input.bucket)?;
    let record = find(door, &input.upload_id, &bucket, &input.key).await?;
    let condition = write_condition(input.if_match, input.if_none_match)?;
    let named = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
    let completion = door.spool.complete(&input.upload_id, door.seal(&bucket)).await?;
    let parts = choose(&named, completion.parts().await.map_err(s3_error)?)?;
    let size: u64 = parts.iter().map(|part| part.size).sum();
    // A composite checksum is one over the checksums of the parts, and those were verified as the parts came.
    let whole = input.checksum_type.is_none_or(|kind| kind.as_str() == ChecksumType::FULL_OBJECT);
    let claim = |digest: Option<String>| digest.filter(|digest| whole && !digest.contains('-'));
    let digests = Digests {
        checksum_crc32: claim(input.checksum_crc32),
        checksum_crc32c: claim(input.checksum_crc32c),
        checksum_crc64nvme: claim(input.checksum_crc64nvme),
        checksum_sha1: claim(input.checksum_sha1),
        checksum_sha256: claim(input.checksum_sha256),
        checksum_type: None,
    };
    if input.mpu_object_size.is_some_and(|claimed| claimed != length(size)) {
        return Err(s3_error!(InvalidRequest, "x-amz-mp-object-size does not agree: the parts have {size} bytes"));
    }
    let claims = Claims { length: Some(length(size)), digests, ..Claims::default() };
    let upload = Upload::receive(Some(objects::blob(completion.body(parts))), claims).await?;
    let blame = upload.blamer();
    let options = StoreOptions { attributes: record.attributes, condition, ..StoreOptions::default() };
    let metadata = bucket.store.store(&record.key, upload.body, options).await.map_err(blame)?;
    completion.finish().await;
    Ok(S3Response::new(CompleteMultipartUploadOutput {
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        bucket: Some(input.bucket),
        key: Some(input.key),
        e_tag: Some(etag(&metadata.etag)),
        checksum_crc64nvme: Some(base64(metadata.checksum)),
        checksum_type: Some(ChecksumType::from_static(ChecksumType::FULL_OBJECT)),
        ..CompleteMultipartUploadOutput::default()
    }))
}

/// The parts that the client named, if it has them right.
fn choose(named: &[CompletedPart], uploaded: Vec<Part>) -> S3Result<Vec<Part>> {
    if named.is_empty() {
        return Err(s3_error!(MalformedXML, "a completion names at least one part"));
    }
    let mut chosen: Vec<Part> = Vec::with_capacity(named.len());
    for name in named {
        let number = part_number(name.part_number.unwrap_or_default())?;
        if chosen.last().is_some_and(|last| last.number >= number) {
            return Err(s3_error!(InvalidPartOrder, "parts are named by rising number, and {number} is not"));
        }
        let first = uploaded.partition_point(|part| part.number < number);
        let mut found = uploaded[first..].iter().take_while(|part| part.number == number);
        let part = found.find(|part| name.e_tag.as_ref().is_some_and(|etag| etag.value() == part.md5));
        let part = part.ok_or_else(|| {
            s3_error!(InvalidPart, "part {number} was not uploaded, or has another etag: see ListParts")
        })?;
        chosen.push(part.clone());
    }
    Ok(chosen)
}

pub(super) async fn abort(
    door: &Door,
    request: S3Request<AbortMultipartUploadInput>,
) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
    let input = request.input;
    let bucket = door.bucket(&input.bucket)?;
    find(door, &input.upload_id, &bucket, &input.key).await?;
    door.spool.abort(&input.upload_id).await?;
    Ok(S3Response::new(AbortMultipartUploadOutput::default()))
}

pub(super) async fn list_parts(
    door: &Door,
    request: S3Request<ListPartsInput>,
) -> S3Result<S3Response<ListPartsOutput>> {
    let input = request.input;
    let bucket = door.bucket(&input.bucket)?;
    find(door, &input.upload_id, &bucket, &input.key).await?;
    let limit = input.max_parts.unwrap_or(1000).clamp(0, 1000);
    let after = input.part_number_marker.unwrap_or(0);
    let mut parts = door.spool.parts(&input.upload_id, door.seal(&bucket)).await?;
    parts.retain(|part| i32::from(part.number) > after);
    let truncated = limit > 0 && parts.len() > limit as usize;
    parts.truncate(limit as usize);
    let next = parts.last().filter(|_| truncated).map(|part| i32::from(part.number));
    let describe = |part: Part| S3Part {
        e_tag: Some(part_etag(&part)),
        part_number: Some(i32::from(part.number)),
        size: Some(length(part.size)),
        last_modified: Some(Timestamp::from(part.modified)),
        checksum_crc64nvme: Some(base64(part.checksum)),
        ..S3Part::default()
    };
    Ok(S3Response::new(ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        parts: Some(parts.into_iter().map(describe).collect()),
        max_parts: Some(limit),
        part_number_marker: Some(after),
        next_part_number_marker: next,
        is_truncated: Some(truncated),
        owner: Some(owner()),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        ..ListPartsOutput::default()
    }))
}

pub(super) async fn list_uploads(
    door: &Door,
    request: S3Request<ListMultipartUploadsInput>,
) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
    let input = request.input;
    let bucket = door.bucket(&input.bucket)?;
    if input.delimiter.as_deref().is_some_and(|delimiter| !delimiter.is_empty()) {
        return Err(s3_error!(NotImplemented, "uploads are listed without a delimiter: leave it out"));
    }
    let prefix = input.prefix.as_deref().unwrap_or("");
    let limit = usize::try_from(input.max_uploads.unwrap_or(1000)).unwrap_or(0).min(1000);
    let marker = input.key_marker.as_deref().unwrap_or("");
    let id_marker = input.upload_id_marker.as_deref().filter(|_| !marker.is_empty());
    let mut uploads = door.spool.uploads().await?;
    uploads.retain(|(id, record)| {
        let name = record.key.as_str();
        let behind = name > marker || (name == marker && id_marker.is_some_and(|last| id.as_str() > last));
        record.store == bucket.name && name.starts_with(prefix) && behind
    });
    uploads.sort_by(|(a, one), (b, other)| (&one.key, a).cmp(&(&other.key, b)));
    let truncated = limit > 0 && uploads.len() > limit;
    uploads.truncate(limit);
    let last = uploads.last().filter(|_| truncated).map(|(id, record)| (record.key.as_str().to_owned(), id.clone()));
    let (next_key_marker, next_upload_id_marker) = last.unzip();
    let describe = |(id, record): (String, Record)| MultipartUpload {
        upload_id: Some(id),
        key: Some(record.key.as_str().to_owned()),
        initiated: Some(timestamp(record.initiated)),
        owner: Some(owner()),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        ..MultipartUpload::default()
    };
    Ok(S3Response::new(ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        uploads: Some(uploads.into_iter().map(describe).collect()),
        prefix: input.prefix,
        key_marker: input.key_marker,
        upload_id_marker: input.upload_id_marker,
        max_uploads: i32::try_from(limit).ok(),
        is_truncated: Some(truncated),
        next_key_marker,
        next_upload_id_marker,
        ..ListMultipartUploadsOutput::default()
    }))
}
