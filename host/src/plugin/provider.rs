//! The first seam over a component.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::bindings::provider::exports::larder::plugin::provider::{Download, StreamedBody, Upload, WholeBody};
use super::bindings::provider::larder::plugin::types as wit;
use super::clock::Pace;
use super::convert::error_from_plugin;
use super::instances::Instances;
use super::stream::{self, Sent};
use crate::error::{Error, Result};
use crate::object::{AttributeChanges, Body, ByteRange, Checksum, ETag, Key, Object, StorageMetadata};
use crate::provider::{ListQuery, Page, StorageProvider, StoreOptions};

/// A provider that is a component. What it returns is held against the contract before anyone sees it.
pub(super) struct PluginStorageProvider(pub(super) Arc<Instances>);

impl fmt::Debug for PluginStorageProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PluginStorageProvider").field(&self.0.plugin).finish()
    }
}

impl PluginStorageProvider {
    /// The error for a plugin that returns what the contract rules out.
    fn broken(&self, what: impl fmt::Display) -> Error {
        let plugin = &self.0.plugin;
        let error = Error::internal(format!("the plugin {plugin} broke the contract of providers: {what}"));
        tracing::error!(plugin = &**plugin, "{error}");
        error
    }

    fn metadata_of(&self, key: &Key, metadata: wit::Metadata) -> Result<StorageMetadata> {
        let metadata = StorageMetadata::try_from(metadata).map_err(|error| self.broken(error))?;
        if metadata.key != *key {
            return Err(self.broken(format!("asked for {key:?}, it returned the metadata of {:?}", metadata.key)));
        }
        Ok(metadata)
    }

    /// A stored object's metadata must be what the write said.
    fn check_stored(
        &self,
        stored: &StorageMetadata,
        size: u64,
        checksum: Checksum,
        options: &StoreOptions,
    ) -> Result<()> {
        let wanted = &options.stamp;
        let as_written = stored.size == size
            && stored.checksum == checksum
            && stored.etag == wanted.etag
            && stored.updated_at == wanted.updated_at
            && stored.attributes == options.attributes;
        if as_written { Ok(()) } else { Err(self.broken("the metadata of a stored object is not what was stored")) }
    }

    /// An object must be the one asked for, and its bytes those that the metadata tells of.
    fn check_object(&self, key: &Key, range: Option<ByteRange>, metadata: wit::Metadata, body: Body) -> Result<Object> {
        let metadata = self.metadata_of(key, metadata)?;
        let range = match range {
            None => 0..metadata.size,
            Some(range) => range.resolve(metadata.size).map_err(|error| self.broken(error))?,
        };
        let size = range.end - range.start;
        let checksum = (size == metadata.size).then_some(metadata.checksum);
        let what = || format!("{key:?} from the plugin {}", self.0.plugin);
        let body = match body {
            Body::Bytes(bytes)
                if bytes.len() as u64 == size && checksum.is_none_or(|sum| sum == Checksum::of(&bytes)) =>
            {
                Body::Bytes(bytes)
            }
            Body::Bytes(bytes) => {
                let found = bytes.len();
                return Err(Error::corrupt(format!(
                    "{} came with {found} bytes that are not the {size} that were stored",
                    what()
                )));
            }
            pieces => pieces.verified(size, checksum, what()),
        };
        Ok(Object { metadata: Arc::new(metadata), range, body })
    }

    /// A page must be what was asked for, in order.
    fn check_page(&self, query: &ListQuery, page: wit::Page) -> Result<Page> {
        let wit::Page { objects, more } = page;
        if objects.len() > query.limit || (more && objects.is_empty()) {
            let count = objects.len();
            return Err(self.broken(format!("it listed {count} objects of at most {}, more: {more}", query.limit)));
        }
        let objects: Vec<StorageMetadata> =
            objects.into_iter().map(TryInto::try_into).collect::<Result<_>>().map_err(|error| self.broken(error))?;
        let mut last = query.start_after.as_deref();
        for object in &objects {
            let key = object.key.as_str();
            if last.is_some_and(|last| last >= key) || !key.starts_with(&query.prefix) {
                return Err(self.broken(format!("it listed {key:?} after {last:?} below {:?}", query.prefix)));
            }
            last = Some(key);
        }
        Ok(Page { objects, more })
    }

    /// The error of a failed read, with the object's size where the range was wrong.
    async fn read_error(&self, key: &Key, range: Option<ByteRange>, error: wit::Error) -> Error {
        match (error.kind, range) {
            (wit::ErrorKind::RangeNotSatisfiable, Some(range)) => match self.metadata(key).await {
                Ok(metadata) => Error::RangeNotSatisfiable { range, size: metadata.size },
                Err(error) => error,
            },
            _ => error_from_plugin(error, Some(key)),
        }
    }
}

#[async_trait]
impl StorageProvider for PluginStorageProvider {
    async fn store(&self, key: &Key, body: Body, options: StoreOptions) -> Result<StorageMetadata> {
        let (name, wit_options) = (key.as_str().to_owned(), wit::StoreOptions::from(&options));
        let sent = Sent::default();
        let body = match body {
            Body::Bytes(bytes) if bytes.len() <= self.0.limits().whole_body => {
                let checksum = Checksum::of(&bytes);
                let _ = sent.set((bytes.len() as u64, checksum));
                Ok(WholeBody { data: bytes.into(), checksum: checksum.as_u64() })
            }
            body => Err(body.into_stream()),
        };
        let told = Arc::clone(&sent);
        let stored = self.0.call("store", move |accessor, guest, answer| {
            Box::pin(async move {
                let upload = match body {
                    Ok(whole) => Upload::Whole(whole),
                    Err(pieces) => {
                        let pace = Pace::Call(answer.clock().clone());
                        let outgoing = stream::send(accessor, pieces, &pace, told, Checksum::as_u64)?;
                        Upload::Streamed(StreamedBody { data: outgoing.data, end: outgoing.end })
                    }
                };
                answer.give(guest.call_store_object(accessor, name, upload, wit_options).await?);
                Ok(())
            })
        });
        let stored = stored.await?.map_err(|error| error_from_plugin(error, Some(key)))?;
        let stored = self.metadata_of(key, stored)?;
        let Some(&(size, checksum)) = sent.get() else {
            return Err(self.broken("it stored an object without reading it to its end"));
        };
        self.check_stored(&stored, size, checksum, &options)?;
        Ok(stored)
    }

    async fn retrieve(&self, key: &Key, range: Option<ByteRange>) -> Result<Object> {
        let name = key.as_str().to_owned();
        let found = self.0.call("retrieve", move |accessor, guest, answer| {
            Box::pin(async move {
                let object = match guest.call_retrieve_object(accessor, name, range.map(Into::into)).await? {
                    Ok(object) => object,
                    Err(error) => {
                        answer.give(Err(error));
                        return Ok(());
                    }
                };
                match object.data {
                    Download::Whole(bytes) => answer.give(Ok((object.metadata, Body::from(bytes)))),
                    Download::Streamed(reply) => {
                        let pace = Pace::Call(answer.clock().clone());
                        let incoming = stream::receive(accessor, reply.data, reply.end, &pace)?;
                        // If the caller has gone, the pieces find no taker, and the guest is told so when it writes.
                        answer.give(Ok((object.metadata, incoming.body)));
                        incoming.finished.wait().await;
                    }
                }
                Ok(())
            })
        });
        match found.await? {
            Ok((_, Body::Bytes(bytes))) if bytes.len() > self.0.limits().whole_body => {
                let (size, limit) = (bytes.len(), self.0.limits().whole_body);
                Err(self.broken(format!("it returned {size} bytes in one piece, and the limit is {limit}")))
            }
            Ok((metadata, body)) => self.check_object(key, range, metadata, body),
            Err(error) => Err(self.read_error(key, range, error).await),
        }
    }

    async fn delete(&self, key: &Key, if_match: Option<&ETag>) -> Result<()> {
        let (name, if_match) = (key.as_str().to_owned(), if_match.map(|etag| etag.as_str().to_owned()));
        let deleted = self.0.call("delete", |accessor, guest, answer| {
            Box::pin(async move {
                answer.give(guest.call_delete_object(accessor, name, if_match).await?);
                Ok(())
            })
        });
        deleted.await?.map_err(|error| error_from_plugin(error, Some(key)))
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        let wanted = query.into();
        let page = self.0.call("list", |accessor, guest, answer| {
            Box::pin(async move {
                answer.give(guest.call_list_objects(accessor, wanted).await?);
                Ok(())
            })
        });
        self.check_page(query, page.await?.map_err(|error| error_from_plugin(error, None))?)
    }

    async fn metadata(&self, key: &Key) -> Result<StorageMetadata> {
        let name = key.as_str().to_owned();
        let found = self.0.call("metadata", |accessor, guest, answer| {
            Box::pin(async move {
                answer.give(guest.call_read_metadata(accessor, name).await?);
                Ok(())
            })
        });
        self.metadata_of(key, found.await?.map_err(|error| error_from_plugin(error, Some(key)))?)
    }

    async fn update(&self, key: &Key, changes: AttributeChanges, if_match: Option<&ETag>) -> Result<StorageMetadata> {
        let (name, if_match) = (key.as_str().to_owned(), if_match.map(|etag| etag.as_str().to_owned()));
        let changes = wit::AttributeChanges::from(&changes);
        let updated = self.0.call("update", |accessor, guest, answer| {
            Box::pin(async move {
                answer.give(guest.call_update_attributes(accessor, name, changes, if_match).await?);
                Ok(())
            })
        });
        self.metadata_of(key, updated.await?.map_err(|error| error_from_plugin(error, Some(key)))?)
    }
}
