use chrono::TimeDelta;
use clap::{Args, Subcommand};

use super::address::{ObjectAddress, PrefixAddress};
use super::context::Context;
use super::failure::{Exit, Failure};
use super::output::{self, Output, Printable};
use crate::config::Period;
use crate::lifecycle::{AgeingStep, AgeingStore};
use crate::object::{Timestamp, now};
use crate::provider::ListQuery;
use crate::provider::layers::Archived;

const EXAMPLES: &str = "\
Examples:
  larder archive ls documents
  larder archive restore documents/2019/report.pdf
  larder archive restore documents/2019/report.pdf --for 90d
";

/// See what policies have archived, and bring it back
///
/// An archived object stays listed in its store; its bytes lie in the store that `lifecycle.archive_to` names.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ArchiveCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show what is archived
    Ls {
        /// The store, or the objects of it whose keys begin so
        #[arg(value_name = "STORE[/PREFIX]")]
        place: PrefixAddress,
    },
    /// Bring an object's bytes back from the archive
    Restore {
        /// The object
        #[arg(value_name = "STORE/KEY")]
        object: ObjectAddress,
        /// For so long it is not archived again
        #[arg(long = "for", value_name = "TIME", default_value = "7d")]
        stay: Period,
    },
}

impl ArchiveCommand {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let (data, output) = (context.data().await?, context.output());
        match self.action {
            Action::Ls { place } => list(&*data.ageing(&place.store).await?, &place, output).await,
            Action::Restore { object, stay } => {
                let stay = TimeDelta::from_std(stay.as_duration()).ok();
                let until = stay.and_then(|stay| now().checked_add_signed(stay)).unwrap_or(Timestamp::MAX_UTC);
                data.age(&object.store, &object.key, AgeingStep::Restore { until }).await.map_err(|failure| {
                    failure
                        .hint_on(Exit::NotFound, || format!("larder archive ls {} shows what is there", object.store))
                })?;
                output.remark(format_args!(
                    "{} is back, until {}",
                    Printable(&object.to_string()),
                    output::moment(until)
                ));
                Ok(())
            }
        }
    }
}

async fn list(store: &dyn AgeingStore, place: &PrefixAddress, output: &Output) -> Result<(), Failure> {
    let mut rows = Vec::new();
    let mut query = ListQuery::with_prefix(&place.prefix);
    loop {
        let page = store.list(&query).await?;
        query.start_after = page.next().map(|key| key.as_str().to_owned());
        for object in &page.objects {
            let Some(archived) = Archived::of(object) else { continue };
            if output.for_programs() {
                output.json_line(object)?;
            } else {
                rows.push([
                    output::moment(archived.at).to_string(),
                    output::size(object.size).to_string(),
                    output::moment(object.updated_at).to_string(),
                    Printable(object.key.as_str()).to_string(),
                ]);
            }
        }
        if query.start_after.is_none() {
            break;
        }
    }
    if output.for_programs() {
        return Ok(());
    }
    if rows.is_empty() {
        output.remark("nothing is archived");
        return Ok(());
    }
    output.line(output::table(&["ARCHIVED", "SIZE", "WRITTEN", "KEY"], rows))
}
