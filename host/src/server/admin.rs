//! The admin listener: metrics, health, plugins, caches, tasks, and the object API.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::alerts;
use super::caches;
use super::console::{self, Console};
use super::events;
use super::inventory::{self, Inventory};
use super::objects::{self, Failure};
use super::plugins::{self, Plugins};
use super::stores::Stores;
use super::tasks;
use super::token::Token;
use crate::alerts::AlertManager;
use crate::error::Error;
use crate::events::EventStream;
use crate::monitor::{HealthReport, HealthState};
use crate::object::{Timestamp, now};
use crate::scheduler::TaskScheduler;

/// What the admin listener shows, and who may use its object API.
#[derive(Clone)]
pub struct AdminOptions {
    /// The stores of the object API.
    pub stores: Arc<dyn Stores>,
    /// The plugins at work.
    pub plugins: Arc<dyn Plugins>,
    /// All stores of the host, with their caches and figures.
    pub inventory: Arc<dyn Inventory>,
    /// What is done again and again; the S3 front door adds what it has to do.
    pub tasks: Arc<TaskScheduler>,
    /// The metrics, in Prometheus' text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Asks each part of the host how it is.
    pub health: Arc<dyn Fn() -> BoxFuture<'static, Arc<HealthReport>> + Send + Sync>,
    /// What needs a person.
    pub alerts: Arc<AlertManager>,
    /// What happens.
    pub events: EventStream,
    /// Since when the host runs.
    pub started_at: Timestamp,
    /// What requests under `/v1` must bear (`Authorization: Bearer …`).
    pub token: String,
}

impl fmt::Debug for AdminOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminOptions").field("stores", &self.stores).finish_non_exhaustive()
    }
}

/// The routes of the admin listener: `/metrics`, `/healthz` (the process answers), `/readyz` (503 if a part has failed, with
/// the state of each as [`HealthReport`]), the object API, the plugins, the caches, the tasks, the alerts and the events under
/// `/v1`, which ask for the token, and the console.
pub(super) fn routes(options: AdminOptions, stopping: CancellationToken) -> Router {
    let token = Token::new(&options.token);
    let console = Console::new(options.clone(), token.clone());
    let api = objects::routes(Arc::clone(&options.stores))
        .merge(plugins::routes(Arc::clone(&options.plugins)))
        .merge(inventory::routes(Arc::clone(&options.inventory)))
        .merge(caches::routes(Arc::clone(&options.inventory)))
        .merge(tasks::routes(Arc::clone(&options.tasks)))
        .merge(alerts::routes(&options))
        .merge(events::routes(options.events.clone(), stopping))
        .merge(console::code_routes(Arc::clone(&console)));
    let api = api.route_layer(from_fn_with_state(token, require_token));
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(options)
        .nest("/v1", api)
        .merge(console::routes(console))
        .fallback(|| async {
            let error =
                Error::invalid_input("there is nothing here: see /console, /metrics, /healthz, /readyz and /v1/stores");
            Failure(StatusCode::NOT_FOUND, error)
        })
}

async fn metrics(State(options): State<AdminOptions>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], (options.metrics)())
}

/// That the process answers is all that it says.
async fn healthz() -> impl IntoResponse {
    told(&HealthReport::new(now(), BTreeMap::new()))
}

async fn readyz(State(options): State<AdminOptions>) -> impl IntoResponse {
    told(&*(options.health)().await)
}

fn told(report: &HealthReport) -> impl IntoResponse + use<> {
    let failed = report.state == HealthState::Failed;
    let status = if failed { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (
        status,
        [(CONTENT_TYPE, HealthReport::MEDIA_TYPE), (CACHE_CONTROL, "no-store")],
        Json(report).into_response().into_body(),
    )
}

async fn require_token(State(token): State<Token>, request: Request, next: Next) -> Response {
    if token.is_borne(request.headers()) {
        return next.run(request).await;
    }
    let error = Error::permission_denied("this asks for the token of this run, from host.json in the data folder");
    Failure(StatusCode::UNAUTHORIZED, error).into_response()
}
