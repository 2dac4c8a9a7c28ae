use super::bindings::layer::larder::plugin::inner_stores as host;
use super::convert::error;
use super::stream::{HostStream, Outgoing, with};
use crate::body::{Body, BodyStream};
use crate::error::Result;
use crate::object::{AttributeChanges, ETag, Metadata, Object};
use crate::provider::{ListQuery, Page, StoreOptions};
use crate::range::ByteRange;

/// A store of the host's.
#[derive(Debug)]
pub(crate) struct InnerStore(host::InnerStore);

impl InnerStore {
    pub(crate) fn open(name: &str) -> Result<Self> {
        host::InnerStore::open(name).map(Self).map_err(error)
    }

    pub(crate) async fn store(&self, key: &str, body: Body, options: StoreOptions) -> Result<Metadata> {
        let (upload, pump) = match Outgoing::new(body) {
            Outgoing::Whole(bytes) => (host::Upload::Whole(bytes), None),
            Outgoing::Streamed { data, end, pump } => {
                (host::Upload::Streamed(host::StreamedUpload { data, end }), pump)
            }
        };
        let call = self.0.store_object(key.to_owned(), upload, options.into());
        let metadata = match pump {
            Some(pump) => with(call, pump.run()).await,
            None => call.await,
        };
        metadata.map(Into::into).map_err(error)
    }

    pub(crate) async fn retrieve(&self, key: &str, range: Option<ByteRange>) -> Result<Object> {
        let object = self.0.retrieve_object(key.to_owned(), range.map(Into::into)).await.map_err(error)?;
        let body = match object.data {
            host::Download::Whole(bytes) => Body::Bytes(bytes),
            host::Download::Streamed(host::StreamedDownload { data, end }) => {
                Body::Stream(BodyStream::from_host(HostStream::download(data, end)))
            }
        };
        Ok(Object { metadata: object.metadata.into(), body })
    }

    pub(crate) async fn delete(&self, key: &str, if_match: Option<&ETag>) -> Result<()> {
        self.0.delete_object(key.to_owned(), if_match.map(|etag| etag.as_str().to_owned())).await.map_err(error)
    }

    pub(crate) async fn list(&self, query: &ListQuery) -> Result<Page> {
        self.0.list_objects(query.into()).await.map(Into::into).map_err(error)
    }

    pub(crate) async fn metadata(&self, key: &str) -> Result<Metadata> {
        self.0.read_metadata(key.to_owned()).await.map(Into::into).map_err(error)
    }

    pub(crate) async fn update(
        &self,
        key: &str,
        changes: AttributeChanges,
        if_match: Option<&ETag>,
    ) -> Result<Metadata> {
        let if_match = if_match.map(|etag| etag.as_str().to_owned());
        self.0.update_attributes(key.to_owned(), changes.into(), if_match).await.map(Into::into).map_err(error)
    }
}
