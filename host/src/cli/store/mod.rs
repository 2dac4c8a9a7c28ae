//! `larder store`: a file for each of its commands. They work on the folders of stores of type `file` that no host has
//! open.

mod check;
mod folder;
mod rebuild;
mod space;
#[cfg(test)]
mod tests;
mod watching;

use clap::{Args, Subcommand};

use super::context::Context;
use super::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  larder store check documents      # is every byte what was stored?
  larder store rebuild documents    # what could be made of it, if not?
  larder store du                   # what do the stores take on their disks?
";

/// Check, mend and measure stores of type file, while no host runs on them
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct StoreCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Check(check::Check),
    Rebuild(rebuild::Rebuild),
    Du(space::Du),
}

impl StoreCommand {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        match self.action {
            Action::Check(check) => check.run(context).await,
            Action::Rebuild(rebuild) => rebuild.run(context).await,
            Action::Du(du) => du.run(context).await,
        }
    }
}
