//! The console: what a host does, for a browser.
//!
//! | request | does |
//! | --- | --- |
//! | `GET /console` | shows health, alerts, stores, plugins and tasks |
//! | `GET /console/tasks/{task}` | shows a task and its last runs |
//! | `POST /console/tasks/{task}/run` | runs it; so with `pause` and `resume` |
//! | `POST /console/plugins/{plugin}/reset` | has a plugin start again |
//! | `GET /console/plan?store` | shows what the policies of a store would do now |
//! | `GET /console/login?code` | trades a code for a session; without one, asks for the token |
//! | `POST /console/login`, `POST /console/logout` | begins and ends a session |
//! | `GET /console/{console.css,console.js,icon.svg}` | what the pages are made of |
//! | `POST /v1/console/codes` | makes a code |
//!
//! Pages are whole without their script: links and forms do everything. The script keeps a page up to date, and spares the
//! reload when a button is pressed.

mod access;
mod alerts;
mod assets;
mod chart;
mod format;
mod health;
mod login;
mod origin;
mod overview;
mod page;
mod passes;
mod plan;
mod plugins;
mod stores;
mod tasks;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use tokio::sync::Semaphore;

use self::access::Session;
use self::passes::Passes;
use super::admin::AdminOptions;
use super::token::Token;

/// Nothing but what the host itself serves: no inline script or style, and no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// What the pages show, and who may see them.
pub(super) struct Console {
    host: AdminOptions,
    token: Token,
    sessions: Passes<Session>,
    codes: Passes<()>,
    health: health::LastReport,
    /// Plans that may be made at a time.
    plans: Semaphore,
}

impl Console {
    pub(super) fn new(host: AdminOptions, token: Token) -> Arc<Self> {
        Arc::new(Self {
            host,
            token,
            sessions: Passes::new(login::SESSION_LASTS, login::MOST_SESSIONS),
            codes: Passes::new(login::CODE_LASTS, login::MOST_CODES),
            health: health::LastReport::default(),
            plans: Semaphore::new(plan::AT_ONCE),
        })
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").finish_non_exhaustive()
    }
}

/// What is under `/console`.
pub(super) fn routes(console: Arc<Console>) -> Router {
    let pages = Router::new()
        .route("/console", get(overview::show))
        .route("/console/tasks/{task}", get(tasks::show))
        .route("/console/tasks/{task}/run", post(tasks::run))
        .route("/console/tasks/{task}/pause", post(tasks::pause))
        .route("/console/tasks/{task}/resume", post(tasks::resume))
        .route("/console/plugins/{plugin}/reset", post(plugins::reset))
        .route("/console/plan", get(plan::show))
        .route("/console/logout", post(login::log_out))
        .route_layer(from_fn_with_state(Arc::clone(&console), access::require_session));
    let open = Router::new().route("/console/login", get(login::show).post(login::log_in)).merge(assets::routes());
    open.merge(pages).layer(from_fn(origin::refuse_other_sites)).layer(from_fn(lock_down)).with_state(console)
}

/// What is under `/v1`, for whoever bears the token.
pub(super) fn code_routes(console: Arc<Console>) -> Router {
    Router::new().route("/console/codes", post(login::make_code)).with_state(console)
}

/// Tells the browser what not to do with an answer, whatever it is.
async fn lock_down(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    // Not `no-referrer`: browsers would then send `Origin: null` with our own forms, where they send no `Sec-Fetch-Site`.
    let rules: [(HeaderName, &'static str); 5] = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, rule) in rules {
        headers.insert(name, HeaderValue::from_static(rule));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
