//! What the admin listener knows of stores beside their objects.
//!
//! | request | does |
//! | --- | --- |
//! | `GET /v1/stores/{store}/history` | tells the last day of a store, a sample a minute, oldest first |

use std::fmt;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};

use super::objects::{Answer, Failure};
use crate::error::Error;
use crate::host::HostedStore;
use crate::monitor::Sample;

/// The stores that an operator sees: all of a host, also those that no other front door serves.
pub trait Inventory: fmt::Debug + Send + Sync + 'static {
    /// Those stores, in byte order of their names.
    fn stores(&self) -> Vec<HostedStore>;
}

/// The routes, without `/v1`.
pub(super) fn routes(inventory: Arc<dyn Inventory>) -> Router {
    Router::new().route("/stores/{store}/history", get(history)).with_state(inventory)
}

/// The store of this name.
pub(super) fn find(inventory: &Arc<dyn Inventory>, name: &str) -> Answer<HostedStore> {
    inventory.stores().into_iter().find(|store| store.manager.name().as_str() == name).ok_or_else(|| {
        let error = Error::invalid_input(format!("there is no store {name:?}: see `larder ls`"));
        Failure(StatusCode::NOT_FOUND, error)
    })
}

async fn history(State(inventory): State<Arc<dyn Inventory>>, Path(name): Path<String>) -> Answer<Json<Vec<Sample>>> {
    Ok(Json(find(&inventory, &name)?.manager.monitor().history()))
}
