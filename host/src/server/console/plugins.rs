//! The plugins at work, and the button that starts one again.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Redirect;
use maud::{Markup, html};

use super::access::{Notice, Visitor};
use super::page::{self, Tone, badge};
use super::{Console, format};
use crate::host::PluginReport;
use crate::object::Timestamp;
use crate::plugin::PluginState;

pub(super) async fn reset(
    State(console): State<Arc<Console>>,
    Extension(visitor): Extension<Visitor>,
    Path(name): Path<String>,
) -> Redirect {
    let notice = match console.host.plugins.reset(&name) {
        Ok(()) => Notice::Done(format!("The plugin {name} may start again.")),
        Err(error) => Notice::Failed(error.to_string()),
    };
    console.doubt_health();
    console.tell(&visitor, notice);
    Redirect::to("/console#plugins")
}

pub(super) fn part(reports: &[PluginReport], now: Timestamp) -> Markup {
    let content = html! {
        @if reports.is_empty() {
            p .none { "No plugins are at work." }
        } @else {
            table {
                caption { "Each for every store that it works for" }
                thead { tr {
                    th scope="col" { "Plugin" }
                    th scope="col" { "Works for" }
                    th scope="col" { "Kind" }
                    th scope="col" { "State" }
                    th scope="col" .number { "Calls" }
                    th scope="col" .number { "Starts" }
                    th scope="col" .number { "Failures" }
                    th scope="col" .number { "Memory" }
                    th scope="col" { "Last failure" }
                    th scope="col" { "Actions" }
                } }
                tbody { @for report in reports { (row(report, now)) } }
            }
        }
    };
    page::part("plugins", "Plugins", content)
}

fn row(PluginReport { plugin, store, kind, digest: _, status }: &PluginReport, now: Timestamp) -> Markup {
    let calls = status.calls.ok + status.calls.errors + status.calls.faults;
    let path = format::in_path(plugin.as_str());
    html! {
        tr id={ "plugin-" (plugin) "-" (store) } {
            th scope="row" { (plugin) }
            td data-label="Works for" { (store) }
            td data-label="Kind" { (kind) }
            td data-label="State" { (state(&status.state, now)) }
            td .number data-label="Calls" { (format::count(calls)) }
            td .number data-label="Starts" { (format::count(status.starts)) }
            td .number data-label="Failures" { (format::count(status.failures)) }
            td .number data-label="Memory" { (format::size(status.memory)) }
            td .words data-label="Last failure" {
                @match &status.last_failure {
                    Some(failure) => { (format::relative(failure.at, now)) ": " (failure.message) },
                    None => span .none { "none" },
                }
            }
            td .actions data-label="Actions" {
                form method="post" action={ "/console/plugins/" (path) "/reset" } data-inline {
                    button #{ "reset-" (plugin) "-" (store) } type="submit" aria-label={ "Reset " (plugin) } { "Reset" }
                }
            }
        }
    }
}

fn state(state: &PluginState, now: Timestamp) -> Markup {
    match state {
        PluginState::Running => badge(Tone::Good, "running"),
        PluginState::BackingOff { remaining } => {
            badge(Tone::Warning, &format!("backing off for {:.1} s", remaining.as_secs_f64()))
        }
        PluginState::Quarantined { since } => html! {
            (badge(Tone::Bad, "quarantined")) " " (format::relative(*since, now))
        },
    }
}
