//! The plugins of the admin listener.
//!
//! | request | does |
//! | --- | --- |
//! | `GET /v1/plugins` | tells how each plugin at work is |
//! | `POST /v1/plugins/{plugin}/reset` | has one start again that is quarantined or backs off |
//! | `POST /v1/reload` | puts changed components and configurations of plugins to work |

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};

use super::objects::Failure;
use crate::error::Result;
use crate::host::{PluginReport, ReloadReport};

/// The plugins of a host, as its operator sees them.
#[async_trait]
pub trait Plugins: fmt::Debug + Send + Sync + 'static {
    /// How each plugin at work is.
    fn reports(&self) -> Vec<PluginReport>;

    /// Has a plugin start again that failed too often.
    ///
    /// # Errors
    /// [`Error::InvalidInput`](crate::error::Error::InvalidInput) if no such plugin is at work.
    fn reset(&self, plugin: &str) -> Result<()>;

    /// Puts to work what changed.
    ///
    /// # Errors
    /// [`Error::InvalidInput`](crate::error::Error::InvalidInput) if the configuration is none any more.
    async fn reload(&self) -> Result<ReloadReport>;
}

/// The routes, without `/v1`.
pub(super) fn routes(plugins: Arc<dyn Plugins>) -> Router {
    Router::new()
        .route("/plugins", get(reports))
        .route("/plugins/{plugin}/reset", post(reset))
        .route("/reload", post(reload))
        .with_state(plugins)
}

type Shared = State<Arc<dyn Plugins>>;

async fn reports(State(plugins): Shared) -> Json<Vec<PluginReport>> {
    Json(plugins.reports())
}

async fn reset(State(plugins): Shared, Path(name): Path<String>) -> Result<StatusCode, Failure> {
    plugins.reset(&name)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn reload(State(plugins): Shared) -> Result<Json<ReloadReport>, Failure> {
    Ok(Json(plugins.reload().await?))
}
