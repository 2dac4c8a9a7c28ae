use std::collections::BTreeSet;

use clap::Args;
use serde::Serialize;

use super::repository::{Lazy, RepositoryAddress};
use super::watching::Watching;
use crate::backup::{self, Backup, BackupRecord, Existing, Repository, Restored, Selection};
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::{self, Output};
use crate::host::Host;
use crate::object::{Key, StoreName};

const EXAMPLES: &str = "\
Examples:
  larder backup restore /backups --to restored
  larder backup restore /backups 01K --to restored --prefix reports/
  larder backup restore /backups --to documents --key report.pdf --replace
";

/// Store the objects of a backup, all or some, in a store
///
/// They get the bytes, tags, metadata, times and etags that they had. Objects that the store has just so are left alone, so
/// that a restore that was stopped can be run again; others are replaced with --replace, and otherwise told of.
///
/// What is encrypted in the backup is read with the keys that the configuration names for the store that it goes to, `key`
/// and `old_keys`, and encrypted with its `key`, if it has one.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Restore {
    /// Where backups are kept: a folder, or larder://STORE
    #[arg(value_name = "REPOSITORY")]
    repository: RepositoryAddress,
    /// The backup: its name, the beginning of it, or latest, which it is if all are of one store
    #[arg(value_name = "BACKUP")]
    backup: Option<String>,
    /// The store that the objects go to
    #[arg(long, value_name = "STORE")]
    to: StoreName,
    /// Only this object
    #[arg(long, value_name = "KEY")]
    key: Option<Key>,
    /// Only objects whose keys begin so
    #[arg(long, value_name = "PREFIX", conflicts_with = "key")]
    prefix: Option<String>,
    /// Replace objects that the store has otherwise
    #[arg(long)]
    replace: bool,
}

#[derive(Debug, Serialize)]
struct Done<'a> {
    backup: &'a str,
    store: &'a StoreName,
    #[serde(flatten)]
    restored: Restored,
    seconds: f64,
}

impl Restore {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let Self { repository: address, backup, to, key, prefix, replace } = self;
        let data = Lazy::new(context);
        let target = data.get().await?.store(&to).await?;
        let repository = address.open(&data).await?;
        let record = match &backup {
            Some(name) => repository.find(name).await?,
            None => only(&repository).await?,
        };
        let backup = Backup::open(&repository, &record).await?;
        let encryption = Host::encryption_of(&context.config()?, &to)
            .map_err(|error| Failure::new(Exit::Failed, "configuration", error.to_string()))?;
        let selection = match key {
            Some(key) => Selection::Key(key),
            None => Selection::Prefix(prefix.unwrap_or_default()),
        };
        let existing = if replace { Existing::Replace } else { Existing::Keep };
        let watching = Watching::begin(context.output());
        let restored = backup::restore(&backup, encryption, &selection, &target, existing, &watching).await;
        let seconds = watching.end();
        let done = Done { backup: &record.id, store: &to, restored: restored?, seconds };
        done.tell(context.output())?;
        if done.restored.failed == 0 { Ok(()) } else { Err(Failure::silent(Exit::Failed)) }
    }
}

/// The last backup, if all are of one store.
async fn only(repository: &Repository) -> Result<BackupRecord, Failure> {
    let stores: BTreeSet<StoreName> = repository.backups().await?.into_iter().map(|backup| backup.store).collect();
    if stores.len() > 1 {
        let stores = stores.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        return Err(Failure::usage(format!("there are backups of several stores ({stores}): name one"))
            .with_hint("larder backup list REPOSITORY shows them"));
    }
    Ok(repository.find("latest").await?)
}

impl Done<'_> {
    fn tell(&self, output: &Output) -> Result<(), Failure> {
        if output.for_programs() {
            return output.document(self);
        }
        let Self { backup, store, restored, seconds } = self;
        let Restored { restored, bytes, present, failed } = restored;
        let bytes = output::size(*bytes);
        output.line(format_args!("{store}: {restored} objects restored from {backup}, {bytes} in {seconds:.1} s"))?;
        if *present > 0 {
            output.remark(format_args!("{present} objects were there already, just so"));
        }
        if *failed > 0 {
            output.remark(format_args!("{failed} objects were not restored"));
        }
        Ok(())
    }
}
