use clap::Args;

use super::repository::{Lazy, RepositoryAddress};
use crate::backup::{Backup, BackupRecord};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{self, Printable};
use crate::object::StoreName;
use crate::provider::ListQuery;

const EXAMPLES: &str = "\
Examples:
  larder backup list /backups
  larder backup list /backups --store documents --json | jq -r '.[-1].id'
  larder backup list /backups latest --prefix reports/    # what is in it
";

/// Show the backups of a repository, or the objects of one of them
///
/// SIZE is what the objects have as they are stored, and ADDED what the backup has added to the repository. Backups that
/// are not of ONE MOMENT have each object as it was at some moment while they were made.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct List {
    /// Where backups are kept: a folder, or larder://STORE
    #[arg(value_name = "REPOSITORY")]
    repository: RepositoryAddress,
    /// The backup whose objects are shown: its name, the beginning of it, or latest
    #[arg(value_name = "BACKUP")]
    backup: Option<String>,
    /// Only backups of this store
    #[arg(long, value_name = "STORE", conflicts_with = "backup")]
    store: Option<StoreName>,
    /// Only objects whose keys begin so
    #[arg(long, value_name = "PREFIX", requires = "backup", default_value = "")]
    prefix: String,
}

impl List {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let data = Lazy::new(context);
        let repository = self.repository.open(&data).await?;
        let output = context.output();
        if let Some(name) = &self.backup {
            let backup = Backup::open(&repository, &repository.find(name).await?).await?;
            let mut query = ListQuery::with_prefix(self.prefix);
            loop {
                let page = backup.list(&query).await?;
                for object in &page.objects {
                    if output.for_programs() {
                        output.json_line(object)?;
                    } else {
                        let (size, at) = (output::size(object.size).to_string(), output::moment(object.updated_at));
                        output.line(format_args!("{size:>10}  {at}  {}", Printable(object.key.as_str())))?;
                    }
                }
                match page.next() {
                    Some(last) => query.start_after = Some(last.as_str().to_owned()),
                    None => return Ok(()),
                }
            }
        }
        let mut backups = repository.backups().await?;
        backups.retain(|backup| self.store.as_ref().is_none_or(|store| backup.store == *store));
        if output.for_programs() {
            return output.document(&backups);
        }
        let header = ["BACKUP", "STORE", "TAKEN", "OBJECTS", "SIZE", "ADDED", "ONE MOMENT", "LEFT OUT"];
        output.line(output::table(&header, backups.iter().map(row)))
    }
}

fn row(backup: &BackupRecord) -> [String; 8] {
    let BackupRecord { id, store, taken_at, of_one_moment, objects, bytes, left_out, added, .. } = backup;
    [
        id.clone(),
        store.to_string(),
        output::moment(*taken_at).to_string(),
        objects.to_string(),
        output::size(*bytes).to_string(),
        output::size(*added).to_string(),
        if *of_one_moment { "yes" } else { "no" }.to_owned(),
        left_out.to_string(),
    ]
}
