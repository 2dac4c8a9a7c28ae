use clap::Args;
use serde::Serialize;

use super::repository::{Lazy, RepositoryAddress};
use super::watching::Watching;
use crate::backup::{self, Verified};
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output;

const EXAMPLES: &str = "\
Examples:
  larder backup verify /backups
  larder backup verify /backups latest
";

/// Read backups, and hold every byte against its digest
///
/// All of them, or one. What several have in common is read once. The exit code is 1 if there is damage; `larder backup
/// create --full` stores anew what the store still has of it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Verify {
    /// Where backups are kept: a folder, or larder://STORE
    #[arg(value_name = "REPOSITORY")]
    repository: RepositoryAddress,
    /// Only this backup: its name, the beginning of it, or latest
    #[arg(value_name = "BACKUP")]
    backup: Option<String>,
}

#[derive(Debug, Serialize)]
struct Done {
    #[serde(flatten)]
    verified: Verified,
    seconds: f64,
}

impl Verify {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let (data, output) = (Lazy::new(context), context.output());
        let repository = self.repository.open(&data).await?;
        let backups = match &self.backup {
            Some(name) => vec![repository.find(name).await?],
            None => repository.backups().await?,
        };
        let watching = Watching::begin(output);
        let verified = backup::verify(&repository, &backups, &watching).await;
        let (seconds, verified) = (watching.end(), verified?);
        if output.for_programs() {
            output.document(&Done { verified, seconds })?;
        } else {
            let Verified { backups, objects, bytes, damage } = verified;
            let (size, verdict) = (output::size(bytes), if damage == 0 { "sound" } else { "damaged" });
            output.line(format_args!(
                "{verdict}: {backups} backups, {objects} objects, {size} read in {seconds:.1} s; damage: {damage}"
            ))?;
        }
        if verified.damage == 0 { Ok(()) } else { Err(Failure::silent(Exit::Failed)) }
    }
}
