use clap::Args;
use serde::Serialize;

use super::{host_with, took};
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::Output;
use crate::scheduler::{Run, RunOutcome};

const EXAMPLES: &str = "\
Examples:
  larder task run lifecycle:documents
  larder task run backup:documents && echo done
";

/// Run a task now, and wait for it to end
///
/// Also if it is paused. When it is due next is as it was. The exit code is 1 if the run failed, which is then not tried again,
/// and 5 if the task runs already. A run goes on if this command is stopped.
#[derive(Debug, Args)]
#[command(name = "run", after_help = EXAMPLES)]
pub(super) struct Start {
    /// The task, as `larder task ls` shows it
    #[arg(value_name = "TASK")]
    task: String,
}

#[derive(Debug, Serialize)]
struct Ended<'a> {
    task: &'a str,
    #[serde(flatten)]
    run: &'a Run,
}

impl Start {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let host = host_with(&self.task, context).await?;
        let run = host.run_task(&self.task).await?;
        tell(&self.task, &run, context.output())
    }
}

pub(super) fn tell(task: &str, run: &Run, output: &Output) -> Result<(), Failure> {
    let failed = run.outcome != RunOutcome::Succeeded;
    if output.for_programs() {
        output.document(&Ended { task, run })?;
        return if failed { Err(Failure::silent(Exit::Failed)) } else { Ok(()) };
    }
    if failed {
        let message = run.message.as_deref().unwrap_or("it does not say why");
        return Err(Failure::new(Exit::Failed, "task", format!("{task} {}: {message}", run.outcome)));
    }
    output.line(format_args!("{task} {} in {}", run.outcome, took(run)))
}
