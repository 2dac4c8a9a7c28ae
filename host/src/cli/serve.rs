use clap::Args;

use super::context::Context;
use super::failure::{Exit, Failure};

const EXAMPLES: &str = "\
Examples:
  larder serve                              # with the embedded configuration
  larder serve --config larder.yaml
  larder serve -v --json                    # log more, as JSON
";

/// Serve the stores until Ctrl-C (this is what larder does without a command)
///
/// Listens for S3 and for operators where the configuration says, and keeps its data in the folder `data_dir`. One host
/// runs on a data folder at a time. On Ctrl-C or SIGTERM it lets the calls in flight end and stops.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Serve {}

impl Serve {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let _config = context.config()?;
        Err(Failure::new(Exit::Unavailable, "unsupported", "this build has no host"))
    }
}
