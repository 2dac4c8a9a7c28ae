use clap::Args;
use serde::Serialize;

use super::context::Context;
use super::failure::{Exit, Failure};
use super::open::host_at_work;
use crate::client::ConsoleLink;

const EXAMPLES: &str = "\
Examples:
  larder console                            # prints a link for a browser on this machine
  larder console --open                     # opens it
  larder --json console | jq -r .url
";

/// Print a link to the console of the running host, for a browser
///
/// The console shows stores, plugins, tasks and alerts. The link logs a browser in. It is good once, for a minute; the session
/// that it begins, for twelve hours or until the host stops. Where the browser is on another machine, forward the port first:
/// ssh -L 9001:127.0.0.1:9001 HOST.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Console {
    /// Open it in the browser of this machine
    #[arg(long)]
    open: bool,
}

#[derive(Debug, Serialize)]
struct Told<'a> {
    url: &'a str,
    good_for_seconds: u64,
}

impl Console {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let ConsoleLink { url, good_for } = host_at_work(context)?.console_link().await?;
        let output = context.output();
        if output.for_programs() {
            output.document(&Told { url: &url, good_for_seconds: good_for.as_secs() })?;
        } else {
            output.line(&url)?;
            output.remark(format_args!("good once, for {} s", good_for.as_secs()));
        }
        if self.open {
            // The link is of use without it.
            output.flush()?;
            ::open::that_detached(&url).map_err(|error| {
                Failure::new(Exit::Failed, "browser", format!("no browser can be opened: {error}"))
                    .with_hint("open the link that is printed above")
            })?;
        }
        Ok(())
    }
}
