//! A running host, through its admin listener.

mod console;
mod lines;
mod objects;
mod snapshot;
mod store;
mod tasks;
mod watching;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;

use crate::cache::{CacheReport, TopKeys};
use crate::error::{Error, Result};
use crate::host::{PluginReport, ReloadReport};
use crate::lifecycle::LifecycleReport;
use crate::object::{ByteStream, Key, StoreName, Timestamp};
use crate::wire::{CacheBody, ErrorBody, InvalidatedBody, StoreEntry};

pub use self::console::ConsoleLink;
use self::objects::RemoteObjects;
pub use self::store::RemoteStorageProvider;
pub use self::watching::RemoteEvents;

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

    /// Has it apply the policies of a store, beside the times at which it does so by itself.
    ///
    /// # Errors
    /// As [`stores`](Self::stores); [`Error::Unsupported`] if the objects of the store do not age.
    pub async fn apply_lifecycle(&self, store: &StoreName) -> Result<LifecycleReport> {
        read_json(self.ask(Method::POST, &format!("/stores/{store}/lifecycle")).await?).await
    }

    async fn ask(&self, method: Method, path: &str) -> Result<Response<Incoming>> {
        self.send(method, path, None, Empty::new().map_err(|none| match none {}).boxed_unsync()).await
    }

    /// One of its stores. Whether there is such a store shows with the first call.
    pub fn store(&self, name: &StoreName) -> RemoteStorageProvider {
        RemoteStorageProvider { objects: RemoteObjects::new(self, format!("/stores/{name}")) }
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
