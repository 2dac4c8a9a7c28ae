//! Passes alerts on to Prometheus' Alertmanager, which groups, silences and routes them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::Uri;
use hyper::header::HeaderValue;
use prometheus::{IntCounterVec, Opts, Registry};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{Alert, AlertManager, AlertState};
use crate::error::{Error, Result};
use crate::net::{self, Target};
use crate::object::{Timestamp, now};

/// How often alerts are told again: Alertmanager takes for ended what it does not hear of.
const RESEND: Duration = Duration::from_secs(60);
/// How long it takes what it heard for true; it may miss three tellings.
const GOOD_FOR: Duration = Duration::from_secs(4 * 60);
/// How soon it is tried again after it did not answer; twice as long each time, up to [`RESEND`].
const RETRY: Duration = Duration::from_secs(1);
/// How long it has to hear the last of a host that stops.
const LAST: Duration = Duration::from_secs(5);

/// Where an Alertmanager is, and what it is told.
#[derive(Clone, Debug)]
pub struct AlertmanagerOptions {
    /// Its address, without the path of its API.
    pub url: Uri,
    /// The header `Authorization` that it wants to see, marked as sensitive.
    pub authorization: Option<HeaderValue>,
    /// Labels that every alert has beside its own.
    pub labels: BTreeMap<String, String>,
}

/// Tells one Alertmanager of all alerts: at once when one begins or ends, and again every minute.
///
/// It is told how things are, not what has changed, so that nothing is lost while it is away: what fires is told when it is
/// back, and what ended is told for 15 minutes.
#[derive(Debug)]
pub struct Alertmanager {
    target: Target,
    labels: BTreeMap<String, String>,
    alerts: Arc<AlertManager>,
    sent: IntCounterVec,
}

/// An alert in Alertmanager's API, version 2
/// (<https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml>).
#[derive(Debug, Serialize)]
struct PostableAlert {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<&'static str, String>,
    #[serde(rename = "startsAt")]
    starts_at: Timestamp,
    #[serde(rename = "endsAt")]
    ends_at: Timestamp,
}

impl Alertmanager {
    /// One that is told of these alerts.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if the address is none.
    pub fn new(options: AlertmanagerOptions, alerts: Arc<AlertManager>, sent: IntCounterVec) -> Result<Self> {
        let AlertmanagerOptions { url, authorization, labels } = options;
        let text = url.to_string();
        let uri = format!("{}/api/v2/alerts", text.trim_end_matches('/')).parse();
        let uri =
            uri.map_err(|error| Error::invalid_input(format!("{text} is no address of an Alertmanager: {error}")))?;
        Ok(Self { target: Target { uri, authorization }, labels, alerts, sent })
    }

    /// The metric of what was sent to Alertmanagers.
    ///
    /// # Errors
    /// [`Error::Internal`] if the registry has one of the same name.
    pub fn metric(registry: &Registry) -> Result<IntCounterVec> {
        let conflict = |error: prometheus::Error| Error::internal(format!("a metric can not be registered: {error}"));
        let options = Opts::new("larder_alertmanager_requests_total", "Requests to Alertmanagers, by outcome.");
        let sent = IntCounterVec::new(options, &["outcome"]).map_err(conflict)?;
        registry.register(Box::new(sent.clone())).map_err(conflict)?;
        for outcome in ["delivered", "failed"] {
            sent.with_label_values(&[outcome]);
        }
        Ok(sent)
    }

    /// Tells it until `stop` is cancelled, and then once more.
    pub async fn run(self, stop: CancellationToken) {
        let mut changes = self.alerts.changes();
        let mut wait = Duration::ZERO;
        let mut failures = 0_u32;
        loop {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = changes.changed() => {}
                () = stop.cancelled() => {
                    let _ = tokio::time::timeout(LAST, self.send()).await;
                    return;
                }
            }
            changes.mark_unchanged();
            match self.send().await {
                Ok(()) => (failures, wait) = (0, RESEND),
                Err(error) => {
                    if failures == 0 {
                        let uri = &self.target.uri;
                        tracing::warn!(alertmanager = %uri, "alerts do not get through, and are tried again: {error}");
                    }
                    failures += 1;
                    wait = RETRY.saturating_mul(2_u32.saturating_pow(failures - 1)).min(RESEND);
                }
            }
        }
    }

    async fn send(&self) -> std::result::Result<(), net::PostError> {
        let now = now();
        let told = self.alerts.alerts().into_iter().filter(|alert| alert.state != AlertState::Pending);
        let told: Vec<PostableAlert> = told.map(|alert| self.postable(alert, now)).collect();
        if told.is_empty() {
            return Ok(());
        }
        let body = serde_json::to_vec(&told).map_err(|error| net::PostError::Unreachable(error.to_string()))?;
        let sent = net::post(&self.target, "application/json", [], Bytes::from(body)).await;
        self.sent.with_label_values(&[if sent.is_ok() { "delivered" } else { "failed" }]).inc();
        sent
    }

    fn postable(&self, alert: Alert, now: Timestamp) -> PostableAlert {
        let mut labels = self.labels.clone();
        labels.extend(alert.labels);
        labels.insert("alertname".into(), alert.name);
        labels.insert("severity".into(), alert.level.to_string());
        let annotations = BTreeMap::from([("summary", alert.summary), ("value", alert.value.to_string())]);
        let starts_at = alert.fired_at.unwrap_or(alert.since);
        PostableAlert { labels, annotations, starts_at, ends_at: alert.resolved_at.unwrap_or(now + GOOD_FOR) }
    }
}
