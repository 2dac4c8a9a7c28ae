use clap::Args;

use super::{host_with, took};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{self, Output, Printable};
use crate::scheduler::Run;

const EXAMPLES: &str = "\
Examples:
  larder task history backup:documents
  larder task history backup:documents --json | jq '.[0]'
";

/// Show the last runs of a task, up to 20, newest first
///
/// TRIGGER is why it started: schedule (it was due), retry (the run before failed), catch-up (for starts that were missed), or
/// hand (larder task run). TRY counts the tries since it was due. A missed start did not run. A run of the task usage is kept
/// until the host ends, one of any other task over restarts.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct History {
    /// The task, as `larder task ls` shows it
    #[arg(value_name = "TASK")]
    task: String,
}

impl History {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let runs = host_with(&self.task, context).await?.task_history(&self.task).await?;
        tell(&runs, context.output())
    }
}

pub(super) fn tell(runs: &[Run], output: &Output) -> Result<(), Failure> {
    if output.for_programs() {
        return output.document(&runs);
    }
    output.line(output::table(&["STARTED", "TOOK", "OUTCOME", "TRIGGER", "TRY", "MESSAGE"], runs.iter().map(row)))
}

fn row(run: &Run) -> [String; 6] {
    [
        output::moment(run.started_at).to_string(),
        took(run),
        run.outcome.to_string(),
        run.trigger.to_string(),
        run.attempt.to_string(),
        Printable(run.message.as_deref().unwrap_or_default()).to_string(),
    ]
}
