//! S3, on the crate s3s: stores as buckets.
//!
//! Path-style addressing only (`http://host:port/bucket/key`). One version of each object, no access control lists; what
//! asks for more is refused, not ignored. The etag of an object is larder's own and no MD5 of its bytes; integrity is
//! `x-amz-checksum-crc64nvme`, returned with every object. Parts of a multipart upload are kept in a folder of the front
//! door's own until completion streams them into one write; a part can have any size, and an upload in which nothing
//! happens for [`ABANDONED`] is removed.

mod attributes;
mod buckets;
mod conditions;
mod copy;
mod errors;
mod gate;
mod list;
mod multipart;
mod objects;
mod spool;
mod sweep;
mod tags;
mod upload;

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::{Request, Response};
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::dto::*;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{HttpError, S3, S3Request, S3Response, S3Result, s3_error};

use self::spool::Spool;
use self::sweep::Sweep;
use super::stores::Stores;
use crate::error::Result;
use crate::object::StoreName;
use crate::provider::StorageProvider;
use crate::provider::layers::Seal;
use crate::scheduler::ScheduledTask;

/// An upload in which nothing happened for so long is taken for abandoned: 7 days.
pub const ABANDONED: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How often the front door looks for abandoned uploads.
const COLLECTED_EVERY: Duration = Duration::from_secs(60 * 60);

/// The largest XML document that a request may carry. The largest that makes sense deletes 1000 keys of 1024 bytes,
/// each of which may be written in up to six times as many.
const MAX_XML: usize = 8 * 1024 * 1024;

/// A key pair that requests are signed with (signature version 4).
#[derive(Clone)]
pub struct Credential {
    /// The public half, named in each request.
    pub access_key: String,
    /// The secret half.
    pub secret_key: String,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// How the S3 front door is set up.
#[derive(Clone, Debug)]
pub struct S3Options {
    /// The region that it says it is in; clients may sign for any.
    pub region: String,
    /// Who is let in. When empty, everybody is, without a signature.
    pub credentials: Vec<Credential>,
    /// Where the parts of multipart uploads are kept.
    pub multipart_dir: PathBuf,
}

/// The S3 front door as a service for hyper.
#[derive(Clone)]
pub struct S3Door {
    service: S3Service,
    spool: Spool,
}

impl S3Door {
    /// Sets the front door up before these stores.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`](crate::error::Error::PermissionDenied) and
    /// [`Error::Internal`](crate::error::Error::Internal) if the folder for uploads cannot be had.
    pub fn new(stores: Arc<dyn Stores>, options: S3Options) -> Result<Self> {
        let spool = Spool::open(&options.multipart_dir)?;
        let mut builder = S3ServiceBuilder::new(Door { stores, spool: spool.clone(), region: options.region });
        if !options.credentials.is_empty() {
            builder.set_auth(gate::Keys::new(&options.credentials));
        }
        let mut config = S3Config::default();
        config.xml_max_body_size = MAX_XML;
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        Ok(Self { service: builder.build(), spool })
    }

    /// What removes abandoned uploads from time to time.
    pub fn sweep(&self) -> ScheduledTask {
        Sweep::task(self.spool.clone())
    }
}

impl fmt::Debug for S3Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Door").field("spool", &self.spool).finish_non_exhaustive()
    }
}

impl hyper::service::Service<Request<Incoming>> for S3Door {
    type Response = Response<s3s::Body>;
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = std::result::Result<Self::Response, HttpError>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let service = self.service.clone();
        let has_body = !request.body().is_end_stream();
        Box::pin(async move {
            let mut response = match gate::admit(&request) {
                Ok(()) => service.call(request.map(s3s::Body::from)).await?,
                Err(refusal) => refusal.to_http_response().map_err(|error| HttpError::new(Box::new(error)))?,
            };
            // A refusal may leave the body unread, or still to come from a client that waited for "100 Continue": what
            // follows on the connection could then be taken for the next request.
            if has_body && !response.status().is_success() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response)
        })
    }
}

/// What the operations work on.
#[derive(Debug)]
struct Door {
    stores: Arc<dyn Stores>,
    spool: Spool,
    region: String,
}

/// A bucket that is there.
struct Bucket {
    name: StoreName,
    store: Arc<dyn StorageProvider>,
}

impl Door {
    fn bucket(&self, bucket: &str) -> S3Result<Bucket> {
        let missing = || s3_error!(NoSuchBucket, "there is no bucket {bucket:?}: create it, or see ListBuckets");
        let name = StoreName::new(bucket).map_err(|_| missing())?;
        let store = self.stores.store(bucket).ok_or_else(missing)?;
        Ok(Bucket { name, store })
    }

    /// What parts on their way into a bucket are sealed with, if it is encrypted.
    fn seal(&self, bucket: &Bucket) -> Option<Seal> {
        self.stores.seal(bucket.name.as_str())
    }
}

/// Everything belongs to the host.
fn owner() -> Owner {
    Owner { id: Some("larder".to_owned()), display_name: Some("larder".to_owned()) }
}

macro_rules! operations {
    ($($name:ident($input:ident) -> $output:ident => $function:path;)*) => {
        #[async_trait]
        impl S3 for Door {
            $(
                async fn $name(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                    $function(self, request).await
                }
            )*
        }
    };
}

operations! {
    create_bucket(CreateBucketInput) -> CreateBucketOutput => buckets::create;
    delete_bucket(DeleteBucketInput) -> DeleteBucketOutput => buckets::delete;
    head_bucket(HeadBucketInput) -> HeadBucketOutput => buckets::head;
    list_buckets(ListBucketsInput) -> ListBucketsOutput => buckets::list;
    get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput => buckets::location;
    get_bucket_versioning(GetBucketVersioningInput) -> GetBucketVersioningOutput => buckets::versioning;
    put_object(PutObjectInput) -> PutObjectOutput => objects::put;
    get_object(GetObjectInput) -> GetObjectOutput => objects::get;
    head_object(HeadObjectInput) -> HeadObjectOutput => objects::head;
    delete_object(DeleteObjectInput) -> DeleteObjectOutput => objects::delete;
    delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput => objects::delete_many;
    copy_object(CopyObjectInput) -> CopyObjectOutput => copy::copy;
    list_objects(ListObjectsInput) -> ListObjectsOutput => list::v1;
    list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output => list::v2;
    get_object_tagging(GetObjectTaggingInput) -> GetObjectTaggingOutput => tags::get;
    put_object_tagging(PutObjectTaggingInput) -> PutObjectTaggingOutput => tags::put;
    delete_object_tagging(DeleteObjectTaggingInput) -> DeleteObjectTaggingOutput => tags::delete;
    create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput => multipart::create;
    upload_part(UploadPartInput) -> UploadPartOutput => multipart::upload_part;
    upload_part_copy(UploadPartCopyInput) -> UploadPartCopyOutput => multipart::upload_part_copy;
    complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput => multipart::complete;
    abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput => multipart::abort;
    list_parts(ListPartsInput) -> ListPartsOutput => multipart::list_parts;
    list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput => multipart::list_uploads;
}
