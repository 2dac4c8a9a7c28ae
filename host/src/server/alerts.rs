//! What the host finds of itself.
//!
//! | request | tells |
//! | --- | --- |
//! | `GET /v1/alerts` | the alerts: those that fire first, and of those the worst |
//! | `GET /v1/health` | how each part is, as `/readyz`, but always with status 200 |

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};

use super::AdminOptions;
use crate::alerts::Alert;
use crate::monitor::HealthReport;

/// The routes, without `/v1`.
pub(super) fn routes(options: &AdminOptions) -> Router {
    Router::new().route("/alerts", get(alerts)).route("/health", get(health)).with_state(options.clone())
}

async fn alerts(State(options): State<AdminOptions>) -> Json<Vec<Alert>> {
    Json(options.alerts.alerts())
}

async fn health(State(options): State<AdminOptions>) -> Json<Arc<HealthReport>> {
    Json((options.health)().await)
}
