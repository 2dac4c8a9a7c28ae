use async_trait::async_trait;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::header::RANGE;
use hyper::{Method, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{RemoteHost, pieces, read_json};
use crate::error::Result;
use crate::object::{Body, ByteRange, Key, Object, StorageMetadata};
use crate::provider::{ListQuery, Objects, Page};
use crate::wire::{self, ObjectHead, PageBody};

/// What a running host serves below a path: a store, or a snapshot of one. Bytes of whole objects are held against their
/// checksum here too.
#[derive(Clone, Debug)]
pub(super) struct RemoteObjects {
    pub(super) host: RemoteHost,
    path: String,
}

impl RemoteObjects {
    pub(super) fn new(host: &RemoteHost, path: String) -> Self {
        Self { host: host.clone(), path }
    }

    pub(super) fn target(&self, what: &str, query: &[(&str, &str)]) -> String {
        let mut target = format!("{}/{what}", self.path);
        for (index, (name, value)) in query.iter().enumerate() {
            let mark = if index == 0 { '?' } else { '&' };
            target.push_str(&format!("{mark}{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
        }
        target
    }

    pub(super) async fn send(&self, method: Method, what: &str, query: &[(&str, &str)]) -> Result<Response<Incoming>> {
        self.host.ask(method, &self.target(what, query)).await
    }

    pub(super) async fn page(&self, query: &ListQuery, trash: bool) -> Result<Page> {
        let limit = query.limit.to_string();
        let mut pairs = vec![("prefix", query.prefix.as_str()), ("limit", &limit)];
        pairs.extend(query.start_after.as_deref().map(|after| ("start_after", after)));
        pairs.extend(trash.then_some(("trash", "true")));
        let page: PageBody = read_json(self.send(Method::GET, "objects", &pairs).await?).await?;
        Ok(page.into())
    }
}

#[async_trait]
impl Objects for RemoteObjects {
    async fn retrieve(&self, key: &Key, range: Option<ByteRange>) -> Result<Object> {
        let header = range.map(|range| (RANGE, format!("bytes={range}")));
        let target = self.target("object", &[("key", key.as_str())]);
        let body = Empty::new().map_err(|none| match none {}).boxed_unsync();
        let response = self.host.send(Method::GET, &target, header, body).await?;
        let (head, _, rest) = wire::read_frame::<ObjectHead>(pieces(response.into_body())).await?;
        let ObjectHead { metadata, range } = head;
        let size = range.end.saturating_sub(range.start);
        let checksum = (size == metadata.size).then_some(metadata.checksum);
        let mut body = Body::Stream(rest).verified(size, checksum, format!("{key:?}"));
        if size <= wire::WHOLE_LIMIT {
            body = Body::Bytes(body.collect(size).await?);
        }
        Ok(Object { metadata, range, body })
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        self.page(query, false).await
    }

    async fn metadata(&self, key: &Key) -> Result<StorageMetadata> {
        read_json(self.send(Method::GET, "metadata", &[("key", key.as_str())]).await?).await
    }
}
