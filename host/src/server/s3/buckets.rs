//! Stores as buckets.

use s3s::dto::{
    Bucket as S3Bucket, BucketLocationConstraint, CreateBucketInput, CreateBucketOutput, DeleteBucketInput,
    DeleteBucketOutput, GetBucketLocationInput, GetBucketLocationOutput, GetBucketVersioningInput,
    GetBucketVersioningOutput, HeadBucketInput, HeadBucketOutput, ListBucketsInput, ListBucketsOutput,
};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::errors::s3_error;
use super::objects::timestamp;
use super::{Bucket, Door, owner};
use crate::error::Error;
use crate::object::StoreName;

pub(super) async fn create(
    door: &Door,
    request: S3Request<CreateBucketInput>,
) -> S3Result<S3Response<CreateBucketOutput>> {
    let bucket = request.input.bucket;
    let name = StoreName::new(bucket.as_str()).map_err(|error| s3_error!(InvalidBucketName, "{error}"))?;
    if door.stores.store(&bucket).is_some() {
        return Err(s3_error!(BucketAlreadyOwnedByYou, "the bucket {bucket} is there already"));
    }
    match door.stores.create(&name).await {
        Ok(()) => {}
        Err(Error::PreconditionFailed { message }) => return Err(s3_error!(BucketAlreadyExists, "{message}")),
        Err(error) => return Err(s3_error(error)),
    }
    Ok(S3Response::new(CreateBucketOutput { location: Some(format!("/{bucket}")) }))
}

pub(super) async fn delete(
    door: &Door,
    request: S3Request<DeleteBucketInput>,
) -> S3Result<S3Response<DeleteBucketOutput>> {
    let Bucket { name, .. } = door.bucket(&request.input.bucket)?;
    match door.stores.remove(&name).await {
        Ok(()) => {}
        Err(Error::PreconditionFailed { message }) => return Err(s3_error!(BucketNotEmpty, "{message}")),
        Err(error) => return Err(s3_error(error)),
    }
    Ok(S3Response::new(DeleteBucketOutput {}))
}

pub(super) async fn head(door: &Door, request: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
    door.bucket(&request.input.bucket)?;
    Ok(S3Response::new(HeadBucketOutput { bucket_region: Some(door.region.clone()), ..HeadBucketOutput::default() }))
}

pub(super) async fn list(door: &Door, request: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
    let ListBucketsInput { prefix, continuation_token, max_buckets, .. } = request.input;
    let limit = usize::try_from(max_buckets.unwrap_or(10_000)).unwrap_or(0).clamp(1, 10_000);
    let start = prefix.as_deref().unwrap_or("");
    let after = continuation_token.as_deref().unwrap_or("");
    let mut names = door.stores.names();
    names.retain(|(name, _)| name.as_str().starts_with(start) && name.as_str() > after);
    let more = names.len() > limit;
    names.truncate(limit);
    let next = names.last().filter(|_| more).map(|(name, _)| name.as_str().to_owned());
    let buckets = names
        .into_iter()
        .map(|(name, created_at)| S3Bucket {
            name: Some(name.as_str().to_owned()),
            creation_date: Some(timestamp(created_at)),
            bucket_region: Some(door.region.clone()),
        })
        .collect();
    let output = ListBucketsOutput { buckets: Some(buckets), continuation_token: next, owner: Some(owner()), prefix };
    Ok(S3Response::new(output))
}

pub(super) async fn location(
    door: &Door,
    request: S3Request<GetBucketLocationInput>,
) -> S3Result<S3Response<GetBucketLocationOutput>> {
    door.bucket(&request.input.bucket)?;
    // S3 says nothing for its first region, and clients take nothing for that one.
    let location_constraint = (door.region != "us-east-1").then(|| BucketLocationConstraint::from(door.region.clone()));
    Ok(S3Response::new(GetBucketLocationOutput { location_constraint }))
}

/// Never enabled, which S3 says by saying nothing.
pub(super) async fn versioning(
    door: &Door,
    request: S3Request<GetBucketVersioningInput>,
) -> S3Result<S3Response<GetBucketVersioningOutput>> {
    door.bucket(&request.input.bucket)?;
    Ok(S3Response::new(GetBucketVersioningOutput::default()))
}
