use clap::Args;
use serde::Serialize;

use crate::cache::CacheReport;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::open;
use crate::cli::output::{self, Printable};
use crate::object::StoreName;

const EXAMPLES: &str = "\
Examples:
  larder cache stats
  larder cache stats documents --json | jq .[].hits
";

/// Show what the cache of each store has done, and what it holds
///
/// Since the host started. HIT RATIO is the share of the lookups that the cache answered.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Stats {
    /// Only this store
    #[arg(value_name = "STORE")]
    store: Option<StoreName>,
}

#[derive(Debug, Serialize)]
struct Line {
    store: StoreName,
    #[serde(flatten)]
    report: CacheReport,
}

impl Stats {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let caches = open::host_at_work(context)?.caches().await?;
        let wanted = |store: &StoreName| self.store.as_ref().is_none_or(|wanted| wanted == store);
        let lines = caches.into_iter().filter(|(store, _)| wanted(store));
        let lines: Vec<Line> = lines.map(|(store, report)| Line { store, report }).collect();
        if let (Some(store), []) = (&self.store, &lines[..]) {
            return Err(Failure::not_found(format!("there is no store {store} with a cache"))
                .with_hint("larder cache stats shows those that have one"));
        }
        if context.output().for_programs() {
            return context.output().document(&lines);
        }
        let header = ["STORE", "POLICY", "ENTRIES", "SIZE", "LIMIT", "HITS", "MISSES", "HIT RATIO", "EVICTIONS"];
        context.output().line(output::table(&header, lines.iter().map(row)))
    }
}

fn row(Line { store, report }: &Line) -> [String; 9] {
    let stats = &report.stats;
    let lookups = stats.hits + stats.misses;
    let hit_ratio = stats.hits as f64 / lookups as f64;
    let fallback = if stats.failed_strategies > 0 { ", failed: clock stands in" } else { "" };
    [
        store.to_string(),
        format!("{}{fallback}", Printable(&report.eviction_policy)),
        stats.entries.to_string(),
        output::size(stats.weight).to_string(),
        output::size(report.size_limit).to_string(),
        stats.hits.to_string(),
        stats.misses.to_string(),
        if lookups == 0 { "-".to_owned() } else { output::percent(hit_ratio) },
        stats.evictions.to_string(),
    ]
}
