//! `larder cache`: a file for each of its commands.

mod clear;
mod simulate;
mod stats;
mod top;

use clap::{Args, Subcommand};

use super::context::Context;
use super::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  larder cache stats
  larder cache top documents --watch
  larder cache clear documents/reports/
  larder cache simulate --synthetic zipf    # which eviction strategy hits most
";

/// See what the caches of a running host do, and what another eviction strategy would
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CacheCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Stats(stats::Stats),
    Top(top::Top),
    Clear(clear::Clear),
    Simulate(Box<simulate::Simulate>),
}

impl CacheCommand {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        match self.action {
            Action::Stats(stats) => stats.run(context).await,
            Action::Top(top) => top.run(context).await,
            Action::Clear(clear) => clear.run(context).await,
            Action::Simulate(simulate) => simulate.run(context.output()).await,
        }
    }
}
