use clap::Args;

use super::{moment_or_none, took};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::open;
use crate::cli::output::{self, Output, Printable};
use crate::scheduler::TaskStatus;

const EXAMPLES: &str = "\
Examples:
  larder task ls
  larder task ls --kind backup
  larder task ls --json | jq -r '.[] | select(.last_run.outcome == \"failed\").name'
";

/// Show the tasks: when each is due, and how its last run went
///
/// NEXT is when it starts, in UTC, or what keeps it from starting. LAST is when it started last, and TOOK how long that run
/// lasted. FAILED is how many of all its RUNS did, retries included.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct List {
    /// Only tasks of this kind: lifecycle, scrub, backup, index, usage, samples, health or sweep
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
}

impl List {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let mut tasks = open::host_at_work(context)?.tasks().await?;
        tasks.retain(|task| self.kind.as_ref().is_none_or(|kind| task.kind == *kind));
        tell(&tasks, context.output())
    }
}

pub(super) fn tell(tasks: &[TaskStatus], output: &Output) -> Result<(), Failure> {
    if output.for_programs() {
        return output.document(&tasks);
    }
    let header = ["TASK", "SCHEDULE", "NEXT", "LAST", "OUTCOME", "TOOK", "RUNS", "FAILED"];
    output.line(output::table(&header, tasks.iter().map(row)))?;
    for task in tasks {
        if let Some(run) = task.last_run.as_ref().filter(|run| run.outcome.is_failure())
            && let Some(message) = &run.message
        {
            let (name, outcome) = (&task.name, run.outcome);
            output.line(format_args!("\n{} {outcome}: {}", Printable(name), Printable(message)))?;
        }
    }
    Ok(())
}

fn row(task: &TaskStatus) -> [String; 8] {
    let next = match (task.running_since, task.paused) {
        (Some(_), _) => "running".to_owned(),
        (None, true) => "paused".to_owned(),
        (None, false) => moment_or_none(task.next_run),
    };
    let last = task.last_run.as_ref();
    [
        Printable(&task.name).to_string(),
        task.schedule.clone(),
        next,
        moment_or_none(last.map(|run| run.started_at)),
        last.map(|run| run.outcome.to_string()).unwrap_or_default(),
        last.map(took).unwrap_or_default(),
        task.runs.to_string(),
        task.failures.to_string(),
    ]
}
