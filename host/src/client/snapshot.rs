use std::fmt;

use async_trait::async_trait;
use futures::TryStreamExt;
use hyper::body::Incoming;
use hyper::{Method, Response};
use parking_lot::Mutex;

use super::objects::RemoteObjects;
use super::pieces;
use crate::error::{Error, Result};
use crate::object::{ByteRange, ByteStream, Key, Object, StorageMetadata};
use crate::provider::{ListQuery, Objects, Page};
use crate::wire::SnapshotBody;

/// A snapshot of a store of a running host. The host keeps it for as long as its answer to the request for it is read, and
/// so no longer than this is there.
pub(super) struct RemoteSnapshot {
    objects: RemoteObjects,
    _answer: Mutex<ByteStream>,
}

impl RemoteSnapshot {
    pub(super) async fn take(store: &RemoteObjects) -> Result<Self> {
        let response: Response<Incoming> = store.send(Method::POST, "snapshots", &[]).await?;
        let mut answer = pieces(response.into_body());
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            let piece = answer.try_next().await?;
            line.extend_from_slice(&piece.ok_or_else(|| Error::unavailable("the host has given up its snapshot"))?);
        }
        let SnapshotBody { snapshot } = serde_json::from_slice(&line)
            .map_err(|error| Error::internal(format!("the host's answer is not what it should be: {error}")))?;
        let objects = RemoteObjects::new(&store.host, format!("/snapshots/{snapshot}"));
        Ok(Self { objects, _answer: Mutex::new(answer) })
    }
}

#[async_trait]
impl Objects for RemoteSnapshot {
    async fn retrieve(&self, key: &Key, range: Option<ByteRange>) -> Result<Object> {
        self.objects.retrieve(key, range).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        self.objects.list(query).await
    }

    async fn metadata(&self, key: &Key) -> Result<StorageMetadata> {
        self.objects.metadata(key).await
    }
}

impl fmt::Debug for RemoteSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteSnapshot").field("objects", &self.objects).finish_non_exhaustive()
    }
}
