use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body as HttpBody;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use futures::stream;
use tokio::sync::mpsc;

use super::objects::{self, Answer};
use super::stores::Stores;
use crate::error::Error;
use crate::provider::{Finding, Watch};
use crate::wire::{CheckLine, ErrorBody};

/// After how many bytes the reader is told of them.
const TELL_EVERY: u64 = 8 * 1024 * 1024;

/// The routes, without `/v1`.
pub(super) fn routes(stores: Arc<dyn Stores>) -> Router {
    Router::new().route("/stores/{store}/check", post(check)).with_state(stores)
}

/// Tells whoever asked for a check, for as long as the answer is read.
struct Teller {
    lines: mpsc::UnboundedSender<CheckLine>,
    /// How many bytes were read that nobody was told of.
    untold: AtomicU64,
}

impl Teller {
    fn tell(&self, line: CheckLine) {
        // Whoever went away is noticed by the work itself.
        let _ = self.lines.send(line);
    }
}

impl Watch for Teller {
    fn expect(&self, bytes: u64) {
        self.tell(CheckLine::Expect(bytes));
    }

    fn read(&self, bytes: u64) {
        if self.untold.fetch_add(bytes, Ordering::Relaxed) + bytes >= TELL_EVERY {
            self.tell(CheckLine::Read(self.untold.swap(0, Ordering::Relaxed)));
        }
    }

    fn found(&self, finding: Finding) {
        self.tell(CheckLine::Found(finding));
    }

    fn is_given_up(&self) -> bool {
        self.lines.is_closed()
    }
}

/// A line of JSON for each thing there is to be told, and a last one with the outcome.
async fn check(State(stores): State<Arc<dyn Stores>>, Path(name): Path<String>) -> Answer<Response> {
    let provider = objects::find(&stores, &name)?;
    let (lines, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let teller = Arc::new(Teller { lines, untold: AtomicU64::new(0) });
        let last = match provider.check(Arc::clone(&teller) as Arc<dyn Watch>).await {
            Ok(report) => CheckLine::Report(report),
            Err(error) => CheckLine::Failed(ErrorBody::from(&error)),
        };
        teller.tell(last);
    });
    let lines = stream::unfold(told, async |mut told| {
        let line = told.recv().await?;
        let json = serde_json::to_string(&line).map_err(|error| Error::internal(format!("a line is no JSON: {error}")));
        Some((json.map(|json| Bytes::from(json + "\n")), told))
    });
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], HttpBody::from_stream(lines)).into_response())
}
