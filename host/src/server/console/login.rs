//! Logging in, with a code or the token, and out.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Form, Query, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::{Extension, Json};
use maud::html;
use serde::Deserialize;

use super::access::{self, Session, Visitor};
use super::{Console, page};
use crate::server::objects::Answer;
use crate::wire::CodeBody;

/// A working day, after which somebody logs in again.
pub(super) const SESSION_LASTS: Duration = Duration::from_secs(12 * 60 * 60);
pub(super) const MOST_SESSIONS: usize = 64;
/// Long enough to click on a link, or to copy it into a browser.
pub(super) const CODE_LASTS: Duration = Duration::from_secs(60);
pub(super) const MOST_CODES: usize = 16;
/// How long a wrong token has to wait for its answer.
const PAUSE: Duration = Duration::from_millis(300);

const WRONG_CODE: &str = "This link was used already, or is older than a minute; larder console prints another.";
const WRONG_TOKEN: &str = "This is not the token of this run. A host has a new one each time it starts.";

type Shared = State<Arc<Console>>;

#[derive(Deserialize)]
pub(super) struct LoginQuery {
    code: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct LoginForm {
    token: String,
}

/// Makes a code that begins one session.
pub(super) async fn make_code(State(console): Shared) -> Answer<Json<CodeBody>> {
    Ok(Json(CodeBody { code: console.codes.issue(())?, good_for_seconds: CODE_LASTS.as_secs() }))
}

pub(super) async fn show(State(console): Shared, Query(query): Query<LoginQuery>, headers: HeaderMap) -> Response {
    match query.code {
        Some(code) if console.codes.redeem(&code).is_some() => console.begin_session(&headers),
        _ if access::session_of(&headers).is_some_and(|id| console.knows(&id)) => {
            Redirect::to("/console").into_response()
        }
        Some(_) => (StatusCode::UNAUTHORIZED, page(Some(WRONG_CODE))).into_response(),
        None => page(None).into_response(),
    }
}

pub(super) async fn log_in(State(console): Shared, headers: HeaderMap, Form(form): Form<LoginForm>) -> Response {
    if console.token.is(form.token.trim().as_bytes()) {
        return console.begin_session(&headers);
    }
    tracing::warn!("somebody tried to log in to the console with a wrong token");
    tokio::time::sleep(PAUSE).await;
    (StatusCode::UNAUTHORIZED, page(Some(WRONG_TOKEN))).into_response()
}

pub(super) async fn log_out(
    State(console): Shared,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
) -> Response {
    if let Visitor::Session(id) = visitor {
        console.sessions.redeem(&id);
    }
    let gone = access::set_cookie(&headers, "", Some(Duration::ZERO));
    ([(SET_COOKIE, gone)], Redirect::to("/console/login")).into_response()
}

impl Console {
    fn begin_session(&self, headers: &HeaderMap) -> Response {
        match self.sessions.issue(Session::default()) {
            Ok(id) => {
                let cookie = access::set_cookie(headers, &id, None);
                ([(SET_COOKIE, cookie)], Redirect::to("/console")).into_response()
            }
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, page(Some(&error.to_string()))).into_response(),
        }
    }
}

/// Asks for the token, and says what was wrong.
pub(super) fn page(problem: Option<&str>) -> Html<String> {
    page::simple(
        "Log in",
        html! {
            @if let Some(problem) = problem {
                p .notice.bad role="alert" { (problem) }
            }
            p { "Type " code { "larder console" } " on the machine of the host: it prints a link that logs you in." }
            form .login method="post" action="/console/login" {
                label for="token" { "Or the token of this run, from " code { "host.json" } " in its data folder" }
                // It is a password for whoever looks on, and nothing that a browser should keep: the next run has another.
                input #token name="token" type="password" required autocomplete="off" spellcheck="false";
                button type="submit" { "Log in" }
            }
        },
    )
}
