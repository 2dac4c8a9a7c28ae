//! `larder lifecycle`: a file for each of its commands.

mod apply;
mod explain;
mod plan;
mod policies;
#[cfg(test)]
mod tests;

use clap::{Args, Subcommand};

use super::context::Context;
use super::failure::Failure;
use crate::lifecycle::Verdict;

const EXAMPLES: &str = "\
Examples:
  larder lifecycle plan documents                    # what would happen now, and why; nothing does
  larder lifecycle plan documents --at 2027-01-01    # and what on that day
  larder lifecycle explain documents/report.pdf      # what each policy says of one object
  larder lifecycle apply documents                   # do it
";

/// See what policies would do with the objects of a store, and have it done
///
/// A host applies the policies of its stores by itself, as often as the configuration says. What is done is written to
/// audit.jsonl in the data folder.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct LifecycleCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Plan(plan::Plan),
    Explain(explain::Explain),
    Apply(apply::Apply),
}

impl LifecycleCommand {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        match self.action {
            Action::Plan(plan) => plan.run(context).await,
            Action::Explain(explain) => explain.run(context).await,
            Action::Apply(apply) => apply.run(context).await,
        }
    }
}

/// A verdict for people.
fn shown(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Keep => "keep".to_owned(),
        Verdict::Archive => "archive".to_owned(),
        Verdict::Delete => "delete".to_owned(),
        Verdict::Tag { tags } => format!("tag {tags}"),
        Verdict::Purge => "purge".to_owned(),
        Verdict::Retained { until } => format!("retain until {}", super::output::moment(*until)),
        Verdict::Undecided { problem } => format!("keep: {problem}"),
    }
}
