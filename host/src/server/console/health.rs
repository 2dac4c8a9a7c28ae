//! How the host is.

use std::sync::Arc;
use std::time::Duration;

use maud::{Markup, html};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Console;
use super::page::{self, Tone, badge};
use crate::monitor::{HealthCheck, HealthReport, HealthState};

/// For how long a report is shown: to ask costs each store a write, and pages ask every few seconds.
const SHOWN_FOR: Duration = Duration::from_secs(10);

/// The last report, with when it was asked for; held while one is made, so that many pages make one.
pub(super) type LastReport = Mutex<Option<(Instant, Arc<HealthReport>)>>;

impl Console {
    /// How the host is, or was a few seconds ago.
    pub(super) async fn health(&self) -> Arc<HealthReport> {
        let mut last = self.last_report.lock().await;
        if let Some((at, report)) = &*last
            && at.elapsed() < SHOWN_FOR
        {
            return Arc::clone(report);
        }
        let report = (self.host.health)().await;
        *last = Some((Instant::now(), Arc::clone(&report)));
        report
    }

    /// Has the next page ask again, since somebody did something about it.
    pub(super) async fn forget_health(&self) {
        *self.last_report.lock().await = None;
    }
}

/// What is not as it should be.
pub(super) fn part(report: &HealthReport) -> Markup {
    let parts = report.checks.values().flatten().count();
    let mut troubles: Vec<_> = report.troubles().collect();
    troubles.sort_by_key(|(name, check)| (std::cmp::Reverse(check.state), *name));
    let content = html! {
        @if troubles.is_empty() {
            p .none { "All " (parts) " parts are healthy." }
        } @else {
            table {
                caption { "What is not healthy of " (parts) " parts" }
                thead { tr {
                    th scope="col" { "Part" }
                    th scope="col" { "State" }
                    th scope="col" { "What is wrong" }
                } }
                tbody { @for (name, check) in troubles {
                    tr {
                        th .words scope="row" {
                            (name)
                            @if let Some(id) = &check.component_id { " " span .aside { "for " (id) } }
                        }
                        td data-label="State" { (state(check.state)) }
                        td .words data-label="What is wrong" { (what(check)) }
                    }
                } }
            }
        }
    };
    page::part("health", "Health", content)
}

/// How something is, in a word.
pub(super) fn state(state: HealthState) -> Markup {
    let tone = match state {
        HealthState::Healthy => Tone::Good,
        HealthState::Degraded => Tone::Warning,
        HealthState::Failed => Tone::Bad,
    };
    badge(tone, state.as_str())
}

/// What is wrong, if something is.
pub(super) fn what(check: &HealthCheck) -> &str {
    check.output.as_deref().unwrap_or_default()
}
