//! Passes events on to others over HTTP, signed, and again until they arrive.
//!
//! Events wait in a bounded queue. If they come faster than they are taken, or nobody takes them, the oldest are dropped,
//! counted, and told of: the next delivery begins with `events.lost`. Each is delivered at least once while the host runs:
//! where an answer is lost, twice; what waits when the host ends is tried for a few seconds more, and then logged as lost.

mod metrics;
mod queue;
mod signature;
#[cfg(test)]
mod tests;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use tokio_util::sync::CancellationToken;

pub use metrics::WebhookMetrics;
pub use signature::SigningKey;

use crate::error::{Error, Result};
use crate::events::{EventFilter, EventStream, Published, Subscription, Told};
use crate::net::{self, PostError, Target};
use crate::object::now;
use crate::random::chance;
use queue::Queue;

/// How many events wait, at most.
const WAITING: usize = 10_000;
/// How many events go in one request.
const BATCH: usize = 100;
/// How long it waits before it tries again; twice as long each time, up to [`LONGEST`], and less up to a half at random.
const RETRY: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
/// How often events are sent to one who refuses them before they are given up: others behind them may be welcome.
const REFUSALS: u32 = 5;
/// How long a host that stops tries on.
const LAST: Duration = Duration::from_secs(5);

/// What is sent.
const MEDIA_TYPE: &str = "application/cloudevents-batch+json";
const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Where events go, and which.
#[derive(Debug)]
pub struct WebhookOptions {
    /// Its name, by which it is counted.
    pub name: String,
    /// Where they go.
    pub url: hyper::Uri,
    /// What they are signed with; `None` for not at all.
    pub key: Option<SigningKey>,
    /// The header `Authorization`, marked as sensitive.
    pub authorization: Option<HeaderValue>,
    /// Which events.
    pub filter: EventFilter,
}

/// Sends events to one address.
#[derive(Debug)]
pub struct Webhook {
    name: String,
    target: Target,
    key: Option<SigningKey>,
    filter: EventFilter,
    subscription: Subscription,
    metrics: WebhookMetrics,
}

/// What one request brings.
struct Delivery {
    /// The same whenever it is sent again.
    id: HeaderValue,
    body: Bytes,
    events: usize,
}

impl Webhook {
    /// One that is told of the events from now on.
    pub fn new(options: WebhookOptions, events: &EventStream, metrics: WebhookMetrics) -> Self {
        let WebhookOptions { name, url, key, authorization, filter } = options;
        let target = Target { uri: url, authorization };
        metrics.expect(&name);
        Self { name, target, key, filter, subscription: events.subscribe(), metrics }
    }

    /// Sends until `stop` is cancelled, and then what waits, for a few seconds.
    pub async fn run(self, stop: CancellationToken) {
        let Self { name, target, key, filter, mut subscription, metrics } = self;
        let queue = Queue::new(WAITING);
        let run = Arc::clone(subscription.run());
        let sender = Sender {
            name: &name,
            target: &target,
            key: key.as_ref(),
            run,
            queue: &queue,
            metrics: &metrics,
            stop: &stop,
        };
        let over = async {
            stop.cancelled().await;
            tokio::time::sleep(LAST).await;
        };
        let mut over = pin!(over);
        let take = |told: Told| sender.take(&filter, told);
        // Listening never waits for sending, so that only the queue can overflow.
        let listening = async {
            while let Some(told) = subscription.next().await {
                take(told);
            }
        };
        tokio::select! {
            () = listening => {}
            () = sender.send_until_stopped() => {}
            () = &mut over => {}
        }
        while let Some(told) = subscription.try_next() {
            take(told);
        }
        tokio::select! {
            () = sender.send_rest() => {}
            () = over => {}
        }
        let left = queue.len() as u64;
        if left > 0 {
            metrics.count_lost(&name, left);
            tracing::warn!(webhook = name, "{left} events were not delivered: the host stops");
        }
    }
}

struct Sender<'a> {
    name: &'a str,
    target: &'a Target,
    key: Option<&'a SigningKey>,
    run: Arc<str>,
    queue: &'a Queue,
    metrics: &'a WebhookMetrics,
    stop: &'a CancellationToken,
}

impl Sender<'_> {
    /// Puts into the queue what is wanted of what is told.
    fn take(&self, filter: &EventFilter, told: Told) {
        let lost = match told {
            Told::Event(event) if filter.wants(&event.event) => self.queue.push(event),
            Told::Event(_) => return,
            Told::Lost(count) => {
                self.queue.lose(count);
                count
            }
        };
        self.metrics.count_lost(self.name, lost);
        self.metrics.set_waiting(self.name, self.queue.len());
    }

    async fn send_until_stopped(&self) {
        loop {
            tokio::select! {
                () = self.queue.wait() => self.send_next().await,
                () = self.stop.cancelled() => return,
            }
        }
    }

    async fn send_rest(&self) {
        while self.queue.len() > 0 {
            self.send_next().await;
        }
    }

    /// Sends the next events, again and again until they have arrived or are given up. They stay in the queue until then.
    async fn send_next(&self) {
        let (lost, events) = self.queue.first(BATCH);
        let delivery = match self.delivery(lost, &events) {
            Ok(delivery) => delivery,
            Err(error) => {
                tracing::error!(webhook = self.name, "events can not be sent: {error}");
                self.give_up(lost, &events);
                return;
            }
        };
        let (mut failures, mut refusals) = (0_u32, 0);
        loop {
            match self.post(&delivery).await {
                Ok(()) => {
                    self.metrics.count_request(self.name, "delivered");
                    self.metrics.count_delivered(self.name, delivery.events as u64);
                    self.queue.pop(lost, &events);
                    self.metrics.set_waiting(self.name, self.queue.len());
                    if failures > 0 {
                        tracing::info!(webhook = self.name, "events get through again");
                    }
                    return;
                }
                Err(error) => {
                    self.metrics.count_request(self.name, "failed");
                    if failures == 0 {
                        tracing::warn!(webhook = self.name, "events do not get through, and are sent again: {error}");
                    }
                    failures += 1;
                    refusals += u32::from(is_refusal(&error));
                    if refusals == REFUSALS {
                        let count = events.len();
                        tracing::warn!(
                            webhook = self.name,
                            "{count} events are given up, since nobody wants them: {error}"
                        );
                        self.give_up(lost, &events);
                        return;
                    }
                }
            }
            let wait = RETRY.saturating_mul(2_u32.saturating_pow(failures - 1)).min(LONGEST);
            let stopping = self.stop.is_cancelled();
            let wait = if stopping { RETRY } else { wait.mul_f64(1.0 - 0.5 * chance()) };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.stop.cancelled(), if !stopping => {}
            }
        }
    }

    fn give_up(&self, lost: u64, events: &[Arc<Published>]) {
        let count = events.len() as u64;
        self.queue.pop(lost, events);
        self.queue.lose(lost + count);
        self.metrics.count_lost(self.name, count);
    }

    fn delivery(&self, lost: u64, events: &[Arc<Published>]) -> Result<Delivery> {
        let unknown = |error: serde_json::Error| Error::internal(error.to_string());
        let first = events.first().map_or(0, |event| event.sequence);
        let run = &self.run;
        let mut body = b"[".to_vec();
        if lost > 0 {
            // It stands where they are missing: before the first that is there.
            serde_json::to_writer(&mut body, &Published::lost(run, first, lost)).map_err(unknown)?;
        }
        for event in events {
            if body.len() > 1 {
                body.push(b',');
            }
            serde_json::to_writer(&mut body, &**event).map_err(unknown)?;
        }
        body.push(b']');
        let id = HeaderValue::try_from(format!("{run}-{first}-{}", self.name));
        let id = id.map_err(|error| Error::internal(error.to_string()))?;
        Ok(Delivery { id, body: body.into(), events: events.len() })
    }

    async fn post(&self, delivery: &Delivery) -> std::result::Result<(), PostError> {
        let Delivery { id, body, .. } = delivery;
        let time = now().timestamp();
        let mut headers = vec![(ID, id.clone()), (TIMESTAMP, HeaderValue::from(time))];
        if let Some(key) = self.key {
            headers.push((SIGNATURE, key.sign(id.as_bytes(), time, body)));
        }
        net::post(self.target, MEDIA_TYPE, headers, body.clone()).await
    }
}

/// Whether the same may be refused again, however often it comes.
fn is_refusal(error: &PostError) -> bool {
    match error {
        PostError::Refused(status, _) => status.is_client_error() && !matches!(status.as_u16(), 408 | 425 | 429),
        PostError::Unreachable(_) => false,
    }
}
