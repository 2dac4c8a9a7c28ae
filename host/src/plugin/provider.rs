//! The first seam over a component.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytesize::ByteSize;

use super::bindings::provider::larder::plugin::types as wit;
use super::calls::{Delete, List, Metadata, Outgoing, Retrieve, Store, Update, at_most};
use super::convert::error_from_plugin;
use super::exports;
use super::instances::Instances;
use super::metrics::Refusal;
use super::operation::Operation;
use super::stream::Sent;
use super::supervisor::Supervisor;
use crate::error::{Error, Result};
use crate::object::{AttributeChanges, Body, ByteRange, Checksum, ETag, Key, Object, StorageMetadata};
use crate::provider::{ListQuery, Page, StorageProvider, StoreOptions};

/// A provider that is a component. What it returns is held against the contract before anyone sees it.
pub(super) struct PluginStorageProvider {
    /// Those that calls go to; calls in flight stay with the ones that they began on.
    instances: ArcSwap<Instances>,
}

impl fmt::Debug for PluginStorageProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PluginStorageProvider").field(self.instances.load().supervisor()).finish()
    }
}

impl PluginStorageProvider {
    pub(super) fn new(instances: Arc<Instances>) -> Self {
        Self { instances: ArcSwap::new(instances) }
    }

    /// Has calls from now on go to other instances.
    pub(super) fn replace(&self, instances: Arc<Instances>) {
        self.instances.store(instances);
    }

    /// Who watches over the plugin.
    pub(super) fn supervisor(&self) -> Arc<Supervisor> {
        Arc::clone(self.instances.load().supervisor())
    }

    /// The error of a failed read, with the object's size where the range was wrong.
    async fn read_error(&self, key: &Key, range: Option<ByteRange>, error: wit::Error) -> Error {
        match (error.kind, range) {
            (wit::ErrorKind::RangeNotSatisfiable, Some(range)) => match self.metadata(key).await {
                Ok(metadata) => Error::RangeNotSatisfiable { range, size: metadata.size },
                Err(error) => error,
            },
            _ => error_from_plugin(error, Some(key), self.instances.load().secrets()),
        }
    }
}

/// Why an answer is none.
enum Refused {
    /// It is not what the contract says: the instance is of no more use.
    Broken(String),
    /// The bytes are not those that were stored; the instance need not be to blame.
    Failed(Error),
}

impl<T: fmt::Display> From<T> for Refused {
    fn from(what: T) -> Self {
        Self::Broken(what.to_string())
    }
}

fn metadata_of(key: &Key, metadata: exports::Metadata) -> Result<StorageMetadata, String> {
    let metadata = StorageMetadata::try_from(metadata).map_err(|error| error.to_string())?;
    if metadata.key == *key {
        Ok(metadata)
    } else {
        Err(format!("asked for {key:?}, it returned the metadata of {:?}", metadata.key))
    }
}

/// A stored object's metadata must be what the write said.
fn check_stored(
    key: &Key,
    stored: exports::Metadata,
    sent: &Sent,
    options: &StoreOptions,
) -> Result<StorageMetadata, String> {
    let stored = metadata_of(key, stored)?;
    let Some(&(size, checksum)) = sent.get() else {
        return Err("it stored an object without reading it to its end".to_owned());
    };
    let wanted = &options.stamp;
    let as_written = stored.size == size
        && stored.checksum == checksum
        && stored.etag == wanted.etag
        && stored.updated_at == wanted.updated_at
        && stored.attributes == options.attributes;
    if as_written { Ok(stored) } else { Err("the metadata of a stored object is not what was stored".to_owned()) }
}

/// An object must be the one asked for, and its bytes those that the metadata tells of.
fn check_object(
    key: &Key,
    range: Option<ByteRange>,
    (metadata, body): (exports::Metadata, Body),
    supervisor: &Supervisor,
) -> Result<Object, Refused> {
    let Supervisor { plugin, limits, .. } = supervisor;
    let metadata = metadata_of(key, metadata)?;
    if limits.object_size.is_some_and(|limit| metadata.size > limit) {
        return Err(Refused::Failed(object_size(supervisor)));
    }
    let range = match range {
        None => 0..metadata.size,
        Some(range) => range.resolve(metadata.size)?,
    };
    let size = range.end - range.start;
    let checksum = (size == metadata.size).then_some(metadata.checksum);
    let body = match body {
        Body::Bytes(bytes) if bytes.len() > limits.whole_body => {
            let (size, limit) = (bytes.len(), limits.whole_body);
            return Err(
                format!("it returned {size} bytes in one piece, and the limit is {limit} (limits.whole_body)").into()
            );
        }
        Body::Bytes(bytes) if bytes.len() as u64 == size && checksum.is_none_or(|sum| sum == Checksum::of(&bytes)) => {
            Body::Bytes(bytes)
        }
        Body::Bytes(bytes) => {
            let found = bytes.len();
            return Err(Refused::Failed(Error::corrupt(format!(
                "{key:?} from the plugin {plugin} came with {found} bytes that are not the {size} that were stored"
            ))));
        }
        pieces => pieces.verified(size, checksum, format!("{key:?} from the plugin {plugin}")),
    };
    Ok(Object { metadata: Arc::new(metadata), range, body })
}

/// The error for an object that is larger than the plugin's may be.
fn object_size(supervisor: &Supervisor) -> Error {
    let Supervisor { plugin, limits, meter, .. } = supervisor;
    meter.refused(Refusal::ObjectSize);
    let limit = ByteSize::b(limits.object_size.unwrap_or(u64::MAX));
    Error::too_large(format!("an object of the plugin {plugin} has at most {limit} (limits.object_size)"))
}

/// A page must be what was asked for, in order.
fn check_page(query: &ListQuery, page: exports::Page) -> Result<Page, String> {
    let exports::Page { objects, more } = page;
    if objects.len() > query.limit || (more && objects.is_empty()) {
        let count = objects.len();
        return Err(format!("it listed {count} objects of at most {}, more: {more}", query.limit));
    }
    let objects: Result<Vec<StorageMetadata>> = objects.into_iter().map(TryInto::try_into).collect();
    let objects = objects.map_err(|error| error.to_string())?;
    let mut last = query.start_after.as_deref();
    for object in &objects {
        let key = object.key.as_str();
        if last.is_some_and(|last| last >= key) || !key.starts_with(&query.prefix) {
            return Err(format!("it listed {key:?} after {last:?} below {:?}", query.prefix));
        }
        last = Some(key);
    }
    Ok(Page { objects, more })
}

#[async_trait]
impl StorageProvider for PluginStorageProvider {
    async fn store(&self, key: &Key, body: Body, options: StoreOptions) -> Result<StorageMetadata> {
        let instances = self.instances.load();
        let supervisor = instances.supervisor();
        let sent = Sent::default();
        let body = match body {
            Body::Bytes(bytes) if supervisor.limits.object_size.is_some_and(|limit| bytes.len() as u64 > limit) => {
                return Err(object_size(supervisor));
            }
            Body::Bytes(bytes) if bytes.len() <= supervisor.limits.whole_body => {
                let checksum = Checksum::of(&bytes);
                let _ = sent.set((bytes.len() as u64, checksum));
                Outgoing::Whole { data: bytes, checksum }
            }
            pieces => Outgoing::Pieces(at_most(pieces.into_stream(), supervisor), Arc::clone(&sent)),
        };
        let work = Store { key: key.shared(), body, options: (&options).into() };
        let reply = instances.call(work).await?;
        let stored = reply.value.map_err(|error| error_from_plugin(error, Some(key), instances.secrets()))?;
        check_stored(key, stored, &sent, &options)
            .map_err(|what| instances.condemn(reply.instance, Operation::Store, what))
    }

    async fn retrieve(&self, key: &Key, range: Option<ByteRange>) -> Result<Object> {
        let instances = self.instances.load();
        let work = Retrieve { key: key.shared(), range: range.map(Into::into) };
        let reply = instances.call(work).await?;
        match reply.value {
            Ok(found) => check_object(key, range, found, instances.supervisor()).map_err(|refused| match refused {
                Refused::Broken(what) => instances.condemn(reply.instance, Operation::Retrieve, what),
                Refused::Failed(error) => error,
            }),
            Err(error) => Err(self.read_error(key, range, error).await),
        }
    }

    async fn delete(&self, key: &Key, if_match: Option<&ETag>) -> Result<()> {
        let if_match = if_match.map(ETag::shared);
        let instances = self.instances.load();
        let reply = instances.call(Delete { key: key.shared(), if_match }).await?;
        reply.value.map_err(|error| error_from_plugin(error, Some(key), instances.secrets()))
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        let instances = self.instances.load();
        let reply = instances.call(List(query.into())).await?;
        let page = reply.value.map_err(|error| error_from_plugin(error, None, instances.secrets()))?;
        check_page(query, page).map_err(|what| instances.condemn(reply.instance, Operation::List, what))
    }

    async fn metadata(&self, key: &Key) -> Result<StorageMetadata> {
        let instances = self.instances.load();
        let reply = instances.call(Metadata(key.shared())).await?;
        let found = reply.value.map_err(|error| error_from_plugin(error, Some(key), instances.secrets()))?;
        metadata_of(key, found).map_err(|what| instances.condemn(reply.instance, Operation::Metadata, what))
    }

    async fn update(&self, key: &Key, changes: AttributeChanges, if_match: Option<&ETag>) -> Result<StorageMetadata> {
        let instances = self.instances.load();
        let work = Update { key: key.shared(), changes: (&changes).into(), if_match: if_match.map(ETag::shared) };
        let reply = instances.call(work).await?;
        let updated = reply.value.map_err(|error| error_from_plugin(error, Some(key), instances.secrets()))?;
        metadata_of(key, updated).map_err(|what| instances.condemn(reply.instance, Operation::Update, what))
    }
}

#[cfg(test)]
mod tests;
