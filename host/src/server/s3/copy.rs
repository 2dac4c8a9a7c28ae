//! Copying within the host.

use s3s::dto::{
    ChecksumType, CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, MetadataDirective, TaggingDirective,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::attributes::{Headers, parse_tagging};
use super::conditions::ReadConditions;
use super::errors::s3_error;
use super::objects::{base64, etag, key, timestamp};
use super::{Bucket, Door};
use crate::object::{ByteRange, Key, Object};
use crate::provider::{Condition, StoreOptions};

/// The object that a request names as its source.
pub(super) struct Source {
    pub(super) bucket: Bucket,
    pub(super) key: Key,
}

impl Source {
    pub(super) fn find(door: &Door, source: &CopySource) -> S3Result<Self> {
        let CopySource::Bucket { bucket, key: name, version_id } = source else {
            return Err(s3_error!(NotImplemented, "a copy source is /bucket/key: access points are not offered"));
        };
        if version_id.as_deref().is_some_and(|version| version != "null") {
            return Err(s3_error!(NoSuchVersion, "stores keep one version of an object, whose id is \"null\""));
        }
        Ok(Self { bucket: door.bucket(bucket)?, key: key(name)? })
    }

    pub(super) async fn read(&self, conditions: &ReadConditions, range: Option<ByteRange>) -> S3Result<Object> {
        let object = self.bucket.store.retrieve(&self.key, range).await.map_err(s3_error)?;
        conditions.check_source(&object.metadata)?;
        Ok(object)
    }
}

pub(super) async fn copy(door: &Door, request: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
    let input = request.input;
    let target = door.bucket(&input.bucket)?;
    let target_key = key(&input.key)?;
    let source = Source::find(door, &input.copy_source)?;
    let replaces_metadata =
        input.metadata_directive.is_some_and(|directive| directive.as_str() == MetadataDirective::REPLACE);
    let replaces_tags =
        input.tagging_directive.is_some_and(|directive| directive.as_str() == TaggingDirective::REPLACE);
    let onto_itself = source.bucket.name == target.name && source.key == target_key;
    if onto_itself && !replaces_metadata && !replaces_tags {
        return Err(s3_error!(
            InvalidRequest,
            "an object is copied onto itself only to replace its metadata or tags: set a directive to REPLACE"
        ));
    }
    let conditions = ReadConditions {
        if_match: input.copy_source_if_match,
        if_none_match: input.copy_source_if_none_match,
        if_modified_since: input.copy_source_if_modified_since,
        if_unmodified_since: input.copy_source_if_unmodified_since,
    };
    let object = source.read(&conditions, None).await?;
    let mut attributes = object.metadata.attributes.clone();
    if replaces_metadata {
        let tags = std::mem::take(&mut attributes.tags);
        attributes = Headers {
            content_type: input.content_type,
            cache_control: input.cache_control,
            content_disposition: input.content_disposition,
            content_encoding: input.content_encoding,
            content_language: input.content_language,
            expires: input.expires,
            metadata: input.metadata,
        }
        .into_attributes(None)?;
        attributes.tags = tags;
    }
    if replaces_tags {
        attributes.tags = parse_tagging(input.tagging.as_deref().unwrap_or(""))?;
    }
    // Onto itself: a write that came in between must not be undone.
    let condition = if onto_itself { Condition::IfMatch(object.metadata.etag.clone()) } else { Condition::None };
    let options = StoreOptions { attributes, condition, ..StoreOptions::default() };
    let stored = target.store.store(&target_key, object.body, options).await.map_err(s3_error)?;
    let result = CopyObjectResult {
        e_tag: Some(etag(&stored.etag)),
        last_modified: Some(timestamp(stored.updated_at)),
        checksum_crc64nvme: Some(base64(stored.checksum)),
        checksum_type: Some(ChecksumType::from_static(ChecksumType::FULL_OBJECT)),
        ..CopyObjectResult::default()
    };
    Ok(S3Response::new(CopyObjectOutput { copy_object_result: Some(result), ..CopyObjectOutput::default() }))
}
