use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::monitor::HealthState;

/// What a rule looks at, and what is too much.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// What health checks find.
    Health(HealthCondition),
    /// What a metric says.
    Metric(MetricCondition),
}

/// Holds for each check of these that is not well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCondition {
    /// The checks.
    pub checks: CheckPattern,
    /// How they must be; `None` for anything but healthy.
    pub state: Option<HealthState>,
}

impl HealthCondition {
    /// Whether it holds for a check in this state.
    pub(super) fn holds(&self, state: HealthState) -> bool {
        match self.state {
            Some(wanted) => state == wanted,
            None => state != HealthState::Healthy,
        }
    }
}

/// The name of a check, or, with a `*` at its end, all that begin so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckPattern(String);

impl CheckPattern {
    /// The checks that this names.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// Whether a check is one of them.
    pub fn matches(&self, check: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(start) => check.starts_with(start),
            None => check == self.0,
        }
    }
}

impl fmt::Display for CheckPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Holds for each series of a metric that passes a threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricCondition {
    /// The metric. Of a histogram, its name is for [`Measure::Quantile`] alone; `_count` and `_sum` behind it are counters.
    pub metric: String,
    /// Only the series that have these labels.
    pub labels: BTreeMap<String, String>,
    /// Series that agree in these labels are summed; `None` leaves each for itself.
    pub by: Option<Vec<String>>,
    /// What of it is measured.
    pub measure: Measure,
    /// What is too much, or too little.
    pub threshold: Threshold,
}

/// What of a metric is measured.
#[derive(Clone, Debug, PartialEq)]
pub enum Measure {
    /// What it says now.
    Value,
    /// By how much it changes in a second, on average over the time given. A counter that begins anew does not go down.
    Rate(Duration),
    /// What part it is of the sum of these metrics, of the same labels; with a time, of what they had added in it.
    Share(Vec<String>, Option<Duration>),
    /// The value below which this part (0 to 1) of what a histogram had added lies, as Prometheus' `histogram_quantile` has
    /// it: what lies within one bucket is taken to be spread evenly.
    Quantile(f64, Duration),
}

impl Measure {
    /// How far back it looks.
    pub(super) fn window(&self) -> Option<Duration> {
        match self {
            Self::Value => None,
            Self::Rate(window) | Self::Quantile(_, window) => Some(*window),
            Self::Share(_, window) => *window,
        }
    }
}

/// What is too much, or too little, and when it is not any more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threshold {
    /// Holds from `above` on upwards, and until it comes down to `until`, which is at most that.
    Above {
        /// More than this.
        above: f64,
        /// Until it is no more than this.
        until: f64,
    },
    /// Holds from `below` on downwards, and until it comes up to `until`, which is at least that.
    Below {
        /// Less than this.
        below: f64,
        /// Until it is no less than this.
        until: f64,
    },
}

impl Threshold {
    /// Whether it holds, if it `held` before.
    pub(super) fn holds(self, value: f64, held: bool) -> bool {
        match self {
            Self::Above { above, until } => value > if held { until } else { above },
            Self::Below { below, until } => value < if held { until } else { below },
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Above { above, .. } => write!(f, "above {above}"),
            Self::Below { below, .. } => write!(f, "below {below}"),
        }
    }
}
