//! How the host is.

use std::sync::Arc;
use std::time::Duration;

use maud::{Markup, html};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

use super::page::{self, Tone, badge};
use super::{Console, format};
use crate::monitor::{HealthCheck, HealthReport, HealthState};
use crate::object::Timestamp;

/// For how long a report is shown: to ask costs each store a write, and pages ask every few seconds.
const SHOWN_FOR: Duration = Duration::from_secs(10);
/// How long a page waits for a report before it shows the one before: it is of most use when a store hangs.
const PATIENCE: Duration = Duration::from_secs(1);

/// The last that was heard of how the host is.
#[derive(Debug, Default)]
pub(super) struct LastReport {
    heard: Mutex<Option<Heard>>,
    /// Held while the host is asked, so that many pages ask once.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug)]
struct Heard {
    report: Arc<HealthReport>,
    good_until: Instant,
}

impl LastReport {
    fn good(&self) -> Option<Arc<HealthReport>> {
        self.heard.lock().as_ref().filter(|heard| heard.good_until > Instant::now()).map(|heard| heard.report.clone())
    }
}

impl Console {
    /// How the host is, or was a few seconds ago; `None` if nobody knows yet.
    pub(super) async fn health(self: &Arc<Self>) -> Option<Arc<HealthReport>> {
        if let Some(report) = self.health.good() {
            return Some(report);
        }
        let console = Arc::clone(self);
        let asking = tokio::spawn(async move {
            let _one_at_a_time = console.health.asking.lock().await;
            if console.health.good().is_none() {
                let report = (console.host.health)().await;
                *console.health.heard.lock() = Some(Heard { report, good_until: Instant::now() + SHOWN_FOR });
            }
        });
        // It goes on, for the next page.
        let _ = timeout(PATIENCE, asking).await;
        self.health.heard.lock().as_ref().map(|heard| heard.report.clone())
    }

    /// Has the next page ask again, since somebody did something about it.
    pub(super) fn doubt_health(&self) {
        if let Some(heard) = &mut *self.health.heard.lock() {
            heard.good_until = Instant::now();
        }
    }
}

/// What is not as it should be.
pub(super) fn part(report: Option<&HealthReport>, now: Timestamp) -> Markup {
    let content = match report {
        Some(report) => found(report, now),
        None => html! { p .none { "Every part is being asked." } },
    };
    page::part("health", "Health", content)
}

fn found(report: &HealthReport, now: Timestamp) -> Markup {
    let parts = report.checks.values().flatten().count();
    let mut troubles: Vec<_> = report.troubles().collect();
    troubles.sort_by_key(|(name, check)| (std::cmp::Reverse(check.state), *name));
    html! {
        @if troubles.is_empty() {
            p .none { "All " (parts) " parts are healthy; asked " (format::relative(report.time, now)) "." }
        } @else {
            table {
                caption { "What is not healthy of " (parts) " parts; asked " (format::relative(report.time, now)) }
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
    }
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
