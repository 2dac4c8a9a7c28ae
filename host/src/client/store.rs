use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, StreamExt, TryStreamExt};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::Method;
use hyper::body::Frame;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::lines::Lines;
use super::objects::RemoteObjects;
use super::read_json;
use super::snapshot::RemoteSnapshot;
use crate::error::{Error, Result};
use crate::lifecycle::{AgeingStep, AgeingStore};
use crate::object::{AttributeChanges, Body, ByteRange, ETag, Key, Object, StorageMetadata};
use crate::provider::{CheckReport, ListQuery, Objects, Page, ReadOnly, StorageProvider, StoreOptions, Usage, Watch};
use crate::wire::{self, AgeBody, CheckLine, PutHead, SweptBody, UsageBody};

/// A store of a running host.
///
/// How durable a write is, is up to the provider there. Bytes of whole objects are held against their checksum here too.
#[derive(Clone, Debug)]
pub struct RemoteStorageProvider {
    pub(super) objects: RemoteObjects,
}

fn object_query<'a>(key: &'a Key, if_match: Option<&'a ETag>) -> Vec<(&'a str, &'a str)> {
    let mut query = vec![("key", key.as_str())];
    query.extend(if_match.map(|etag| ("if_match", etag.as_str())));
    query
}

impl RemoteStorageProvider {
    async fn send_json<T: DeserializeOwned>(&self, method: Method, target: &str, value: &impl Serialize) -> Result<T> {
        let json =
            serde_json::to_vec(value).map_err(|error| Error::internal(format!("what is sent is no JSON: {error}")))?;
        let header = Some((CONTENT_TYPE, "application/json".to_owned()));
        let body = Full::from(json).map_err(|none| match none {}).boxed_unsync();
        read_json(self.objects.host.send(method, target, header, body).await?).await
    }
}

#[async_trait]
impl AgeingStore for RemoteStorageProvider {
    async fn age(&self, key: &Key, step: AgeingStep) -> Result<()> {
        let body = AgeBody { key: key.clone(), step };
        self.send_json(Method::POST, &self.objects.target("age", &[]), &body).await
    }

    async fn list_with_trash(&self, query: &ListQuery) -> Result<Page> {
        self.objects.page(query, true).await
    }

    async fn sweep_archive(&self) -> Result<u64> {
        let swept: SweptBody = read_json(self.objects.send(Method::POST, "sweep", &[]).await?).await?;
        Ok(swept.copies)
    }
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
        let target = self.objects.target("object", &object_query(key, None));
        let outcome = self.objects.host.send(Method::PUT, &target, header, body).await;
        if let Some(error) = failure.lock().take() {
            return Err(error);
        }
        read_json(outcome?).await
    }

    async fn retrieve(&self, key: &Key, range: Option<ByteRange>) -> Result<Object> {
        self.objects.retrieve(key, range).await
    }

    async fn delete(&self, key: &Key, if_match: Option<&ETag>) -> Result<()> {
        self.objects.send(Method::DELETE, "object", &object_query(key, if_match)).await?;
        Ok(())
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        self.objects.list(query).await
    }

    async fn metadata(&self, key: &Key) -> Result<StorageMetadata> {
        self.objects.metadata(key).await
    }

    async fn update(&self, key: &Key, changes: AttributeChanges, if_match: Option<&ETag>) -> Result<StorageMetadata> {
        let target = self.objects.target("object", &object_query(key, if_match));
        self.send_json(Method::PATCH, &target, &changes).await
    }

    async fn usage(&self) -> Result<Usage> {
        let usage: UsageBody = read_json(self.objects.send(Method::GET, "usage", &[]).await?).await?;
        Ok(usage.into())
    }

    async fn check(&self, watch: Arc<dyn Watch>) -> Result<CheckReport> {
        let response = self.objects.send(Method::POST, "check", &[]).await?;
        let mut lines = Lines::of(response);
        loop {
            match lines.next().await? {
                Some(CheckLine::Expect(bytes)) => watch.expect(bytes),
                Some(CheckLine::Read(bytes)) => watch.read(bytes),
                Some(CheckLine::Found(finding)) => watch.found(finding),
                Some(CheckLine::Report(report)) => return Ok(report),
                Some(CheckLine::Failed(error)) => return Err(error.into()),
                None => return Err(Error::unavailable("the host has given up its check")),
            }
        }
    }

    async fn snapshot(&self) -> Result<Arc<dyn StorageProvider>> {
        Ok(Arc::new(ReadOnly(RemoteSnapshot::take(&self.objects).await?)))
    }

    /// Whether its objects age shows with the first step.
    fn ageing(self: Arc<Self>) -> Option<Arc<dyn AgeingStore>> {
        Some(self)
    }
}
