//! Keeps other sites from pressing buttons.

use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::page;

/// Refuses what changes something and does not come from the console's own pages.
pub(super) async fn refuse_other_sites(request: Request, next: Next) -> Response {
    let safe = [Method::GET, Method::HEAD].contains(request.method());
    if safe || is_own(request.headers()) {
        return next.run(request).await;
    }
    let message = "This did not come from a page of the console, so nothing was done.";
    (StatusCode::FORBIDDEN, page::plain("Refused", message)).into_response()
}

/// Whether a browser says that a request comes from a page of the host that it goes to. `Sec-Fetch-Site` is its own word,
/// which holds behind a proxy too; where it says nothing, `Origin` must name the host.
///
/// Whoever bears a token is no browser that was tricked: that header comes with no request that a page of another site
/// can make.
fn is_own(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    match (headers.get("sec-fetch-site"), text(ORIGIN)) {
        (Some(site), _) => ["same-origin", "none"].iter().any(|own| site == own),
        (None, Some(origin)) => {
            let named = origin.split_once("://").map(|(_, host)| host);
            named.is_some() && named == text(HOST)
        }
        (None, None) => headers.contains_key(AUTHORIZATION),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn own(headers: &[(&'static str, &'static str)]) -> bool {
        let headers = headers
            .iter()
            .map(|(name, value)| (axum::http::HeaderName::from_static(name), HeaderValue::from_static(value)));
        is_own(&headers.chain([(HOST, HeaderValue::from_static("127.0.0.1:9001"))]).collect())
    }

    #[test]
    fn only_pages_of_the_host_itself_press_buttons() {
        assert!(own(&[("sec-fetch-site", "same-origin")]));
        assert!(own(&[("sec-fetch-site", "same-origin"), ("origin", "https://proxy.example")]));
        assert!(own(&[("origin", "http://127.0.0.1:9001")]));
        for site in ["cross-site", "same-site", "", "sAME-ORIGIN"] {
            assert!(!own(&[("sec-fetch-site", site), ("origin", "http://127.0.0.1:9001")]), "{site}");
        }
        for origin in ["http://127.0.0.1:9002", "http://evil.example", "null", "127.0.0.1:9001", ""] {
            assert!(!own(&[("origin", origin)]), "{origin}");
        }
    }

    #[test]
    fn who_says_nothing_bears_a_token_or_is_refused() {
        assert!(!own(&[]));
        assert!(own(&[("authorization", "Bearer x")]));
        assert!(!own(&[("authorization", "Bearer x"), ("origin", "http://evil.example")]));
    }
}
