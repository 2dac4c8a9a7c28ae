use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::health::Percentage;
use super::name::AlertName;
use super::period::Period;
use super::secret::Secret;
use super::url::Url;
use crate::alerts::{
    AlertLevel, AlertRule, CheckPattern, Condition, HealthCondition, Measure, MetricCondition, Threshold,
};
use crate::monitor::HealthState;

/// What needs a person, and who is told of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AlertsConfig {
    /// When there is an alert.
    pub rules: Vec<AlertRuleConfig>,
    /// Prometheus' Alertmanagers that are told of all alerts.
    pub alertmanagers: Vec<AlertmanagerConfig>,
}

/// Every check that finds something failed is critical at once, and one that finds something degraded a warning after five
/// minutes.
impl Default for AlertsConfig {
    fn default() -> Self {
        let rule = |name: &str, level, state, hold| AlertRuleConfig {
            level,
            health: Some("*".to_owned()),
            state: Some(state),
            hold,
            ..AlertRuleConfig::new(name.parse().expect("this is a name"))
        };
        Self {
            rules: vec![
                rule("failed", AlertLevel::Critical, TroubleState::Failed, None),
                rule("degraded", AlertLevel::Warning, TroubleState::Degraded, Some(Period::seconds(300))),
            ],
            alertmanagers: Vec::new(),
        }
    }
}

/// When there is an alert: a `metric` is `above` or `below` something, or checks of `health` are not well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertRuleConfig {
    /// Its name.
    pub name: AlertName,
    /// How soon somebody should look.
    #[serde(default)]
    pub level: AlertLevel,
    /// The health check, or with a `*` at its end all that begin so, such as `store:*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<String>,
    /// What the checks must find; absent: anything but healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<TroubleState>,
    /// The metric, such as `larder_cache_entries`; of a histogram also with `_count` or `_sum` behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// Only series that have these labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Series that agree in these labels are summed; absent: each is for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Vec<String>>,
    /// By how much it changes in a second, on average over this time; absent: what it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Period>,
    /// What part it is of the sum of these metrics.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub share_of: Vec<String>,
    /// For a histogram: the value below which so many lie, such as `99%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantile: Option<Percentage>,
    /// More than this is too much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<f64>,
    /// Less than this is too little.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
    /// Where the alert ends; absent: where it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<f64>,
    /// How long that must hold before it is an alert; absent: not at all.
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Period>,
    /// How long it must not hold any more before the alert ends; absent: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_for: Option<Period>,
    /// One line for people, in which `{value}` and names of labels in braces, such as `{store}`, stand for what they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
}

/// What a health check finds if not all is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TroubleState {
    /// Somebody should look at it.
    Degraded,
    /// It does not do what it is for.
    Failed,
}

impl AlertRuleConfig {
    fn new(name: AlertName) -> Self {
        Self {
            name,
            level: AlertLevel::default(),
            health: None,
            state: None,
            metric: None,
            labels: BTreeMap::new(),
            by: None,
            over: None,
            share_of: Vec::new(),
            quantile: None,
            above: None,
            below: None,
            until: None,
            hold: None,
            keep_for: None,
            summary: None,
        }
    }

    /// The rule.
    ///
    /// # Errors
    /// What is wrong with it, and under which key.
    pub fn rule(&self) -> Result<AlertRule, (&'static str, String)> {
        let condition = match (&self.health, &self.metric) {
            (Some(checks), None) => Condition::Health(self.health(checks)?),
            (None, Some(metric)) => Condition::Metric(self.metric(metric)?),
            (Some(_), Some(_)) => {
                return Err(("metric", "a rule looks at `health` or at a `metric`; remove one".into()));
            }
            (None, None) => {
                return Err(("name", "the rule looks at nothing; give it a `metric`, or `health: \"*\"`".into()));
            }
        };
        Ok(AlertRule {
            name: self.name.to_string(),
            level: self.level,
            condition,
            hold: self.hold.map(Period::as_duration).unwrap_or_default(),
            keep: self.keep_for.map(Period::as_duration).unwrap_or_default(),
            summary: self.summary.clone(),
        })
    }

    fn health(&self, checks: &str) -> Result<HealthCondition, (&'static str, String)> {
        let of_metrics = [
            ("labels", !self.labels.is_empty()),
            ("by", self.by.is_some()),
            ("over", self.over.is_some()),
            ("share_of", !self.share_of.is_empty()),
            ("quantile", self.quantile.is_some()),
            ("above", self.above.is_some()),
            ("below", self.below.is_some()),
            ("until", self.until.is_some()),
        ];
        if let Some((key, _)) = of_metrics.into_iter().find(|(_, given)| *given) {
            return Err((key, "this is for rules with a `metric`; for `health` say which `state`".into()));
        }
        if checks.trim_end_matches('*').contains('*') || checks.is_empty() {
            let message =
                format!("{checks:?} names no checks; write one, such as store:documents, or the start of some and a *");
            return Err(("health", message));
        }
        let state = self.state.map(|state| match state {
            TroubleState::Degraded => HealthState::Degraded,
            TroubleState::Failed => HealthState::Failed,
        });
        Ok(HealthCondition { checks: CheckPattern::new(checks), state })
    }

    fn metric(&self, metric: &str) -> Result<MetricCondition, (&'static str, String)> {
        if self.state.is_some() {
            return Err(("state", "this is for rules with `health`; for a `metric` say what is too much".into()));
        }
        let threshold = match (self.above, self.below) {
            (Some(above), None) => {
                let until = self.until.unwrap_or(above);
                if until > above {
                    return Err(("until", format!("an alert above {above} ends at {above} or below")));
                }
                Threshold::Above { above, until }
            }
            (None, Some(below)) => {
                let until = self.until.unwrap_or(below);
                if until < below {
                    return Err(("until", format!("an alert below {below} ends at {below} or above")));
                }
                Threshold::Below { below, until }
            }
            (None, None) => return Err(("metric", "nothing is too much; add `above` or `below`".into())),
            (Some(_), Some(_)) => return Err(("below", "a rule has `above` or `below`; write two rules".into())),
        };
        let over = self.over.map(Period::as_duration);
        let measure = match (self.quantile, &*self.share_of, over) {
            (Some(_), [_, ..], _) => {
                return Err(("share_of", "a quantile is no share; remove one of them".into()));
            }
            (Some(_), [], None) => {
                return Err(("quantile", "say with `over` of which time: a histogram never forgets".into()));
            }
            (Some(part), [], Some(over)) => Measure::Quantile(part.as_fraction(), over),
            (None, [], Some(over)) => Measure::Rate(over),
            (None, [], None) => Measure::Value,
            (None, parts, over) => Measure::Share(parts.to_vec(), over),
        };
        let (labels, by) = (self.labels.clone(), self.by.clone());
        Ok(MetricCondition { metric: metric.to_owned(), labels, by, measure, threshold })
    }
}

/// An Alertmanager.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertmanagerConfig {
    /// Its address, without the path of its API, such as `http://127.0.0.1:9093`.
    pub url: Url,
    /// What it wants to see in the header `Authorization`, such as `Bearer …`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Secret>,
    /// Labels that every alert has beside its own, such as which of several hosts it is of.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}
