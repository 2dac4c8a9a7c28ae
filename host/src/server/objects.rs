//! The object API: objects over plain HTTP, for the command line.
//!
//! | request | does |
//! | --- | --- |
//! | `GET /v1/stores` | names the stores |
//! | `GET /v1/stores/{store}/objects?prefix&start_after&limit&trash` | a page of a listing; with `trash=true` also of what is in the trash |
//! | `GET /v1/stores/{store}/usage` | how much there is |
//! | `GET /v1/stores/{store}/metadata?key` | an object's metadata |
//! | `GET /v1/stores/{store}/object?key` | an object, or with a `Range` a part of it |
//! | `PUT /v1/stores/{store}/object?key` | stores an object |
//! | `PATCH /v1/stores/{store}/object?key&if_match` | changes an object's attributes |
//! | `DELETE /v1/stores/{store}/object?key&if_match` | deletes an object |
//! | `POST /v1/stores/{store}/age` | takes a step in the ageing of an object: restores it, takes it out of the trash, purges it |
//! | `POST /v1/stores/{store}/sweep` | removes copies from the archive that nothing refers to |
//! | `POST /v1/stores/{store}/lifecycle` | applies the policies now |
//! | `POST /v1/stores/{store}/check` | reads all there is and holds it against its checksums |
//! | `POST /v1/stores/{store}/snapshots` | shows what there is now, for as long as the answer is read |
//! | `GET /v1/snapshots/{snapshot}/…` | `objects`, `metadata` and `object` as of then |
//!
//! Bodies are as `wire` has them. Failures are a status and the JSON `{kind, message, …}`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::body::Body as HttpBody;
use axum::extract::{Path, Query, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RANGE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use hyper::body::Body as _;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::stores::Stores;
use super::{ageing, check, snapshots};
use crate::error::{Error, Result};
use crate::object::{AttributeChanges, Body, ByteStream, ETag, Key, StorageMetadata};
use crate::provider::{ListQuery, StorageProvider, StoreOptions};
use crate::wire::{self, ErrorBody, ObjectHead, PageBody, PutHead, StoreEntry, UsageBody};

/// After a failed store, so many bytes of the body are still read: a client that sends before it listens would otherwise
/// find its connection closed instead of the answer.
const DRAINED: u64 = 64 * 1024 * 1024;
const DRAINED_FOR: Duration = Duration::from_secs(5);

/// The routes of the object API, without `/v1`.
pub(super) fn routes(stores: Arc<dyn Stores>) -> Router {
    Router::new()
        .route("/stores", get(names))
        .route("/stores/{store}/objects", get(list))
        .route("/stores/{store}/usage", get(usage))
        .route("/stores/{store}/metadata", get(metadata))
        .route("/stores/{store}/object", get(retrieve).put(store).patch(update).delete(delete))
        .with_state(Arc::clone(&stores))
        .merge(check::routes(Arc::clone(&stores)))
        .merge(ageing::routes(Arc::clone(&stores)))
        .merge(snapshots::routes(stores))
}

type Shared = State<Arc<dyn Stores>>;

/// An error as an answer.
#[derive(Debug)]
pub(super) struct Failure(pub(super) StatusCode, pub(super) Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::NotFound { .. } => StatusCode::NOT_FOUND,
            Error::PreconditionFailed { .. } => StatusCode::PRECONDITION_FAILED,
            Error::InvalidInput { .. } => StatusCode::BAD_REQUEST,
            Error::RangeNotSatisfiable { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
            Error::Unsupported { .. } => StatusCode::NOT_IMPLEMENTED,
            Error::Exhausted { .. } => StatusCode::INSUFFICIENT_STORAGE,
            Error::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Error::PermissionDenied { .. } => StatusCode::FORBIDDEN,
            Error::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Error::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
            Error::Corrupt { .. } | Error::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.0, Json(ErrorBody::from(&self.1))).into_response()
    }
}

pub(super) type Answer<T> = std::result::Result<T, Failure>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ObjectQuery {
    pub(super) key: Key,
    if_match: Option<ETag>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    #[serde(default)]
    prefix: String,
    start_after: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    trash: bool,
}

pub(super) fn find(stores: &Arc<dyn Stores>, name: &str) -> Answer<Arc<dyn StorageProvider>> {
    stores.store(name).ok_or_else(|| {
        let error = Error::invalid_input(format!("there is no store {name:?}: see `larder ls`"));
        Failure(StatusCode::NOT_FOUND, error)
    })
}

async fn names(State(stores): Shared) -> Json<Vec<StoreEntry>> {
    Json(stores.names().into_iter().map(|(name, created_at)| StoreEntry { name, created_at }).collect())
}

async fn list(
    State(stores): Shared,
    Path(name): Path<String>,
    Query(query): Query<PageQuery>,
) -> Answer<Json<PageBody>> {
    page(find(&stores, &name)?, query).await
}

/// A page of a listing of this provider.
pub(super) async fn page(provider: Arc<dyn StorageProvider>, query: PageQuery) -> Answer<Json<PageBody>> {
    let PageQuery { prefix, start_after, limit, trash } = query;
    let limit = limit.unwrap_or(ListQuery::MAX_LIMIT);
    if !(1..=ListQuery::MAX_LIMIT).contains(&limit) {
        let max = ListQuery::MAX_LIMIT;
        return Err(Error::invalid_input(format!("limit is 1 to {max}, not {limit}")).into());
    }
    let query = ListQuery { prefix, start_after, limit };
    let page =
        if trash { ageing::find(provider)?.list_with_trash(&query).await? } else { provider.list(&query).await? };
    Ok(Json(page.into()))
}

async fn usage(State(stores): Shared, Path(name): Path<String>) -> Answer<Json<UsageBody>> {
    Ok(Json(find(&stores, &name)?.usage().await?.into()))
}

async fn metadata(
    State(stores): Shared,
    Path(name): Path<String>,
    Query(query): Query<ObjectQuery>,
) -> Answer<Json<StorageMetadata>> {
    Ok(Json(find(&stores, &name)?.metadata(&query.key).await?))
}

async fn retrieve(
    State(stores): Shared,
    Path(name): Path<String>,
    Query(query): Query<ObjectQuery>,
    headers: HeaderMap,
) -> Answer<Response> {
    object(&*find(&stores, &name)?, &query.key, &headers).await
}

/// An object of this provider, or the range of it that the headers ask for.
pub(super) async fn object(provider: &dyn StorageProvider, key: &Key, headers: &HeaderMap) -> Answer<Response> {
    let range = match headers.get(RANGE) {
        None => None,
        Some(value) => {
            let text = value.to_str().ok().and_then(|text| text.strip_prefix("bytes="));
            Some(wire::parse_range(text.unwrap_or_default())?)
        }
    };
    let object = provider.retrieve(key, range).await?;
    let size = object.range.end - object.range.start;
    // What fails here is answered by its kind; once the answer has begun, all that can be done is to cut it off.
    let body = if size <= wire::WHOLE_LIMIT { Body::Bytes(object.body.collect(size).await?) } else { object.body };
    let head = wire::frame(&ObjectHead { metadata: object.metadata, range: object.range })?;
    let length = head.len() as u64 + size;
    let pieces = stream::once(async { Ok(head) }).chain(body.into_stream());
    let headers = [(CONTENT_TYPE, "application/octet-stream".to_owned()), (CONTENT_LENGTH, length.to_string())];
    Ok((headers, HttpBody::from_stream(pieces)).into_response())
}

async fn store(
    State(stores): Shared,
    Path(name): Path<String>,
    Query(query): Query<ObjectQuery>,
    body: HttpBody,
) -> Answer<Json<StorageMetadata>> {
    let provider = find(&stores, &name);
    let length = body.size_hint().exact();
    let source = Arc::new(Mutex::new(pieces(body)));
    let outcome = async {
        let (head, head_length, rest) = wire::read_frame::<PutHead>(lend(Arc::clone(&source))).await?;
        let options = StoreOptions::try_from(head)?;
        let whole = length.is_some_and(|length| length - head_length <= wire::WHOLE_LIMIT);
        let mut body = Body::Stream(rest);
        if whole {
            body = Body::Bytes(body.collect(wire::WHOLE_LIMIT).await?);
        }
        Ok::<_, Failure>(Json(provider?.store(&query.key, body, options).await?))
    };
    let outcome = outcome.await;
    if outcome.is_err() {
        drain(&source).await;
    }
    outcome
}

async fn update(
    State(stores): Shared,
    Path(name): Path<String>,
    Query(query): Query<ObjectQuery>,
    Json(changes): Json<AttributeChanges>,
) -> Answer<Json<StorageMetadata>> {
    Ok(Json(find(&stores, &name)?.update(&query.key, changes, query.if_match.as_ref()).await?))
}

async fn delete(
    State(stores): Shared,
    Path(name): Path<String>,
    Query(query): Query<ObjectQuery>,
) -> Answer<StatusCode> {
    find(&stores, &name)?.delete(&query.key, query.if_match.as_ref()).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn pieces(body: HttpBody) -> ByteStream {
    let cut_off = |error| Error::invalid_input(format!("the body did not come whole: {error}"));
    body.into_data_stream().map(move |piece| piece.map_err(cut_off)).boxed()
}

/// The stream for whoever reads it; what is left of it stays with the lender.
fn lend(source: Arc<Mutex<ByteStream>>) -> ByteStream {
    let pieces = stream::unfold(source, |source| async {
        let next: Option<Result<Bytes>> = source.lock().await.next().await;
        next.map(|piece| (piece, source))
    });
    pieces.fuse().boxed()
}

async fn drain(source: &Mutex<ByteStream>) {
    let read = async {
        let mut left = DRAINED;
        let mut source = source.lock().await;
        while let Some(Ok(piece)) = source.next().await {
            left = left.saturating_sub(piece.len() as u64);
            if left == 0 {
                break;
            }
        }
    };
    // Whoever sends more slowly has time to hear the answer.
    let _ = tokio::time::timeout(DRAINED_FOR, read).await;
}
