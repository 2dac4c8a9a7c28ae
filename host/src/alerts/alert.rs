use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::object::Timestamp;

/// How soon somebody should look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AlertLevel {
    /// Some day.
    Info,
    /// Today.
    #[default]
    Warning,
    /// Now.
    Critical,
}

impl AlertLevel {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// One word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for AlertLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Whether an alert is one yet, or still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// What it is about is so, but not for long enough yet. Nobody is told.
    Pending,
    /// It is one.
    Firing,
    /// It was one until a while ago.
    Resolved,
}

impl AlertState {
    /// One word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

impl fmt::Display for AlertState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Something that a rule found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The name of its rule.
    pub name: String,
    /// What of all that the rule looks at: the labels of a series, or the name of a check.
    pub labels: BTreeMap<String, String>,
    /// How soon somebody should look.
    pub level: AlertLevel,
    /// Whether it is one yet, or still.
    pub state: AlertState,
    /// Since when what it is about is so.
    pub since: Timestamp,
    /// Since when it is an alert; absent while it is pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fired_at: Option<Timestamp>,
    /// When it ended; absent before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<Timestamp>,
    /// What was last measured; of health checks 0, 1 and 2 for healthy, degraded and failed.
    pub value: f64,
    /// One line about it for people.
    pub summary: String,
}
