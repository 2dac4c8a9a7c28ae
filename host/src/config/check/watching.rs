//! What is said of health, alerts and webhooks.

use hyper::header::HeaderValue;

use super::Check;
use crate::config::locate::YamlPath;
use crate::config::{Secret, Url};
use crate::webhook::SigningKey;

impl Check<'_> {
    pub(super) fn health(&mut self) {
        let disk = self.config.health.disk;
        if disk.failed_below > disk.degraded_below {
            let message = format!(
                "a disk is degraded before it has failed, and degraded_below is {}; choose less than that",
                disk.degraded_below
            );
            self.report(YamlPath::top("health").key("disk").key("failed_below"), message);
        }
    }

    pub(super) fn alerts(&mut self) {
        let alerts = &self.config.alerts;
        let path = YamlPath::top("alerts");
        for (index, rule) in alerts.rules.iter().enumerate() {
            let path = path.key("rules").index(index);
            if let Err((key, message)) = rule.rule() {
                self.report(path.key(key), message);
            } else if alerts.rules[..index].iter().any(|other| other.name == rule.name) {
                self.report(path.key("name"), format!("there is another rule {}; give each its own name", rule.name));
            }
        }
        for (index, to) in alerts.alertmanagers.iter().enumerate() {
            self.authorization(path.key("alertmanagers").index(index), &to.url, to.authorization.as_ref());
        }
    }

    pub(super) fn webhooks(&mut self) {
        let webhooks = &self.config.webhooks;
        for (index, webhook) in webhooks.iter().enumerate() {
            let path = YamlPath::top("webhooks").index(index);
            if webhooks[..index].iter().any(|other| other.name == webhook.name) {
                let message = format!("there is another webhook {}; give each its own name", webhook.name);
                self.report(path.key("name"), message);
            }
            if let Err((place, message)) = webhook.filter() {
                self.report(path.key("types").index(place), message);
            }
            // Clients may make others later.
            let known = self.config.new_buckets.is_none();
            for (place, store) in webhook.stores.iter().enumerate().filter(|_| known) {
                self.store_exists(path.key("stores").index(place), store);
            }
            if let Some(secret) = &webhook.secret {
                let key = |secret: String| SigningKey::new(&secret).map_err(|error| error.to_string());
                if let Err(message) = secret.expose().and_then(key) {
                    self.report(path.key("secret"), message);
                }
            }
            self.authorization(path, &webhook.url, webhook.authorization.as_ref());
        }
    }

    /// What is shown to somebody is no secret any more if it is sent to other machines in the open.
    fn authorization(&mut self, path: YamlPath, url: &Url, authorization: Option<&Secret>) {
        let Some(secret) = authorization else { return };
        let path = path.key("authorization");
        match secret.expose() {
            Err(message) => self.report(path, message),
            Ok(secret) if HeaderValue::from_str(&secret).is_err() => {
                self.report(path, "it can not stand in a header: it has a line break or another control character");
            }
            Ok(_) if url.is_plain() && !url.is_loopback() => {
                self.report(path, "it would cross the network unencrypted; write an https address, or remove it");
            }
            Ok(_) => {}
        }
    }
}
