use clap::{Args, Subcommand};

use super::context::Context;
use super::failure::Failure;
use super::open;
use super::output::{self, Output, Printable};
use crate::alerts::{Alert, AlertState};

const EXAMPLES: &str = "\
Examples:
  larder alert ls
  larder alert ls --all                     # also what is pending, and what ended lately
  larder alert ls --json | jq -r '.[] | select(.level == \"critical\").summary'
";

/// See what needs a person
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct AlertCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    #[command(name = "ls")]
    List(List),
}

/// Show the alerts of a running host, the worst first
///
/// The configuration says, under `alerts`, when there is one and who is told of it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct List {
    /// Also show what does not hold for long enough yet, and what ended within the last 15 minutes
    #[arg(long)]
    all: bool,
}

impl AlertCommand {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let Action::List(list) = self.action;
        let mut alerts = open::host_at_work(context)?.alerts().await?;
        alerts.retain(|alert| list.all || alert.state == AlertState::Firing);
        tell(&alerts, context.output())
    }
}

fn tell(alerts: &[Alert], output: &Output) -> Result<(), Failure> {
    if output.for_programs() {
        return output.document(&alerts);
    }
    if alerts.is_empty() {
        return output.line("there is no alert");
    }
    let rows = alerts.iter().map(|alert| {
        [
            Printable(&alert.name).to_string(),
            alert.level.to_string(),
            alert.state.to_string(),
            output::moment(alert.since).to_string(),
            Printable(&alert.summary).to_string(),
        ]
    });
    output.line(output::table(&["ALERT", "LEVEL", "STATE", "SINCE", "WHAT"], rows))
}
