//! Who may see the pages: whoever has a session, or bears the token.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{COOKIE, HOST, HeaderName, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;

use super::{Console, login};

/// How long somebody is told what came of a button: on any page, so that whoever reads slowly finds it again.
const TOLD_FOR: Duration = Duration::from_secs(30);

/// What is remembered of somebody who has logged in.
#[derive(Debug, Default)]
pub(super) struct Session {
    notice: Option<(Instant, Notice)>,
}

/// What came of a button.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    Done(String),
    Failed(String),
}

/// Who asks.
#[derive(Clone, Debug)]
pub(super) enum Visitor {
    /// Somebody with the session of this id.
    Session(String),
    /// A program that bears the token.
    Program,
}

impl Console {
    /// Whether there is a session of this id.
    pub(super) fn knows(&self, session: &str) -> bool {
        self.sessions.with(session, |_| ()).is_some()
    }

    /// Tells somebody on the next pages.
    pub(super) fn tell(&self, visitor: &Visitor, notice: Notice) {
        if let Visitor::Session(id) = visitor {
            self.sessions.with(id, |session| session.notice = Some((Instant::now(), notice)));
        }
    }

    /// What somebody is to be told now.
    pub(super) fn notice(&self, visitor: &Visitor) -> Option<Notice> {
        let Visitor::Session(id) = visitor else { return None };
        let told = self.sessions.with(id, |session| session.notice.clone())?;
        told.filter(|(since, _)| since.elapsed() < TOLD_FOR).map(|(_, notice)| notice)
    }
}

/// Lets those pass who may, with the [`Visitor`] that they are; all others are asked to log in.
pub(super) async fn require_session(State(console): State<Arc<Console>>, mut request: Request, next: Next) -> Response {
    let session = session_of(request.headers()).filter(|id| console.knows(id));
    let visitor = match session {
        Some(id) => Visitor::Session(id),
        None if console.token.is_borne(request.headers()) => Visitor::Program,
        None => return (StatusCode::UNAUTHORIZED, login::page(None)).into_response(),
    };
    request.extensions_mut().insert(visitor);
    next.run(request).await
}

/// The name of the cookie with the session. A browser keeps one jar for all ports of a host, so the port is in the name:
/// two hosts on a machine have a session each.
pub(super) fn cookie_name(headers: &HeaderMap) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let port =
        host.rsplit_once(':').map(|(_, port)| port).filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    port.map_or_else(|| "larder-console".to_owned(), |port| format!("larder-console-{port}"))
}

/// What sets the cookie, or, with an `age` of nothing, takes it away. A browser that came over TLS, which ends at a proxy,
/// is told to send it over nothing else.
pub(super) fn set_cookie(headers: &HeaderMap, value: &str, age: Option<Duration>) -> String {
    let name = cookie_name(headers);
    let max_age = age.map(|age| format!("; Max-Age={}", age.as_secs())).unwrap_or_default();
    let secure = if is_over_tls(headers) { "; Secure" } else { "" };
    format!("{name}={value}; Path=/console{max_age}; HttpOnly; SameSite=Strict{secure}")
}

/// Whether the browser says that the page it sends this from is one of https, or the proxy that it came that way. If
/// neither tells the truth, it is a cookie of their own that they do not get back.
fn is_over_tls(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let nearest_browser = text(HeaderName::from_static("x-forwarded-proto")).split(',').next().unwrap_or_default();
    text(ORIGIN).starts_with("https://") || nearest_browser.trim().eq_ignore_ascii_case("https")
}

/// The session that a browser says it has.
pub(super) fn session_of(headers: &HeaderMap) -> Option<String> {
    let name = cookie_name(headers);
    let cookies = headers.get_all(COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_session_is_the_cookie_of_this_port() {
        let headers = |host: &'static str, cookies: &'static str| {
            let pairs = [(HOST, HeaderValue::from_static(host)), (COOKIE, HeaderValue::from_static(cookies))];
            pairs.into_iter().collect::<HeaderMap>()
        };
        let jar = "a=b; larder-console-9002=two;larder-console-9001=one; larder-console=none";
        for (host, session) in
            [("127.0.0.1:9001", Some("one")), ("[::1]:9002", Some("two")), ("larder.example", Some("none"))]
        {
            assert_eq!(session_of(&headers(host, jar)).as_deref(), session, "{host}");
        }
        assert_eq!(session_of(&headers("127.0.0.1:9003", jar)), None);
        assert_eq!(cookie_name(&headers("x:9;HttpOnly=", "")), "larder-console");
    }

    #[test]
    fn who_came_over_tls_sends_the_cookie_over_nothing_else() {
        let cookie = |name: &'static str, value: &'static str| {
            let header = (HeaderName::from_static(name), HeaderValue::from_static(value));
            let host = (HOST, HeaderValue::from_static("larder.example"));
            set_cookie(&[header, host].into_iter().collect(), "id", None)
        };
        let plain = "larder-console=id; Path=/console; HttpOnly; SameSite=Strict";
        for (name, value) in
            [("origin", "https://larder.example"), ("x-forwarded-proto", "https"), ("x-forwarded-proto", "HTTPS, http")]
        {
            assert_eq!(cookie(name, value), format!("{plain}; Secure"), "{name}: {value}");
        }
        for (name, value) in [
            ("origin", "http://larder.example"),
            ("origin", "null"),
            ("x-forwarded-proto", "http, https"),
            ("x-forwarded-proto", ""),
        ] {
            assert_eq!(cookie(name, value), plain, "{name}: {value}");
        }
    }
}
