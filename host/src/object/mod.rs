//! Objects: bytes under a [`Key`], with [`StorageMetadata`].

mod body;
mod checksum;
mod digest;
mod etag;
mod key;
mod metadata;
mod range;
mod store_name;
mod tags;

use std::sync::Arc;

pub use body::{Body, ByteStream};
pub use checksum::{Checksum, Hasher};
pub use digest::Digest;
pub use etag::ETag;
pub use key::Key;
pub use metadata::{
    AttributeChanges, Attributes, StorageMetadata, Timestamp, millis_from_timestamp, now, timestamp_from_millis,
};
pub use range::ByteRange;
pub use store_name::StoreName;
pub use tags::{Tags, UserMetadata};

/// An object as it was at one moment: its metadata and its bytes are of the same write.
#[derive(Debug)]
pub struct Object {
    /// The metadata of the whole object, even if the body is a range of it.
    pub metadata: Arc<StorageMetadata>,
    /// Which bytes of the object the body has: all, unless a range was asked for.
    pub range: std::ops::Range<u64>,
    /// The bytes.
    pub body: Body,
}
