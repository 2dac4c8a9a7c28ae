//! `larder store`: a file for each of its commands. But for check they work on stores that no host has open; most of them
//! on the folders of those of type `file`.

mod check;
mod folder;
mod rebuild;
mod rekey;
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
  larder store rekey documents      # encrypt with the new key what has an old one
";

/// Check stores, and mend, measure and rekey them while no host runs on them
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
    Rekey(rekey::Rekey),
}

impl StoreCommand {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        match self.action {
            Action::Check(check) => check.run(context).await,
            Action::Rebuild(rebuild) => rebuild.run(context).await,
            Action::Du(du) => du.run(context).await,
            Action::Rekey(rekey) => rekey.run(context).await,
        }
    }
}
