//! Who is told of alerts and events, as the configuration says.

use std::path::Path;
use std::sync::Arc;

use futures::future::join_all;
use hyper::header::HeaderValue;
use tokio_util::sync::CancellationToken;

use super::{DataDir, HostError};
use crate::alerts::{AlertManager, Alertmanager, AlertmanagerOptions};
use crate::config::{AlertmanagerConfig, Config, Secret, WebhookConfig};
use crate::error::{Error, Result};
use crate::events::EventStream;
use crate::monitor::StorageMonitor;
use crate::webhook::{SigningKey, Webhook, WebhookMetrics, WebhookOptions};

/// The alerts that fire, in the data folder.
const ALERTS: &str = "alerts.json";

/// Alerts, and all who are told of them and of events.
#[derive(Debug)]
pub(super) struct Notifying {
    pub(super) alerts: Arc<AlertManager>,
    alertmanagers: Vec<Alertmanager>,
    webhooks: Vec<Webhook>,
}

impl Notifying {
    /// Makes what the configuration describes; webhooks are told of what happens from now on.
    ///
    /// # Errors
    /// [`HostError::Notifying`] if a secret can not be read or a rule is none.
    pub(super) fn new(
        config: &Config,
        data_dir: &DataDir,
        monitor: &StorageMonitor,
        events: &EventStream,
    ) -> Result<Self, HostError> {
        Self::make(config, &data_dir.path().join(ALERTS), monitor, events).map_err(HostError::Notifying)
    }

    fn make(config: &Config, file: &Path, monitor: &StorageMonitor, events: &EventStream) -> Result<Self> {
        let rule = |rule: &crate::config::AlertRuleConfig| {
            rule.rule()
                .map_err(|(key, message)| Error::invalid_input(format!("the rule {}, {key}: {message}", rule.name)))
        };
        let rules = config.alerts.rules.iter().map(rule).collect::<Result<_>>()?;
        let registry = monitor.registry();
        let alerts = Arc::new(AlertManager::new(rules, events.clone(), registry, Some(file))?);
        let sent = Alertmanager::metric(registry)?;
        let alertmanager = |to: &AlertmanagerConfig| {
            let AlertmanagerConfig { url, authorization, labels } = to;
            let authorization = authorization.as_ref().map(header).transpose()?;
            let options = AlertmanagerOptions { url: url.as_uri().clone(), authorization, labels: labels.clone() };
            Alertmanager::new(options, Arc::clone(&alerts), sent.clone())
        };
        let metrics = WebhookMetrics::new(registry)?;
        let webhook = |to: &WebhookConfig| {
            let key = to.secret.as_ref().map(|secret| SigningKey::new(&expose(secret)?)).transpose()?;
            let options = WebhookOptions {
                name: to.name.to_string(),
                url: to.url.as_uri().clone(),
                key,
                authorization: to.authorization.as_ref().map(header).transpose()?,
                filter: to.filter().map_err(|(_, message)| Error::invalid_input(message))?,
            };
            Ok(Webhook::new(options, events, metrics.clone()))
        };
        Ok(Self {
            alertmanagers: config.alerts.alertmanagers.iter().map(alertmanager).collect::<Result<_>>()?,
            webhooks: config.webhooks.iter().map(webhook).collect::<Result<_>>()?,
            alerts,
        })
    }

    /// Tells all of them until `stop` is cancelled, and then of what is left.
    pub(super) async fn run(self, stop: CancellationToken) {
        let alertmanagers = self.alertmanagers.into_iter().map(|alertmanager| alertmanager.run(stop.clone()));
        let webhooks = self.webhooks.into_iter().map(|webhook| webhook.run(stop.clone()));
        tokio::join!(join_all(alertmanagers), join_all(webhooks));
    }
}

fn expose(secret: &Secret) -> Result<String> {
    secret.expose().map_err(Error::invalid_input)
}

fn header(secret: &Secret) -> Result<HeaderValue> {
    let value = HeaderValue::from_str(&expose(secret)?);
    let mut value = value.map_err(|_| Error::invalid_input("an `authorization` can not stand in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}
