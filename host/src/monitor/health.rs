//! How the parts of a host are, as it is told to people, load balancers and alerts.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::object::Timestamp;

/// How a part is. The worse is the greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum HealthState {
    /// All is well.
    #[default]
    #[serde(rename = "pass")]
    Healthy,
    /// It does what it is for, but somebody should look at it.
    #[serde(rename = "warn")]
    Degraded,
    /// It does not do what it is for.
    #[serde(rename = "fail")]
    Failed,
}

impl HealthState {
    /// One word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for HealthState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What came of looking at one part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// How it is.
    #[serde(rename = "status")]
    pub state: HealthState,
    /// What kind of thing it is: `datastore`, `component` or `system`.
    #[serde(rename = "componentType")]
    pub component_type: String,
    /// What of several with one name it is, such as the store that a plugin works for.
    #[serde(rename = "componentId", default, skip_serializing_if = "Option::is_none")]
    pub component_id: Option<String>,
    /// What was measured.
    #[serde(rename = "observedValue", default, skip_serializing_if = "Option::is_none")]
    pub observed_value: Option<f64>,
    /// The unit of what was measured.
    #[serde(rename = "observedUnit", default, skip_serializing_if = "Option::is_none")]
    pub observed_unit: Option<String>,
    /// What is wrong, if something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// When it was looked at.
    pub time: Timestamp,
}

/// How all parts were at one moment, serialized as `application/health+json`
/// (<https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06>).
///
/// A check is named by its kind and the part, such as `store:documents`; several are under one name if a plugin works for
/// several stores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HealthReport {
    /// How the worst of them is.
    #[serde(rename = "status")]
    pub state: HealthState,
    /// The version of larder.
    #[serde(rename = "releaseId")]
    pub release: String,
    /// When they were looked at.
    pub time: Timestamp,
    /// Each of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub checks: BTreeMap<String, Vec<HealthCheck>>,
}

impl HealthReport {
    /// The media type of a report.
    pub const MEDIA_TYPE: &str = "application/health+json";

    /// A report of these checks.
    pub fn new(time: Timestamp, checks: BTreeMap<String, Vec<HealthCheck>>) -> Self {
        let state = checks.values().flatten().map(|check| check.state).max().unwrap_or_default();
        Self { state, release: env!("CARGO_PKG_VERSION").to_owned(), time, checks }
    }

    /// The checks that did not find all well, with their names.
    pub fn troubles(&self) -> impl Iterator<Item = (&str, &HealthCheck)> {
        let checks =
            self.checks.iter().flat_map(|(name, checks)| checks.iter().map(move |check| (name.as_str(), check)));
        checks.filter(|(_, check)| check.state != HealthState::Healthy)
    }

    /// The worst that was found under each name.
    pub fn states(&self) -> impl Iterator<Item = (&str, HealthState)> {
        self.checks
            .iter()
            .map(|(name, checks)| (name.as_str(), checks.iter().map(|check| check.state).max().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::now;

    #[test]
    fn a_report_is_as_bad_as_its_worst_check_and_has_the_usual_shape() {
        let time = now();
        let check = |state, output: Option<&str>| HealthCheck {
            state,
            component_type: "datastore".into(),
            component_id: None,
            observed_value: None,
            observed_unit: None,
            output: output.map(str::to_owned),
            time,
        };
        let healthy = HealthReport::new(time, BTreeMap::new());
        assert_eq!(healthy.state, HealthState::Healthy);
        let checks = BTreeMap::from([
            ("store:a".to_owned(), vec![check(HealthState::Degraded, Some("slow")), check(HealthState::Healthy, None)]),
            ("store:b".to_owned(), vec![check(HealthState::Failed, Some("gone"))]),
        ]);
        let report = HealthReport::new(time, checks);
        assert_eq!(report.state, HealthState::Failed);
        assert_eq!(report.troubles().count(), 2);
        assert_eq!(
            report.states().collect::<Vec<_>>(),
            [("store:a", HealthState::Degraded), ("store:b", HealthState::Failed)]
        );
        let value = serde_json::to_value(&report).unwrap();
        assert_eq!((&value["status"], &value["checks"]["store:b"][0]["status"]), (&json!("fail"), &json!("fail")));
        assert_eq!(value["checks"]["store:a"][0]["output"], "slow");
        assert_eq!(serde_json::from_value::<HealthReport>(value).unwrap(), report);
    }
}
