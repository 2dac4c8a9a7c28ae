//! `larder task`: a file for each of its commands.

mod history;
mod list;
mod pause;
mod run;
#[cfg(test)]
mod tests;

use clap::{Args, Subcommand};

use super::context::Context;
use super::failure::Failure;
use super::open;
use super::output;
use crate::client::RemoteHost;
use crate::config::nearest;
use crate::scheduler::Run;

const EXAMPLES: &str = "\
Examples:
  larder task ls                             # what is done when, and how it went
  larder task run lifecycle:documents        # now, and not only when it is due
  larder task pause scrub:documents          # until it is resumed
  larder task history backup:documents
";

/// See what a running host does again and again, run it now, or pause it
///
/// A task is what is done to a store: lifecycle (its policies), scrub (a check of all its bytes), backup, index (a look at the
/// structure of its index), and usage (counts what it holds, for the metrics). Its name is that word, a colon and the store. The
/// configuration says when each is due. Beside these there is sweep:uploads, which removes multipart uploads in which nothing
/// happens for a week, health, which asks how the host is, and samples, which takes the figures of which the console draws its
/// charts.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct TaskCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    #[command(name = "ls")]
    List(list::List),
    Run(run::Start),
    Pause(pause::Pause),
    Resume(pause::Resume),
    History(history::History),
}

impl TaskCommand {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        match self.action {
            Action::List(list) => list.run(context).await,
            Action::Run(start) => start.run(context).await,
            Action::Pause(pause) => pause.run(context).await,
            Action::Resume(resume) => resume.run(context).await,
            Action::History(history) => history.run(context).await,
        }
    }
}

/// The running host, if it has this task.
async fn host_with(task: &str, context: &Context) -> Result<RemoteHost, Failure> {
    let host = open::host_at_work(context)?;
    let tasks = host.tasks().await?;
    if tasks.iter().any(|status| status.name == task) {
        return Ok(host);
    }
    let near = nearest(task, tasks.iter().map(|status| status.name.as_str()));
    let hint =
        near.map_or("larder task ls shows those that there are".to_owned(), |near| format!("did you mean {near}?"));
    Err(Failure::not_found(format!("there is no task {task:?}")).with_hint(hint))
}

/// How long a run took; nothing if that is not known.
fn took(run: &Run) -> String {
    let took = run.ended_at.and_then(|end| (end - run.started_at).to_std().ok());
    took.map(|took| format!("{:.1} s", took.as_secs_f64())).unwrap_or_default()
}

/// What a person is told of a moment that may not have come.
fn moment_or_none(moment: Option<crate::object::Timestamp>) -> String {
    moment.map(|moment| output::moment(moment).to_string()).unwrap_or_default()
}
