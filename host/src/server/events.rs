//! What happens in the host, as it happens.
//!
//! `GET /v1/events?type=object.*&store=documents` answers with a line of JSON for each event from now on, until either side
//! ends. Both may be given several times, or not at all for everything. Who reads too slowly is told how much is gone, by an
//! event `events.lost`. An empty line comes every 15 seconds in which nothing else does.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body as HttpBody;
use axum::extract::{RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use futures::stream;
use percent_encoding::percent_decode_str;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::objects::Answer;
use crate::error::{Error, Result};
use crate::events::{EventFilter, EventStream, Published, Subscription, Told};

/// How long nothing is said.
const SILENCE: Duration = Duration::from_secs(15);

/// The routes, without `/v1`; they end with `stopping`.
pub(super) fn routes(events: EventStream, stopping: CancellationToken) -> Router {
    Router::new().route("/events", get(tell)).with_state(Source { events, stopping })
}

#[derive(Clone)]
struct Source {
    events: EventStream,
    stopping: CancellationToken,
}

struct Listener {
    subscription: Subscription,
    filter: EventFilter,
    stopping: CancellationToken,
    last: u64,
}

async fn tell(State(source): State<Source>, RawQuery(query): RawQuery) -> Answer<Response> {
    let filter = filter(query.as_deref().unwrap_or_default())?;
    let subscription = source.events.subscribe();
    let listener = Listener { subscription, filter, stopping: source.stopping, last: 0 };
    let lines = stream::unfold(listener, async |mut listener| {
        let line = listener.next().await?;
        Some((line, listener))
    });
    let headers = [(CONTENT_TYPE, "application/x-ndjson"), (CACHE_CONTROL, "no-store")];
    Ok((headers, HttpBody::from_stream(lines)).into_response())
}

impl Listener {
    /// The next line; `None` when there are no more.
    async fn next(&mut self) -> Option<Result<Bytes>> {
        loop {
            let next = tokio::select! {
                next = timeout(SILENCE, self.subscription.next()) => next,
                () = self.stopping.cancelled() => return None,
            };
            let event = match next {
                Err(_) => return Some(Ok(Bytes::from_static(b"\n"))),
                Ok(None) => return None,
                Ok(Some(Told::Event(event))) => event,
                Ok(Some(Told::Lost(count))) => Arc::new(Published::lost(self.subscription.run(), self.last, count)),
            };
            self.last = event.sequence;
            if self.filter.wants(&event.event) {
                let line = serde_json::to_string(&*event).map(|line| Bytes::from(line + "\n"));
                return Some(line.map_err(|error| Error::internal(format!("an event is no JSON: {error}"))));
            }
        }
    }
}

/// What a query asks for.
fn filter(query: &str) -> Result<EventFilter> {
    let mut filter = EventFilter::default();
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let value =
            percent_decode_str(value).decode_utf8().map_err(|_| Error::invalid_input("the query is not UTF-8"))?;
        match name {
            "type" => filter.types.extend(EventFilter::types_of(&value).map_err(Error::invalid_input)?),
            "store" => filter.stores.push(value.parse()?),
            _ => return Err(Error::invalid_input(format!("{name:?} can not be asked for; known are type and store"))),
        }
    }
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::EventType;

    #[test]
    fn a_query_says_which_events() {
        assert_eq!(filter("").unwrap(), EventFilter::default());
        let asked = filter("type=alert.%2A&type=object.deleted&store=documents").unwrap();
        assert_eq!(asked.types, [EventType::AlertFiring, EventType::AlertResolved, EventType::ObjectDeleted]);
        assert_eq!(asked.stores.len(), 1);
        for wrong in ["type=nothing", "store=A", "kind=x"] {
            assert!(matches!(filter(wrong), Err(Error::InvalidInput { .. })), "{wrong}");
        }
    }
}
