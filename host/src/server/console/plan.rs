//! What the policies of a store would do now, before they do it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde::Deserialize;
use tokio::time::timeout;

use super::access::Visitor;
use super::page::{self, Page, Tone, badge};
use super::{Console, format};
use crate::error::{Error, Result};
use crate::host::HostedStore;
use crate::lifecycle::{LifecycleManager, Planned, Verdict};
use crate::object::{Timestamp, now};

/// A plan asks policies about every object, which may be millions.
pub(super) const AT_ONCE: usize = 2;
const PATIENCE: Duration = Duration::from_secs(10);
/// How many objects are shown; the totals are of all.
const LINES: usize = 100;

#[derive(Deserialize)]
pub(super) struct PlanQuery {
    store: String,
}

/// What would happen to a store, as far as it was looked at.
#[derive(Debug, Default)]
struct Preview {
    /// How many objects were asked about; `None` if that took too long and was cut off.
    considered: Option<u64>,
    totals: BTreeMap<&'static str, Total>,
    lines: Vec<Planned>,
}

/// How many objects, and how many bytes they have.
#[derive(Clone, Copy, Debug, Default)]
struct Total {
    objects: u64,
    bytes: u64,
}

impl Preview {
    async fn of(lifecycle: &LifecycleManager, now: Timestamp) -> Result<Self> {
        let mut preview = Self::default();
        let planning = timeout(PATIENCE, lifecycle.plan(now, &mut |planned| preview.take(planned))).await;
        preview.considered = planning.ok().transpose()?;
        Ok(preview)
    }

    fn take(&mut self, planned: Planned) {
        let total = self.totals.entry(planned.verdict.as_str()).or_default();
        total.objects += 1;
        total.bytes += planned.metadata.size;
        if self.lines.len() < LINES {
            self.lines.push(planned);
        }
    }

    fn planned(&self) -> u64 {
        self.totals.values().map(|total| total.objects).sum()
    }
}

pub(super) async fn show(
    State(console): State<Arc<Console>>,
    Extension(visitor): Extension<Visitor>,
    Query(PlanQuery { store: name }): Query<PlanQuery>,
) -> Response {
    let stores = console.host.inventory.stores();
    let store = stores.iter().find(|store| store.manager.name().as_str() == name);
    let Some(lifecycle) = store.and_then(|store| store.lifecycle.as_ref()) else {
        let message = format!("There is no store {name:?} whose objects age.");
        return (StatusCode::NOT_FOUND, page::plain("No plan", &message)).into_response();
    };
    let now = now();
    let preview = match console.plans.try_acquire() {
        Ok(_permit) => Preview::of(lifecycle, now).await,
        Err(_) => Err(Error::unavailable("other previews are being made; try again when they are done")),
    };
    let main = html! {
        p { a href="/console#plan" { "Back to the console" } }
        h1 { "What would happen in " (name) }
        p { "As of " (format::moment(now)) ". Nothing is changed by looking." }
        @match &preview {
            Ok(preview) => (shown(preview)),
            Err(error) => p .notice.bad role="alert" { (error) },
        }
        (page::part("plan", "Another store", choice(&stores, Some(&name))))
    };
    let (title, notice) = (format!("Plan of {name}"), console.notice(&visitor));
    Page { title: &title, live: false, notice, parts: &[], state: html! {}, main }.render().into_response()
}

fn shown(preview: &Preview) -> Markup {
    html! {
        @if preview.considered.is_none() {
            p .notice.warning role="alert" {
                "Cut off after " (PATIENCE.as_secs()) " s: there are more objects than could be asked about. "
                "The totals are of those that could; " code { "larder lifecycle plan" } " asks about all."
            }
        }
        (page::part("totals", "Totals", totals(preview)))
        (page::part("objects", "Objects", objects(preview)))
    }
}

fn totals(preview: &Preview) -> Markup {
    html! {
        table .narrow {
            caption { "What would become of how many objects" }
            thead { tr {
                th scope="col" { "What" }
                th scope="col" .number { "Objects" }
                th scope="col" .number { "Size" }
            } }
            tbody {
                @for (word, total) in &preview.totals {
                    tr {
                        th scope="row" { (word) }
                        td .number { (format::count(total.objects)) }
                        td .number { (format::size(total.bytes)) }
                    }
                }
                @if let Some(considered) = preview.considered {
                    tr {
                        th scope="row" { "keep" }
                        td .number { (format::count(considered.saturating_sub(preview.planned()))) }
                        td .number { "\u{2013}" }
                    }
                }
            }
        }
    }
}

fn objects(preview: &Preview) -> Markup {
    let left_out = preview.planned() - preview.lines.len() as u64;
    html! {
        @if preview.lines.is_empty() {
            p .none { "All would just be kept." }
        } @else {
            table {
                caption { "In order of keys" }
                thead { tr {
                    th scope="col" { "Key" }
                    th scope="col" { "What" }
                    th scope="col" { "By" }
                    th scope="col" { "Why" }
                    th scope="col" .number { "Size" }
                    th scope="col" { "Written" }
                } }
                tbody { @for planned in &preview.lines { (line(planned)) } }
            }
            @if left_out > 0 {
                p { "And " (format::count(left_out)) " more, which are in the totals alone." }
            }
        }
    }
}

fn line(Planned { metadata, verdict, by }: &Planned) -> Markup {
    let tone = match verdict {
        Verdict::Delete | Verdict::Purge => Tone::Bad,
        Verdict::Undecided { .. } => Tone::Warning,
        Verdict::Keep | Verdict::Archive | Verdict::Tag { .. } | Verdict::Retained { .. } => Tone::Neutral,
    };
    html! {
        tr {
            th .words scope="row" { (metadata.key) }
            td data-label="What" { (badge(tone, verdict.as_str())) }
            td data-label="By" { (by.as_deref().unwrap_or("\u{2013}")) }
            td .words data-label="Why" { (reason(verdict)) }
            td .number data-label="Size" { (format::size(metadata.size)) }
            td data-label="Written" { (format::moment(metadata.updated_at)) }
        }
    }
}

fn reason(verdict: &Verdict) -> Markup {
    match verdict {
        Verdict::Retained { until } => html! { "it would go, and is retained until " (format::moment(*until)) },
        Verdict::Undecided { problem } => html! { (problem) },
        Verdict::Tag { tags } => html! { (tags) },
        Verdict::Keep | Verdict::Archive | Verdict::Delete | Verdict::Purge => html! { "\u{2013}" },
    }
}

/// Asks of which store.
pub(super) fn part(stores: &[HostedStore]) -> Markup {
    page::part("plan", "Plan preview", choice(stores, None))
}

fn choice(stores: &[HostedStore], chosen: Option<&str>) -> Markup {
    let ageing: Vec<&str> =
        stores.iter().filter(|store| store.lifecycle.is_some()).map(|store| store.manager.name().as_str()).collect();
    html! {
        @if ageing.is_empty() {
            p .none { "No store has lifecycle policies." }
        } @else {
            form .inline method="get" action="/console/plan" {
                label for="plan-store" { "What would the policies do now in" }
                " "
                select #plan-store name="store" {
                    @for name in ageing { option value=(name) selected[chosen == Some(name)] { (name) } }
                }
                " "
                button type="submit" { "Preview" }
            }
        }
    }
}
