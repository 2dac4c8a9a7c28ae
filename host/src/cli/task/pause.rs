use clap::Args;

use super::host_with;
use crate::cli::context::Context;
use crate::cli::failure::Failure;

const PAUSE_EXAMPLES: &str = "\
Examples:
  larder task pause lifecycle:documents     # nothing ages while this lasts
";

const RESUME_EXAMPLES: &str = "\
Examples:
  larder task resume lifecycle:documents
";

/// Start a task no more until it is resumed, over restarts too
///
/// A run that has begun goes on to its end. `larder task run` still runs it.
#[derive(Debug, Args)]
#[command(after_help = PAUSE_EXAMPLES)]
pub(super) struct Pause {
    /// The task, as `larder task ls` shows it
    #[arg(value_name = "TASK")]
    task: String,
}

/// Start a paused task again when it is due
///
/// Starts that came while it was paused are left out.
#[derive(Debug, Args)]
#[command(after_help = RESUME_EXAMPLES)]
pub(super) struct Resume {
    /// The task, as `larder task ls` shows it
    #[arg(value_name = "TASK")]
    task: String,
}

impl Pause {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        host_with(&self.task, context).await?.pause_task(&self.task).await?;
        context.output().remark(format_args!("{} is paused", self.task));
        Ok(())
    }
}

impl Resume {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        host_with(&self.task, context).await?.resume_task(&self.task).await?;
        context.output().remark(format_args!("{} goes on", self.task));
        Ok(())
    }
}
