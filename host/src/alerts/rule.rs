use std::collections::BTreeMap;
use std::time::Duration;

use super::{AlertLevel, Condition};

/// When there is an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertRule {
    /// Its name, of which there is one.
    pub name: String,
    /// How soon somebody should look.
    pub level: AlertLevel,
    /// What it looks at.
    pub condition: Condition,
    /// How long that must hold before it is an alert.
    pub hold: Duration,
    /// How long that must not hold any more before it ends.
    pub keep: Duration,
    /// One line for people, in which `{value}` and the names of labels in braces stand for what they are; `None` for a line
    /// that tells the condition.
    pub summary: Option<String>,
}

impl AlertRule {
    /// One line about what it found; `told` is what a check said.
    pub(super) fn summary(&self, labels: &BTreeMap<String, String>, value: f64, told: &str) -> String {
        match (&self.summary, &self.condition) {
            (Some(template), _) => {
                labels.iter().fold(template.replace("{value}", &shown(value)), |text, (name, value)| {
                    text.replace(&format!("{{{name}}}"), value)
                })
            }
            (None, Condition::Health(_)) => {
                let check = labels.get("check").map_or("", String::as_str);
                if told.is_empty() { check.to_owned() } else { format!("{check}: {told}") }
            }
            (None, Condition::Metric(condition)) => {
                let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
                let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
                format!("{}{labels} is {}, {}", condition.metric, shown(value), condition.threshold)
            }
        }
    }
}

/// A value with up to four digits behind the point.
fn shown(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::{CheckPattern, HealthCondition, Measure, MetricCondition, Threshold};
    use super::*;

    #[test]
    fn a_summary_tells_what_was_found() {
        let labels = BTreeMap::from([("store".to_owned(), "documents".to_owned())]);
        let metric = MetricCondition {
            metric: "larder_reads_total".into(),
            labels: BTreeMap::new(),
            by: None,
            measure: Measure::Value,
            threshold: Threshold::Above { above: 10.5, until: 10.5 },
        };
        let rule = |condition, summary: Option<&str>| AlertRule {
            name: "rule".into(),
            level: AlertLevel::Info,
            condition,
            hold: Duration::ZERO,
            keep: Duration::ZERO,
            summary: summary.map(str::to_owned),
        };
        let of_metric = rule(Condition::Metric(metric.clone()), None);
        assert_eq!(of_metric.summary(&labels, 12.0, ""), r#"larder_reads_total{store="documents"} is 12, above 10.5"#);
        let own = rule(Condition::Metric(metric), Some("{store} is read {value} times, {rest}"));
        assert_eq!(own.summary(&labels, 0.123_45, ""), "documents is read 0.1235 times, {rest}");
        let health = Condition::Health(HealthCondition { checks: CheckPattern::new("*"), state: None });
        let checks = BTreeMap::from([("check".to_owned(), "disk:data_dir".to_owned())]);
        assert_eq!(rule(health, None).summary(&checks, 1.0, "it is full"), "disk:data_dir: it is full");
    }
}
