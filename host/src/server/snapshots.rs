use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body as HttpBody;
use axum::extract::{Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use parking_lot::Mutex;
use tokio::time::{MissedTickBehavior, interval};
use ulid::Ulid;

use super::objects::{self, Answer, Failure, ObjectQuery, PageQuery};
use super::stores::Stores;
use crate::error::Error;
use crate::object::StorageMetadata;
use crate::provider::StorageProvider;
use crate::wire::{PageBody, SnapshotBody};

/// How often whoever asked for a snapshot is sent a line: how soon it shows that nobody reads any more.
const BEAT: Duration = Duration::from_secs(2);

/// The snapshots that somebody reads.
#[derive(Clone)]
struct Snapshots {
    stores: Arc<dyn Stores>,
    open: Arc<Mutex<HashMap<String, Arc<dyn StorageProvider>>>>,
}

/// Lets a snapshot go when the answer that stands for it ends.
struct Guard {
    name: String,
    snapshots: Snapshots,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.snapshots.open.lock().remove(&self.name);
    }
}

/// The routes, without `/v1`.
pub(super) fn routes(stores: Arc<dyn Stores>) -> Router {
    Router::new()
        .route("/stores/{store}/snapshots", post(take))
        .route("/snapshots/{snapshot}/objects", get(list))
        .route("/snapshots/{snapshot}/metadata", get(metadata))
        .route("/snapshots/{snapshot}/object", get(retrieve))
        .with_state(Snapshots { stores, open: Arc::default() })
}

impl Snapshots {
    fn find(&self, name: &str) -> Answer<Arc<dyn StorageProvider>> {
        self.open.lock().get(name).cloned().ok_or_else(|| {
            let error = Error::unavailable("there is no such snapshot any more: whoever took it has gone away");
            Failure(StatusCode::NOT_FOUND, error)
        })
    }
}

/// A line that names the snapshot, and then empty ones.
async fn take(State(snapshots): State<Snapshots>, Path(store): Path<String>) -> Answer<Response> {
    let snapshot = objects::find(&snapshots.stores, &store)?.snapshot().await?;
    let name = Ulid::generate().to_string();
    let body = serde_json::to_string(&SnapshotBody { snapshot: name.clone() })
        .map_err(|error| Error::internal(format!("a snapshot\u{2019}s name is no JSON: {error}")))?;
    snapshots.open.lock().insert(name.clone(), snapshot);
    let guard = Guard { name, snapshots };
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let beats = stream::unfold((beat, guard), async |(mut beat, guard)| {
        beat.tick().await;
        Some((Ok::<_, Error>(Bytes::from_static(b"\n")), (beat, guard)))
    });
    let first = stream::once(async { Ok::<_, Error>(Bytes::from(body)) });
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], HttpBody::from_stream(first.chain(beats))).into_response())
}

async fn list(
    State(snapshots): State<Snapshots>,
    Path(name): Path<String>,
    Query(query): Query<PageQuery>,
) -> Answer<Json<PageBody>> {
    objects::page(snapshots.find(&name)?, query).await
}

async fn metadata(
    State(snapshots): State<Snapshots>,
    Path(name): Path<String>,
    Query(query): Query<ObjectQuery>,
) -> Answer<Json<StorageMetadata>> {
    Ok(Json(snapshots.find(&name)?.metadata(&query.key).await?))
}

async fn retrieve(
    State(snapshots): State<Snapshots>,
    Path(name): Path<String>,
    Query(query): Query<ObjectQuery>,
    headers: HeaderMap,
) -> Answer<Response> {
    objects::object(&*snapshots.find(&name)?, &query.key, &headers).await
}
