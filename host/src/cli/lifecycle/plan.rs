use std::collections::BTreeMap;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::policies::Policies;
use super::shown;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{self, Output, Printable};
use crate::lifecycle::Planned;
use crate::object::StoreName;

const EXAMPLES: &str = "\
Examples:
  larder lifecycle plan documents
  larder lifecycle plan documents --at 2027-01-01
  larder lifecycle plan documents --policy drafts           # that rule alone
  larder lifecycle plan documents --policy new-rules.wasm   # a policy before it is at work
  larder lifecycle plan documents --json | jq -r 'select(.verdict == \"delete\").metadata.key'
";

/// Show what would happen to the objects of a store, and why
///
/// Nothing is changed. It shows every object that would not just be kept: what becomes of it, and which policy wants that.
/// The policies are those of the configuration as it is now, also if a host still runs with an earlier one.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Plan {
    /// The store
    #[arg(value_name = "STORE")]
    store: StoreName,
    #[command(flatten)]
    policies: Policies,
    /// Show so many objects at most; the totals are of all
    #[arg(long, value_name = "COUNT", default_value = "100")]
    limit: usize,
}

/// How many objects, and how many bytes they have.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Total {
    objects: u64,
    bytes: u64,
}

/// Takes in a plan, of which it keeps only what is shown.
struct Plotted<'a> {
    output: &'a Output,
    limit: usize,
    rows: Vec<[String; 5]>,
    totals: BTreeMap<&'static str, Total>,
    failure: Option<Failure>,
    bar: ProgressBar,
}

impl Plan {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let Self { store: name, policies, limit } = self;
        let (output, now) = (context.output(), policies.now());
        let data = context.data().await?;
        let store = data.ageing(&name).await?;
        let manager = policies.open(&name, store, context).await?;

        let hidden = output.is_quiet() || output.for_programs();
        let bar = if hidden { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        let style = ProgressStyle::with_template("{spinner} {pos} objects would not just be kept");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        let mut plotted = Plotted { output, limit, rows: Vec::new(), totals: BTreeMap::new(), failure: None, bar };
        let considered = manager.plan(now, &mut |planned| plotted.take(&planned)).await?;
        plotted.end(considered)
    }
}

impl Plotted<'_> {
    fn take(&mut self, planned: &Planned) {
        let Planned { metadata, verdict, by } = planned;
        let total = self.totals.entry(verdict.as_str()).or_default();
        total.objects += 1;
        total.bytes += metadata.size;
        self.bar.inc(1);
        if self.output.for_programs() {
            let told = self.output.json_line(planned);
            self.failure = self.failure.take().or(told.err());
        } else if self.rows.len() < self.limit {
            self.rows.push([
                Printable(&shown(verdict)).to_string(),
                by.as_deref().map_or_else(|| "-".to_owned(), |by| Printable(by).to_string()),
                output::size(metadata.size).to_string(),
                output::moment(metadata.updated_at).to_string(),
                Printable(metadata.key.as_str()).to_string(),
            ]);
        }
    }

    fn end(self, considered: u64) -> Result<(), Failure> {
        let Self { output, rows, totals, failure, bar, .. } = self;
        bar.finish_and_clear();
        if let Some(failure) = failure {
            return Err(failure);
        }
        if output.for_programs() {
            return output.json_line(&serde_json::json!({ "considered": considered, "totals": totals }));
        }
        let planned: u64 = totals.values().map(|total| total.objects).sum();
        if !rows.is_empty() {
            let shown = rows.len() as u64;
            output.line(output::table(&["WHAT", "BY", "SIZE", "WRITTEN", "KEY"], rows))?;
            if shown < planned {
                output.line(format_args!("and {} more: --limit shows them", planned - shown))?;
            }
            output.line("")?;
        }
        let kept = considered - planned;
        let rows = totals.iter().map(|(word, total)| {
            [(*word).to_owned(), total.objects.to_string(), output::size(total.bytes).to_string()]
        });
        let rows = rows.chain([["keep".to_owned(), kept.to_string(), "-".to_owned()]]);
        output.line(output::table(&["TOTAL", "OBJECTS", "SIZE"], rows))
    }
}
