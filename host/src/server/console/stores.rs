//! The stores, and how they did lately.

use maud::{Markup, html};

use super::page;
use super::{chart, format, health};
use crate::host::HostedStore;
use crate::monitor::HealthReport;

pub(super) fn part(stores: &[HostedStore], report: Option<&HealthReport>) -> Markup {
    let content = html! {
        table {
            caption { "Reads, writes and hits since the host started; charts of up to a day" }
            thead { tr {
                th scope="col" { "Store" }
                th scope="col" { "Provider" }
                th scope="col" { "Health" }
                th scope="col" .number { "Objects" }
                th scope="col" .number { "Size" }
                th scope="col" .number { "Reads" }
                th scope="col" .number { "Writes" }
                th scope="col" .number { "Hit ratio" }
                th scope="col" { "Size over time" }
                th scope="col" { "Hit ratio over time" }
            } }
            tbody { @for store in stores { (row(store, report)) } }
        }
    };
    page::part("stores", "Stores", content)
}

fn row(store: &HostedStore, report: Option<&HealthReport>) -> Markup {
    let (name, monitor) = (store.manager.name(), store.manager.monitor());
    let (figures, samples) = (monitor.snapshot(), monitor.history());
    let lookups = figures.cache_hits + figures.cache_misses;
    let cached = store.manager.cache().is_some();
    let check = report.and_then(|report| report.checks.get(&format!("store:{name}"))?.first());
    html! {
        tr id={ "store-" (name) } {
            th scope="row" { (name) @if store.internal { " " span .aside { "internal" } } }
            td data-label="Provider" { (store.provider) }
            td .words data-label="Health" {
                @match check {
                    Some(check) => { (health::state(check.state)) " " (health::what(check)) },
                    None => span .none { "not asked yet" },
                }
            }
            td .number data-label="Objects" { (figures.objects.map_or_else(unknown, format::count)) }
            td .number data-label="Size" { (figures.storage_used.map_or_else(unknown, format::size)) }
            td .number data-label="Reads" { (format::count(figures.reads)) }
            td .number data-label="Writes" { (format::count(figures.writes)) }
            td .number data-label="Hit ratio" {
                @if !cached { span .none { "no cache" } }
                @else if lookups == 0 { (unknown()) }
                @else { (format::percent(figures.cache_hits as f64 / lookups as f64)) }
            }
            td data-label="Size over time" { (chart::sizes(&samples)) }
            td data-label="Hit ratio over time" {
                @if cached { (chart::hit_ratios(&samples)) } @else { (unknown()) }
            }
        }
    }
}

fn unknown() -> String {
    "\u{2013}".to_owned()
}
