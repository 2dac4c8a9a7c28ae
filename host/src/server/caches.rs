//! The caches of the admin listener.
//!
//! | request | does |
//! | --- | --- |
//! | `GET /v1/caches` | tells how each store's cache is set up, what it has done and what it holds |
//! | `GET /v1/caches/{store}/top?limit` | the keys that are read most |
//! | `DELETE /v1/caches/{store}?key` | has it forget a key |
//! | `DELETE /v1/caches/{store}?prefix` | has it forget all keys that begin so; an empty prefix: all |

use std::fmt;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{delete, get};
use axum::{Json, Router};
use serde::Deserialize;

use super::objects::Failure;
use crate::cache::TopKeys;
use crate::error::Error;
use crate::manager::StorageManager;
use crate::object::Key;
use crate::wire::{CacheBody, InvalidatedBody};

/// The stores whose caches an operator sees: all of a host, also those that no other front door serves.
pub trait Caches: fmt::Debug + Send + Sync + 'static {
    /// Those stores, in byte order of their names.
    fn stores(&self) -> Vec<StorageManager>;
}

/// How many keys are told at most, and unless it is said.
const MAX_TOP: usize = 256;
const TOP: usize = 20;

/// The routes, without `/v1`.
pub(super) fn routes(caches: Arc<dyn Caches>) -> Router {
    Router::new()
        .route("/caches", get(reports))
        .route("/caches/{store}/top", get(top))
        .route("/caches/{store}", delete(invalidate))
        .with_state(caches)
}

type Shared = State<Arc<dyn Caches>>;
type Answer<T> = Result<T, Failure>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TopQuery {
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InvalidateQuery {
    key: Option<Key>,
    prefix: Option<String>,
}

async fn reports(State(caches): Shared) -> Json<Vec<CacheBody>> {
    let report = |store: StorageManager| {
        let report = store.cache()?.report();
        Some(CacheBody { store: store.name().clone(), report })
    };
    Json(caches.stores().into_iter().filter_map(report).collect())
}

async fn top(
    State(caches): Shared,
    Path(name): Path<String>,
    Query(TopQuery { limit }): Query<TopQuery>,
) -> Answer<Json<TopKeys>> {
    let limit = limit.unwrap_or(TOP);
    if !(1..=MAX_TOP).contains(&limit) {
        return Err(Error::invalid_input(format!("limit is 1 to {MAX_TOP}, not {limit}")).into());
    }
    let store = find(&caches, &name)?;
    let cache = store.cache().ok_or_else(|| none(&name))?;
    Ok(Json(cache.top(limit)))
}

async fn invalidate(
    State(caches): Shared,
    Path(name): Path<String>,
    Query(query): Query<InvalidateQuery>,
) -> Answer<Json<InvalidatedBody>> {
    let store = find(&caches, &name)?;
    store.cache().ok_or_else(|| none(&name))?;
    let keys = match query {
        InvalidateQuery { key: Some(key), prefix: None } => u64::from(store.invalidate(&key)),
        InvalidateQuery { key: None, prefix: Some(prefix) } => {
            // It looks at every entry, which takes milliseconds where there are a million.
            let work = tokio::task::spawn_blocking(move || store.invalidate_prefix(&prefix));
            work.await.map_err(|error| Error::internal(format!("the cache was not cleared: {error}")))?
        }
        _ => return Err(Error::invalid_input("what is to be forgotten is either `key` or `prefix`").into()),
    };
    Ok(Json(InvalidatedBody { keys }))
}

fn find(caches: &Arc<dyn Caches>, name: &str) -> Answer<StorageManager> {
    caches.stores().into_iter().find(|store| store.name().as_str() == name).ok_or_else(|| {
        let error = Error::invalid_input(format!("there is no store {name:?}: see `larder ls`"));
        Failure(StatusCode::NOT_FOUND, error)
    })
}

fn none(name: &str) -> Error {
    Error::invalid_input(format!("the store {name} has no cache: give it one under `stores.{name}.cache`"))
}
