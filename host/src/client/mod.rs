//! A running host, through its admin listener.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, RANGE};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use parking_lot::Mutex;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;

use crate::cache::{CacheReport, TopKeys};
use crate::error::{Error, Result};
use crate::host::{PluginReport, ReloadReport};
use crate::object::{
    AttributeChanges, Body, ByteRange, ByteStream, ETag, Key, Object, StorageMetadata, StoreName, Timestamp,
};
use crate::provider::{ListQuery, Page, StorageProvider, StoreOptions, Usage};
use crate::wire::{self, CacheBody, ErrorBody, InvalidatedBody, ObjectHead, PageBody, PutHead, StoreEntry, UsageBody};

/// The largest answer without an object in it: a page of 1000 objects with all attributes at their limits stays below.
const MAX_ANSWER: usize = 512 * 1024 * 1024;

type HttpBody = UnsyncBoxBody<Bytes, Error>;

/// What a cache is to forget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invalidation {
    /// One key.
    Key(Key),
    /// All keys that begin with this; empty for all there are.
    Prefix(String),
}

/// A running host.
#[derive(Clone)]
pub struct RemoteHost {
    address: SocketAddr,
    token: Arc<str>,
    client: Client<HttpConnector, HttpBody>,
}

impl RemoteHost {
    /// The host whose admin listener is at this address. `token` is that of its run.
    pub fn new(address: SocketAddr, token: impl Into<Arc<str>>) -> Self {
        Self { address, token: token.into(), client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// The names of its stores, each with the moment it came to be.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it does not answer; [`Error::PermissionDenied`] if the token is another run's.
    pub async fn stores(&self) -> Result<Vec<(StoreName, Timestamp)>> {
        let entries: Vec<StoreEntry> = read_json(self.ask(Method::GET, "/stores").await?).await?;
        Ok(entries.into_iter().map(|entry| (entry.name, entry.created_at)).collect())
    }

    /// How each of its plugins at work is.
    ///
    /// # Errors
    /// As [`stores`](Self::stores).
    pub async fn plugins(&self) -> Result<Vec<PluginReport>> {
        read_json(self.ask(Method::GET, "/plugins").await?).await
    }

    /// Has a plugin start again that failed too often.
    ///
    /// # Errors
    /// As [`stores`](Self::stores); [`Error::InvalidInput`] if no such plugin is at work.
    pub async fn reset_plugin(&self, plugin: &str) -> Result<()> {
        let plugin = utf8_percent_encode(plugin, NON_ALPHANUMERIC);
        self.ask(Method::POST, &format!("/plugins/{plugin}/reset")).await.map(drop)
    }

    /// Has it put to work what changed of its plugins.
    ///
    /// # Errors
    /// As [`stores`](Self::stores); [`Error::InvalidInput`] if its configuration is none any more.
    pub async fn reload(&self) -> Result<ReloadReport> {
        read_json(self.ask(Method::POST, "/reload").await?).await
    }

    /// How the cache of each store that has one is set up, what it has done and what it holds.
    ///
    /// # Errors
    /// As [`stores`](Self::stores).
    pub async fn caches(&self) -> Result<Vec<(StoreName, CacheReport)>> {
        let caches: Vec<CacheBody> = read_json(self.ask(Method::GET, "/caches").await?).await?;
        Ok(caches.into_iter().map(|cache| (cache.store, cache.report)).collect())
    }

    /// The keys of a store that were read most in the last minute or two, as estimated from a sample; 1 to 256 of them.
    ///
    /// # Errors
    /// As [`stores`](Self::stores); [`Error::InvalidInput`] if there is no such store, or it has no cache.
    pub async fn top_keys(&self, store: &StoreName, limit: usize) -> Result<TopKeys> {
        read_json(self.ask(Method::GET, &format!("/caches/{store}/top?limit={limit}")).await?).await
    }

    /// Has the cache of a store forget what it knows, and returns of how many keys that was.
    ///
    /// # Errors
    /// As [`top_keys`](Self::top_keys).
    pub async fn invalidate(&self, store: &StoreName, what: &Invalidation) -> Result<u64> {
        let (name, value) = match what {
            Invalidation::Key(key) => ("key", key.as_str()),
            Invalidation::Prefix(prefix) => ("prefix", prefix.as_str()),
        };
        let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
        let answer = self.ask(Method::DELETE, &format!("/caches/{store}?{name}={value}")).await?;
        Ok(read_json::<InvalidatedBody>(answer).await?.keys)
    }

    async fn ask(&self, method: Method, path: &str) -> Result<Response<Incoming>> {
        self.send(method, path, None, Empty::new().map_err(|none| match none {}).boxed_unsync()).await
    }

    /// One of its stores. Whether there is such a store shows with the first call.
    pub fn store(&self, name: StoreName) -> RemoteStorageProvider {
        RemoteStorageProvider { host: self.clone(), name }
    }

    async fn send(
        &self,
        method: Method,
        path_and_query: &str,
        header: Option<(hyper::header::HeaderName, String)>,
        body: HttpBody,
    ) -> Result<Response<Incoming>> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}/v1{path_and_query}", self.address))
            .header(AUTHORIZATION, format!("Bearer {}", self.token));
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let request = request
            .body(body)
            .map_err(|error| Error::internal(format!("the request to the running host is none: {error}")))?;
        let response = self.client.request(request).await.map_err(|error| {
            let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            Error::unavailable(format!("the host at {} does not answer: {cause}", self.address))
        })?;
        if response.status().is_success() { Ok(response) } else { Err(read_error(response).await) }
    }
}

impl fmt::Debug for RemoteHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteHost").field("address", &self.address).finish_non_exhaustive()
    }
}

/// A store of a running host.
///
/// How durable a write is, is up to the provider there. Bytes of whole objects are held against their checksum here too.
#[derive(Clone, Debug)]
pub struct RemoteStorageProvider {
    host: RemoteHost,
    name: StoreName,
}

impl RemoteStorageProvider {
    async fn send(&self, method: Method, what: &str, query: &[(&str, &str)]) -> Result<Response<Incoming>> {
        self.host.ask(method, &self.target(what, query)).await
    }

    fn target(&self, what: &str, query: &[(&str, &str)]) -> String {
        let mut target = format!("/stores/{}/{what}", self.name);
        for (index, (name, value)) in query.iter().enumerate() {
            let mark = if index == 0 { '?' } else { '&' };
            target.push_str(&format!("{mark}{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
        }
        target
    }
}

fn object_query<'a>(key: &'a Key, if_match: Option<&'a ETag>) -> Vec<(&'a str, &'a str)> {
    let mut query = vec![("key", key.as_str())];
    query.extend(if_match.map(|etag| ("if_match", etag.as_str())));
    query
}

#[async_trait]
impl StorageProvider for RemoteStorageProvider {
    async fn store(&self, key: &Key, body: Body, options: StoreOptions) -> Result<StorageMetadata> {
        let head = wire::frame(&PutHead::from(options))?;
        let header = match &body {
            Body::Bytes(bytes) => Some((CONTENT_LENGTH, (head.len() + bytes.len()).to_string())),
            Body::Stream(_) => None,
        };
        // The body's own error is the outcome, not that the connection was given up because of it.
        let failure: Arc<Mutex<Option<Error>>> = Arc::default();
        let seen = Arc::clone(&failure);
        let pieces = stream::once(async { Ok(head) }).chain(body.into_stream());
        let pieces = pieces.inspect_err(move |error| *seen.lock() = Some(error.clone())).map_ok(Frame::data);
        let body = StreamBody::new(pieces).boxed_unsync();
        let target = self.target("object", &object_query(key, None));
        let outcome = self.host.send(Method::PUT, &target, header, body).await;
        if let Some(error) = failure.lock().take() {
            return Err(error);
        }
        read_json(outcome?).await
    }

    async fn retrieve(&self, key: &Key, range: Option<ByteRange>) -> Result<Object> {
        let header = range.map(|range| (RANGE, format!("bytes={range}")));
        let target = self.target("object", &object_query(key, None));
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

    async fn delete(&self, key: &Key, if_match: Option<&ETag>) -> Result<()> {
        self.send(Method::DELETE, "object", &object_query(key, if_match)).await?;
        Ok(())
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        let limit = query.limit.to_string();
        let mut pairs = vec![("prefix", query.prefix.as_str()), ("limit", &limit)];
        pairs.extend(query.start_after.as_deref().map(|after| ("start_after", after)));
        let page: PageBody = read_json(self.send(Method::GET, "objects", &pairs).await?).await?;
        Ok(page.into())
    }

    async fn metadata(&self, key: &Key) -> Result<StorageMetadata> {
        read_json(self.send(Method::GET, "metadata", &object_query(key, None)).await?).await
    }

    async fn update(&self, key: &Key, changes: AttributeChanges, if_match: Option<&ETag>) -> Result<StorageMetadata> {
        let json = serde_json::to_vec(&changes)
            .map_err(|error| Error::internal(format!("changes of attributes are no JSON: {error}")))?;
        let header = Some((CONTENT_TYPE, "application/json".to_owned()));
        let body = Full::from(json).map_err(|none| match none {}).boxed_unsync();
        let target = self.target("object", &object_query(key, if_match));
        read_json(self.host.send(Method::PATCH, &target, header, body).await?).await
    }

    async fn usage(&self) -> Result<Usage> {
        let usage: UsageBody = read_json(self.send(Method::GET, "usage", &[]).await?).await?;
        Ok(usage.into())
    }
}

fn pieces(body: Incoming) -> ByteStream {
    let cut_off = |error| Error::unavailable(format!("the host's answer was cut off: {error}"));
    body.into_data_stream().map(move |piece| piece.map_err(cut_off)).boxed()
}

async fn read_json<T: DeserializeOwned>(response: Response<Incoming>) -> Result<T> {
    let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
    let body = body.map_err(|error| Error::unavailable(format!("the host's answer was cut off: {error}")))?;
    serde_json::from_slice(&body.to_bytes())
        .map_err(|error| Error::internal(format!("the host's answer is not what it should be: {error}")))
}

async fn read_error(response: Response<Incoming>) -> Error {
    let status: StatusCode = response.status();
    match read_json::<ErrorBody>(response).await {
        Ok(body) => body.into(),
        Err(_) => Error::internal(format!("the host answered {status}: is it of the same version of larder?")),
    }
}
