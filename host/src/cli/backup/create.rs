use clap::Args;
use serde::Serialize;

use super::repository::{Lazy, RepositoryAddress};
use super::watching::Watching;
use crate::backup::{self, BackupRecord, Reading};
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{self, Output};
use crate::object::StoreName;

const EXAMPLES: &str = "\
Examples:
  larder backup create documents /backups
  larder backup create documents larder://vault    # to another store, on other disks or another machine
  larder backup create documents /backups --full   # reads all anew, and mends what verify has found
";

/// Back a store up as it is now
///
/// The store goes on as if nothing were: what is written while the backup is made is in the next one. Objects that did not
/// change since the last backup are not read. A plugin\u{2019}s store that can not show all its objects as of one moment is
/// backed up object by object, and `larder backup list` says so.
///
/// Objects that are damaged in the store are left out and told of; the exit code is then 1, and the backup is there.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Create {
    /// The store
    #[arg(value_name = "STORE")]
    store: StoreName,
    /// Where backups are kept: a folder, or larder://STORE
    #[arg(value_name = "REPOSITORY")]
    repository: RepositoryAddress,
    /// Read all objects, and store anew what is damaged in the repository
    #[arg(long)]
    full: bool,
}

#[derive(Debug, Serialize)]
struct Created<'a> {
    #[serde(flatten)]
    backup: &'a BackupRecord,
    seconds: f64,
}

impl Create {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let Self { store, repository: address, full } = self;
        if address == RepositoryAddress::Store(store.clone()) {
            return Err(Failure::usage("a store is not backed up to itself"));
        }
        let data = Lazy::new(context);
        let provider = data.get().await?.store(&store).await?;
        let repository = address.make(&data).await?;
        let reading = if full { Reading::All } else { Reading::Changed };
        let watching = Watching::begin(context.output());
        let made = backup::create(&repository, &store, &provider, reading, &watching).await;
        // What the repository's folder still has to sync is synced when it is closed.
        drop(repository);
        let seconds = watching.end();
        let backup = made.map_err(|error| Failure::from(error).about(&format!("no backup of {store} was made")))?;
        Created { backup: &backup, seconds }.tell(context.output())?;
        if backup.left_out == 0 { Ok(()) } else { Err(Failure::silent(Exit::Failed)) }
    }
}

impl Created<'_> {
    fn tell(&self, output: &Output) -> Result<(), Failure> {
        if output.for_programs() {
            return output.document(self);
        }
        let BackupRecord { id, store, objects, bytes, left_out, read, added, of_one_moment, .. } = self.backup;
        let (bytes, added) = (output::size(*bytes), output::size(*added));
        output.line(format_args!("{id}: {store}, {objects} objects, {bytes}"))?;
        output.remark(format_args!("{read} objects were read, {added} are new, in {:.1} s", self.seconds));
        if !of_one_moment {
            output.remark("the objects are not of one moment: the store\u{2019}s provider can not show them so");
        }
        if *left_out > 0 {
            output.remark(format_args!("{left_out} damaged objects are not in it"));
        }
        Ok(())
    }
}
