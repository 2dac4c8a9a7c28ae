//! The caches of the admin listener.
//!
//! | request | does |
//! | --- | --- |
//! | `GET /v1/caches` | tells how each store's cache is set up, what it has done and what it holds |
//! | `GET /v1/caches/{store}/top?limit` | the keys that are read most |
//! | `DELETE /v1/caches/{store}?key` | has it forget a key |
//! | `DELETE /v1/caches/{store}?prefix` | has it forget all keys that begin so; an empty prefix: all |

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::routing::{delete, get};
use axum::{Json, Router};
use serde::Deserialize;

use super::inventory::{self, Inventory};
use super::objects::Answer;
use crate::cache::TopKeys;
use crate::error::Error;
use crate::host::HostedStore;
use crate::object::Key;
use crate::wire::{CacheBody, InvalidatedBody};

/// How many keys are told at most, and unless it is said.
const MAX_TOP: usize = 256;
const TOP: usize = 20;

/// The routes, without `/v1`.
pub(super) fn routes(inventory: Arc<dyn Inventory>) -> Router {
    Router::new()
        .route("/caches", get(reports))
        .route("/caches/{store}/top", get(top))
        .route("/caches/{store}", delete(invalidate))
        .with_state(inventory)
}

type Shared = State<Arc<dyn Inventory>>;

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

async fn reports(State(inventory): Shared) -> Json<Vec<CacheBody>> {
    let report = |HostedStore { manager, .. }| {
        let report = manager.cache()?.report();
        Some(CacheBody { store: manager.name().clone(), report })
    };
    Json(inventory.stores().into_iter().filter_map(report).collect())
}

async fn top(
    State(inventory): Shared,
    Path(name): Path<String>,
    Query(TopQuery { limit }): Query<TopQuery>,
) -> Answer<Json<TopKeys>> {
    let limit = limit.unwrap_or(TOP);
    if !(1..=MAX_TOP).contains(&limit) {
        return Err(Error::invalid_input(format!("limit is 1 to {MAX_TOP}, not {limit}")).into());
    }
    let store = inventory::find(&inventory, &name)?.manager;
    let cache = store.cache().ok_or_else(|| none(&name))?;
    Ok(Json(cache.top(limit)))
}

async fn invalidate(
    State(inventory): Shared,
    Path(name): Path<String>,
    Query(query): Query<InvalidateQuery>,
) -> Answer<Json<InvalidatedBody>> {
    let store = inventory::find(&inventory, &name)?.manager;
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

fn none(name: &str) -> Error {
    Error::invalid_input(format!("the store {name} has no cache: give it one under `stores.{name}.cache`"))
}
