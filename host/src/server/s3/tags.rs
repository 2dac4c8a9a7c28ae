//! Tags of objects.

use s3s::dto::{
    DeleteObjectTaggingInput, DeleteObjectTaggingOutput, GetObjectTaggingInput, GetObjectTaggingOutput,
    PutObjectTaggingInput, PutObjectTaggingOutput, Tag,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::errors::s3_error;
use super::objects::key;
use super::{Bucket, Door};
use crate::object::{AttributeChanges, Tags};

pub(super) async fn get(
    door: &Door,
    request: S3Request<GetObjectTaggingInput>,
) -> S3Result<S3Response<GetObjectTaggingOutput>> {
    let Bucket { store, .. } = door.bucket(&request.input.bucket)?;
    let metadata = store.metadata(&key(&request.input.key)?).await.map_err(s3_error)?;
    let tag = |(name, value): (&str, &str)| Tag { key: Some(name.to_owned()), value: Some(value.to_owned()) };
    let tag_set = metadata.attributes.tags.iter().map(tag).collect();
    Ok(S3Response::new(GetObjectTaggingOutput { tag_set, version_id: None }))
}

pub(super) async fn put(
    door: &Door,
    request: S3Request<PutObjectTaggingInput>,
) -> S3Result<S3Response<PutObjectTaggingOutput>> {
    let input = request.input;
    let pairs =
        input.tagging.tag_set.into_iter().map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default()));
    let tags = Tags::from_pairs(pairs).map_err(|error| s3_error!(InvalidTag, "{error}"))?;
    replace(door, &input.bucket, &input.key, tags).await?;
    Ok(S3Response::new(PutObjectTaggingOutput::default()))
}

pub(super) async fn delete(
    door: &Door,
    request: S3Request<DeleteObjectTaggingInput>,
) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
    replace(door, &request.input.bucket, &request.input.key, Tags::new()).await?;
    Ok(S3Response::new(DeleteObjectTaggingOutput::default()))
}

async fn replace(door: &Door, bucket: &str, name: &str, tags: Tags) -> S3Result<()> {
    let Bucket { store, .. } = door.bucket(bucket)?;
    let changes = AttributeChanges { tags: Some(tags), ..AttributeChanges::default() };
    store.update(&key(name)?, changes, None).await.map_err(s3_error)?;
    Ok(())
}
