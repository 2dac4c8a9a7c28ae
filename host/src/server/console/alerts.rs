//! What needs a person.

use maud::{Markup, html};

use super::format;
use super::page::{self, Tone, badge};
use crate::alerts::{Alert, AlertLevel, AlertState};
use crate::object::Timestamp;

/// How many fire.
pub(super) fn firing(alerts: &[Alert]) -> usize {
    alerts.iter().filter(|alert| alert.state == AlertState::Firing).count()
}

pub(super) fn part(alerts: &[Alert], now: Timestamp) -> Markup {
    let content = html! {
        @if alerts.is_empty() {
            p .none { "No alerts." }
        } @else {
            table {
                caption { "Those that fire first, and of those the worst" }
                thead { tr {
                    th scope="col" { "Alert" }
                    th scope="col" { "State" }
                    th scope="col" { "Since" }
                    th scope="col" .number { "Value" }
                    th scope="col" { "What" }
                } }
                tbody { @for alert in alerts {
                    tr {
                        th scope="row" { (alert.name) }
                        td data-label="State" { (state(alert)) }
                        td data-label="Since" { (format::relative(alert.since, now)) }
                        td .number data-label="Value" { (format::value(alert.value)) }
                        td .words data-label="What" { (alert.summary) }
                    }
                } }
            }
        }
    };
    page::part("alerts", "Alerts", content)
}

fn state(alert: &Alert) -> Markup {
    let tone = match (alert.state, alert.level) {
        (AlertState::Firing, AlertLevel::Critical) => Tone::Bad,
        (AlertState::Firing, AlertLevel::Warning) => Tone::Warning,
        (AlertState::Firing, AlertLevel::Info) | (AlertState::Pending, _) => Tone::Neutral,
        (AlertState::Resolved, _) => Tone::Good,
    };
    badge(tone, &format!("{}, {}", alert.level, alert.state))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::now;

    #[test]
    fn an_alert_is_told_with_its_level_and_state() {
        let alert = |name: &str, level, state| Alert {
            name: name.to_owned(),
            labels: [("store".to_owned(), "documents".to_owned())].into(),
            level,
            state,
            since: now(),
            fired_at: None,
            resolved_at: None,
            value: 0.987_65,
            summary: "<b>nearly full</b>".to_owned(),
        };
        let alerts = [
            alert("full", AlertLevel::Critical, AlertState::Firing),
            alert("slow", AlertLevel::Warning, AlertState::Pending),
        ];
        assert_eq!(firing(&alerts), 1);
        let shown = part(&alerts, now()).into_string();
        for words in ["critical, firing", "warning, pending", "0.988", "&lt;b&gt;nearly full&lt;/b&gt;"] {
            assert!(shown.contains(words), "{words} is not in {shown}");
        }
        assert!(part(&[], now()).into_string().contains("No alerts."));
    }
}
