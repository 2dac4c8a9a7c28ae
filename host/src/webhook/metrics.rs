use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

use crate::error::{Error, Result};

/// What webhooks do, counted, by their names in the configuration.
#[derive(Clone, Debug)]
pub struct WebhookMetrics {
    events: IntCounterVec,
    requests: IntCounterVec,
    waiting: IntGaugeVec,
}

impl WebhookMetrics {
    /// Metrics that a registry shows.
    ///
    /// # Errors
    /// [`Error::Internal`] if it has metrics of the same names.
    pub fn new(registry: &Registry) -> Result<Self> {
        let make = || {
            let events = Opts::new("larder_webhook_events_total", "Events that a webhook delivered or lost.");
            let requests = Opts::new("larder_webhook_requests_total", "Requests that a webhook sent, by outcome.");
            let waiting = Opts::new("larder_webhook_events_waiting", "Events that wait to be delivered.");
            let metrics = Self {
                events: IntCounterVec::new(events, &["webhook", "outcome"])?,
                requests: IntCounterVec::new(requests, &["webhook", "outcome"])?,
                waiting: IntGaugeVec::new(waiting, &["webhook"])?,
            };
            registry.register(Box::new(metrics.events.clone()))?;
            registry.register(Box::new(metrics.requests.clone()))?;
            registry.register(Box::new(metrics.waiting.clone()))?;
            Ok(metrics)
        };
        make().map_err(|error: prometheus::Error| {
            Error::internal(format!("the metrics of webhooks can not be registered: {error}"))
        })
    }

    /// Shows a webhook with all that can come of it, so that a rate has something to start from.
    pub(super) fn expect(&self, webhook: &str) {
        for outcome in ["delivered", "lost"] {
            self.events.with_label_values(&[webhook, outcome]);
        }
        for outcome in ["delivered", "failed"] {
            self.requests.with_label_values(&[webhook, outcome]);
        }
    }

    pub(super) fn count_delivered(&self, webhook: &str, events: u64) {
        self.events.with_label_values(&[webhook, "delivered"]).inc_by(events);
    }

    pub(super) fn count_lost(&self, webhook: &str, events: u64) {
        self.events.with_label_values(&[webhook, "lost"]).inc_by(events);
    }

    pub(super) fn count_request(&self, webhook: &str, outcome: &str) {
        self.requests.with_label_values(&[webhook, outcome]).inc();
    }

    pub(super) fn set_waiting(&self, webhook: &str, events: usize) {
        self.waiting.with_label_values(&[webhook]).set(i64::try_from(events).unwrap_or(i64::MAX));
    }
}
