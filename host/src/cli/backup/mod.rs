//! `larder backup`: a file for each of its commands.

mod create;
mod list;
mod prune;
mod repository;
mod restore;
#[cfg(test)]
mod tests;
mod verify;
mod watching;

use clap::{Args, Subcommand};

use super::context::Context;
use super::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  larder backup create documents /backups                # again each night: only what is new is stored
  larder backup list /backups                            # what is there
  larder backup verify /backups                          # is every byte what it was?
  larder backup restore /backups --to restored           # the last backup, into another store
  larder backup restore /backups --to documents --key report.pdf --replace
  larder backup prune /backups --keep-daily 14           # removes those that are not among these

A REPOSITORY keeps backups: a folder of its own, or with larder:// a store. Any number of stores can
be backed up to the same one.
";

/// Back stores up, while a host runs on them or not, and restore them
///
/// A backup has all objects of a store as they were at one moment. What two backups have in common, or two objects, is
/// stored once. Objects are backed up as they are stored: what is encrypted in the store is so in the backup, and is
/// restored with the same keys.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct BackupCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Create(create::Create),
    List(list::List),
    Verify(verify::Verify),
    Restore(restore::Restore),
    Prune(prune::Prune),
}

impl BackupCommand {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        match self.action {
            Action::Create(create) => create.run(context).await,
            Action::List(list) => list.run(context).await,
            Action::Verify(verify) => verify.run(context).await,
            Action::Restore(restore) => restore.run(context).await,
            Action::Prune(prune) => prune.run(context).await,
        }
    }
}
