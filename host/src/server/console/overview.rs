//! The page that everything is on.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Html;
use maud::{Markup, html};

use super::access::Visitor;
use super::page::{Page, Tone, badge};
use super::{Console, alerts, format, health, plan, plugins, stores, tasks};
use crate::monitor::HealthReport;
use crate::object::{Timestamp, now};

const PARTS: [(&str, &str); 6] = [
    ("health", "Health"),
    ("alerts", "Alerts"),
    ("stores", "Stores"),
    ("plugins", "Plugins"),
    ("tasks", "Tasks"),
    ("plan", "Plan preview"),
];

pub(super) async fn show(State(console): State<Arc<Console>>, Extension(visitor): Extension<Visitor>) -> Html<String> {
    let report = console.health().await;
    let now = now();
    let alerts = console.host.alerts.alerts();
    let stores = console.host.inventory.stores();
    let page = Page {
        title: "Console",
        live: true,
        notice: console.notice(&visitor),
        parts: &PARTS,
        state: state(report.as_deref(), alerts::firing(&alerts), console.host.started_at, now),
        main: html! {
            h1 .unseen { "What this host does" }
            (health::part(report.as_deref(), now))
            (alerts::part(&alerts, now))
            (stores::part(&stores, report.as_deref()))
            (plugins::part(&console.host.plugins.reports(), now))
            (tasks::part(&console.host.tasks.status(), now))
            (plan::part(&stores))
        },
    };
    page.render()
}

/// How the host is, in a line.
fn state(report: Option<&HealthReport>, firing: usize, started_at: Timestamp, now: Timestamp) -> Markup {
    html! {
        a href="#health" {
            @match report {
                Some(report) => (health::state(report.state)),
                None => (badge(Tone::Neutral, "not asked yet")),
            }
        }
        @if firing > 0 {
            " " a href="#alerts" { (badge(Tone::Warning, &format!("{firing} firing"))) }
        }
        " " span { "up since " (format::moment(started_at)) }
        " " span { "version " (env!("CARGO_PKG_VERSION")) }
        " " span { "as of " (format::moment(now)) }
    }
}
