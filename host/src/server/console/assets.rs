//! What the pages are made of beside themselves: compiled in, and the same for everybody.

use std::sync::Arc;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::Console;
use crate::server::token::digest;

/// A file.
#[derive(Clone, Copy)]
struct Asset {
    path: &'static str,
    kind: &'static str,
    text: &'static str,
}

const ASSETS: [Asset; 3] = [
    Asset { path: "/console/console.css", kind: "text/css; charset=utf-8", text: include_str!("assets/console.css") },
    Asset {
        path: "/console/console.js",
        kind: "text/javascript; charset=utf-8",
        text: include_str!("assets/console.js"),
    },
    Asset { path: "/console/icon.svg", kind: "image/svg+xml", text: include_str!("assets/icon.svg") },
];

pub(super) fn routes() -> Router<Arc<Console>> {
    ASSETS.into_iter().fold(Router::new(), |router, asset| {
        let etag: Arc<str> =
            format!("\"{}\"", hex_simd::encode_to_string(digest(asset.text.as_bytes()), hex_simd::AsciiCase::Lower))
                .into();
        router.route(asset.path, get(move |headers: HeaderMap| async move { asset.answer(&etag, &headers) }))
    })
}

impl Asset {
    /// The file, or that it is what the browser has.
    fn answer(self, etag: &str, headers: &HeaderMap) -> Response {
        let head = [(ETAG, etag), (CACHE_CONTROL, "no-cache")];
        if headers.get(IF_NONE_MATCH).is_some_and(|known| known == etag) {
            return (StatusCode::NOT_MODIFIED, head).into_response();
        }
        (head, [(CONTENT_TYPE, self.kind)], self.text).into_response()
    }
}
