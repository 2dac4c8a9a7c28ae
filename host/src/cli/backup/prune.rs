use std::num::NonZeroU32;

use clap::Args;
use serde::Serialize;

use super::repository::{Lazy, RepositoryAddress};
use super::watching::Watching;
use crate::backup::{self, BackupRecord, Keep, Removed};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{self, Output};
use crate::object::StoreName;

const EXAMPLES: &str = "\
Examples:
  larder backup prune /backups --keep-last 7 --keep-weekly 8 --keep-yearly 10
  larder backup prune /backups --keep-daily 14 --dry-run    # shows what would stay, and why
  larder backup prune /backups 01M81RQ5CZ 01M81RQ5Q8        # these two
";

/// Remove backups that are no longer wanted, and what only they need
///
/// Either those that are named, or of each store all but those that a --keep rule wants. Days, weeks, months and years are
/// those of UTC, and of each the last backup counts; ones without a backup do not. What a backup that was cut off has left
/// goes too.
///
/// While a backup is made in the same store (larder://STORE) it ends with exit code 5, and nothing is removed.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Prune {
    /// Where backups are kept: a folder, or larder://STORE
    #[arg(value_name = "REPOSITORY")]
    repository: RepositoryAddress,
    /// Backups to remove: their names, or the beginnings of them
    #[arg(value_name = "BACKUP", conflicts_with = "rules")]
    backups: Vec<String>,
    #[command(flatten)]
    keep: Rules,
    /// Only backups of this store; those of others stay
    #[arg(long, value_name = "STORE", requires = "rules")]
    store: Option<StoreName>,
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
#[group(id = "rules", multiple = true)]
struct Rules {
    /// Keep so many of the last backups of each store
    #[arg(long, value_name = "N")]
    keep_last: Option<NonZeroU32>,
    /// Keep one of each of so many days
    #[arg(long, value_name = "N")]
    keep_daily: Option<NonZeroU32>,
    /// Keep one of each of so many weeks
    #[arg(long, value_name = "N")]
    keep_weekly: Option<NonZeroU32>,
    /// Keep one of each of so many months
    #[arg(long, value_name = "N")]
    keep_monthly: Option<NonZeroU32>,
    /// Keep one of each of so many years
    #[arg(long, value_name = "N")]
    keep_yearly: Option<NonZeroU32>,
}

/// A backup, and why it stays.
#[derive(Debug, Serialize)]
struct Judged {
    id: String,
    store: StoreName,
    taken_at: crate::object::Timestamp,
    /// The rules that want it; none if it goes, or is not asked about.
    kept_by: Vec<&'static str>,
    removed: bool,
}

#[derive(Debug, Serialize)]
struct Pruned {
    backups: Vec<Judged>,
    /// What came of it; none if it is only shown.
    removed: Option<Removed>,
}

impl Prune {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let keep = self.keep();
        if self.backups.is_empty() && keep.is_empty() {
            return Err(Failure::usage("it is not said which backups to remove")
                .with_hint("name some, or say which to keep, such as --keep-last 7"));
        }
        let (data, output) = (Lazy::new(context), context.output());
        let repository = self.repository.open(&data).await?;
        let mut all = repository.backups().await?;
        let (gone, judged) = if keep.is_empty() {
            let mut gone = Vec::new();
            for name in &self.backups {
                gone.push(repository.find(name).await?);
            }
            let judged = all.into_iter().map(|backup| Judged::of(backup, Vec::new(), &gone)).collect();
            (gone, judged)
        } else {
            all.retain(|backup| self.store.as_ref().is_none_or(|store| backup.store == *store));
            let (gone, reasons) = (keep.unwanted(&all), keep.reasons(&all));
            let judged = all.into_iter().zip(reasons);
            let judged = judged.map(|(backup, kept_by)| Judged::of(backup, kept_by, &gone)).collect();
            (gone, judged)
        };
        let mut pruned = Pruned { backups: judged, removed: None };
        let mut seconds = 0.0;
        if !self.dry_run {
            let watching = Watching::begin(output);
            let removed = backup::remove(&repository, &gone, &watching).await;
            // What the repository's folder still has to sync is synced when it is closed.
            drop(repository);
            seconds = watching.end();
            pruned.removed = Some(removed?);
        }
        pruned.tell(output, seconds)
    }

    fn keep(&self) -> Keep {
        let Rules { keep_last, keep_daily, keep_weekly, keep_monthly, keep_yearly } = self.keep;
        Keep { last: keep_last, daily: keep_daily, weekly: keep_weekly, monthly: keep_monthly, yearly: keep_yearly }
    }
}

impl Judged {
    fn of(backup: BackupRecord, kept_by: Vec<&'static str>, gone: &[BackupRecord]) -> Self {
        let BackupRecord { id, store, taken_at, .. } = backup;
        let removed = gone.iter().any(|gone| gone.id == id);
        Self { id, store, taken_at, kept_by, removed }
    }

    fn row(&self) -> [String; 4] {
        let why = if self.removed { "removed".to_owned() } else { self.kept_by.join(", ") };
        [self.id.clone(), self.store.to_string(), output::moment(self.taken_at).to_string(), why]
    }
}

impl Pruned {
    fn tell(&self, output: &Output, seconds: f64) -> Result<(), Failure> {
        if output.for_programs() {
            return output.document(self);
        }
        output.line(output::table(&["BACKUP", "STORE", "TAKEN", "KEPT BY"], self.backups.iter().map(Judged::row)))?;
        match self.removed {
            Some(Removed { backups, pieces, bytes }) => {
                let bytes = output::size(bytes);
                output.remark(format_args!("{backups} backups removed: {pieces} pieces, {bytes}, in {seconds:.1} s"));
            }
            None => {
                let gone = self.backups.iter().filter(|backup| backup.removed).count();
                output.remark(format_args!("{gone} backups would be removed"));
            }
        }
        Ok(())
    }
}
