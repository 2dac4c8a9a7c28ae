//! How objects age, for the command line.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::post;
use axum::{Json, Router};

use super::objects::{self, Answer};
use super::stores::Stores;
use crate::error::Error;
use crate::lifecycle::{AgeingStore, LifecycleReport};
use crate::object::now;
use crate::provider::StorageProvider;
use crate::wire::{AgeBody, SweptBody};

type Shared = State<Arc<dyn Stores>>;

/// The routes, without `/v1`.
pub(super) fn routes(stores: Arc<dyn Stores>) -> Router {
    Router::new()
        .route("/stores/{store}/age", post(age))
        .route("/stores/{store}/sweep", post(sweep))
        .route("/stores/{store}/lifecycle", post(apply))
        .with_state(stores)
}

/// The store as one whose objects age.
pub(super) fn find(provider: Arc<dyn StorageProvider>) -> Answer<Arc<dyn AgeingStore>> {
    let ages = provider.ageing();
    Ok(ages.ok_or_else(|| Error::unsupported("the objects of this store do not age: it has no `lifecycle`"))?)
}

async fn age(State(stores): Shared, Path(name): Path<String>, Json(body): Json<AgeBody>) -> Answer<Json<()>> {
    objects::find(&stores, &name)?;
    stores.age(&name, &body.key, body.step).await?;
    Ok(Json(()))
}

async fn sweep(State(stores): Shared, Path(name): Path<String>) -> Answer<Json<SweptBody>> {
    let copies = find(objects::find(&stores, &name)?)?.sweep_archive().await?;
    Ok(Json(SweptBody { copies }))
}

/// Goes on to the end even if whoever asked goes away.
async fn apply(State(stores): Shared, Path(name): Path<String>) -> Answer<Json<LifecycleReport>> {
    objects::find(&stores, &name)?;
    let Some(lifecycle) = stores.lifecycle(&name) else {
        return Err(Error::unsupported("the objects of this store do not age: it has no `lifecycle`").into());
    };
    let applying = tokio::spawn(async move { lifecycle.apply_policies(now()).await });
    let report = applying.await.map_err(|error| Error::internal(format!("applying has ended: {error}")))?;
    Ok(Json(report?))
}
