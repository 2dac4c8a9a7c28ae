//! Says when something needs a person, and when it does no more.
//!
//! An [`AlertRule`] looks at a [metric](MetricCondition) or at [health checks](HealthCondition). For each series, or each check,
//! for which it holds long enough there is an [`Alert`], once, until it ends. The [`AlertManager`] asks all rules, writes to the
//! log, tells [events](crate::events), and keeps the alerts for whoever else passes them on.

mod alert;
mod alertmanager;
mod condition;
mod manager;
mod memory;
mod phase;
mod rule;
mod series;
#[cfg(test)]
mod tests;
mod window;

pub use alert::{Alert, AlertLevel, AlertState};
pub use alertmanager::{Alertmanager, AlertmanagerOptions};
pub use condition::{CheckPattern, Condition, HealthCondition, Measure, MetricCondition, Threshold};
pub use manager::AlertManager;
pub use rule::AlertRule;
