//! The tasks of the admin listener.
//!
//! | request | does |
//! | --- | --- |
//! | `GET /v1/tasks` | tells how each task is doing |
//! | `GET /v1/tasks/{task}/history` | tells its last runs, newest first |
//! | `POST /v1/tasks/{task}/run` | runs it at once, and answers with the run when it has ended |
//! | `POST /v1/tasks/{task}/pause` | starts it no more until it is resumed |
//! | `POST /v1/tasks/{task}/resume` | starts it again when it is due |

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};

use super::objects::{Answer, Failure};
use crate::error::Error;
use crate::scheduler::{Run, TaskScheduler, TaskStatus};

/// The routes, without `/v1`.
pub(super) fn routes(tasks: Arc<TaskScheduler>) -> Router {
    Router::new()
        .route("/tasks", get(status))
        .route("/tasks/{task}/history", get(history))
        .route("/tasks/{task}/run", post(run))
        .route("/tasks/{task}/pause", post(pause))
        .route("/tasks/{task}/resume", post(resume))
        .with_state(tasks)
}

type Shared = State<Arc<TaskScheduler>>;

async fn status(State(tasks): Shared) -> Json<Vec<TaskStatus>> {
    Json(tasks.status())
}

async fn history(State(tasks): Shared, Path(task): Path<String>) -> Answer<Json<Vec<Run>>> {
    tasks.history(&task).map(Json).map_err(failure)
}

async fn run(State(tasks): Shared, Path(task): Path<String>) -> Answer<Json<Run>> {
    tasks.run_task(&task).await.map(Json).map_err(failure)
}

async fn pause(State(tasks): Shared, Path(task): Path<String>) -> Answer<StatusCode> {
    tasks.pause_task(&task).await.map_err(failure)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn resume(State(tasks): Shared, Path(task): Path<String>) -> Answer<StatusCode> {
    tasks.resume_task(&task).await.map_err(failure)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The one input that can be wrong is the name of the task.
fn failure(error: Error) -> Failure {
    match error {
        Error::InvalidInput { .. } => Failure(StatusCode::NOT_FOUND, error),
        error => error.into(),
    }
}
