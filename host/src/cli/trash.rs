use clap::{Args, Subcommand};
use serde::Serialize;

use super::address::{ObjectAddress, PrefixAddress};
use super::context::Context;
use super::failure::Failure;
use super::output::{self, Output, Printable};
use super::remove::confirm;
use crate::error::Error;
use crate::lifecycle::{AgeingStep, AgeingStore};
use crate::object::{StorageMetadata, StoreName};
use crate::provider::ListQuery;
use crate::provider::layers::Trashed;

const EXAMPLES: &str = "\
Examples:
  larder trash ls documents
  larder trash restore documents/drafts/report.pdf
  larder trash purge documents/drafts/report.pdf
  larder trash purge documents --all
";

/// See what policies have deleted, take it out of the trash again, or delete it for good
///
/// Objects come here if the configuration has `lifecycle.trash` for their store, and go for good when its time is over.
/// What is stored under the key of an object in the trash takes its place.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct TrashCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show what is in the trash
    Ls {
        /// The store, or the objects of it whose keys begin so
        #[arg(value_name = "STORE[/PREFIX]")]
        place: PrefixAddress,
    },
    /// Take an object out of the trash: it is what it was before
    Restore {
        /// The object
        #[arg(value_name = "STORE/KEY")]
        object: ObjectAddress,
    },
    /// Delete an object for good, or with --all all that is in the trash
    Purge {
        /// The object, or with --all the store
        #[arg(value_name = "STORE[/KEY]")]
        place: PrefixAddress,
        /// All that is in the trash, and begins with KEY if that is given
        #[arg(long)]
        all: bool,
        /// Do not ask
        #[arg(short, long, requires = "all")]
        yes: bool,
    },
}

#[derive(Debug, Serialize)]
struct Item {
    #[serde(flatten)]
    metadata: StorageMetadata,
    #[serde(skip_serializing_if = "Option::is_none")]
    trashed: Option<Trashed>,
}

impl TrashCommand {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let (data, output) = (context.data().await?, context.output());
        match self.action {
            Action::Ls { place } => list(&*data.ageing(&place.store).await?, &place, output).await,
            Action::Restore { object } => {
                data.age(&object.store, &object.key, AgeingStep::TakeOut)
                    .await
                    .map_err(|error| about(error, &object))?;
                output.remark(format_args!("{} is back", Printable(&object.to_string())));
                Ok(())
            }
            Action::Purge { place, all: false, .. } => {
                let object: ObjectAddress = place.to_string().parse().map_err(|error: Error| {
                    Failure::usage(error.to_string())
                        .with_hint(format!("larder trash purge {} --all deletes all that is in its trash", place.store))
                })?;
                let step = AgeingStep::Purge { due: None };
                data.age(&object.store, &object.key, step).await.map_err(|error| about(error, &object))?;
                output.remark(format_args!("{} is gone for good", Printable(&object.to_string())));
                Ok(())
            }
            Action::Purge { place, yes, .. } => {
                let items = find(&*data.ageing(&place.store).await?, &place).await?;
                let bytes = items.iter().map(|item| item.metadata.size).sum();
                if !yes && !items.is_empty() {
                    let (count, size) = (items.len(), output::size(bytes));
                    confirm(output, &format!("delete {count} objects, {size}, for good?"))?;
                }
                purge(&data, &place.store, items, output).await
            }
        }
    }
}

fn about(failure: Failure, object: &ObjectAddress) -> Failure {
    failure.hint_on(super::failure::Exit::NotFound, || format!("larder trash ls {} shows what is there", object.store))
}

async fn purge(data: &super::open::Data, store: &StoreName, items: Vec<Item>, output: &Output) -> Result<(), Failure> {
    let mut purged = 0;
    for item in items {
        match data.age(store, &item.metadata.key, AgeingStep::Purge { due: None }).await {
            Ok(()) => purged += 1,
            // It was taken out or purged meanwhile.
            Err(failure) if failure.exit() == super::failure::Exit::NotFound => {}
            Err(failure) => return Err(failure),
        }
    }
    if output.for_programs() {
        return output.document(&serde_json::json!({ "purged": purged }));
    }
    output.remark(format_args!("purged {purged} objects"));
    Ok(())
}

/// All that is in the trash below a place.
async fn find(store: &dyn AgeingStore, place: &PrefixAddress) -> Result<Vec<Item>, Failure> {
    let mut items = Vec::new();
    let mut query = ListQuery::with_prefix(&place.prefix);
    loop {
        let page = store.list_with_trash(&query).await?;
        query.start_after = page.next().map(|key| key.as_str().to_owned());
        let trash = page.objects.into_iter().filter(Trashed::is_mark_of);
        items.extend(trash.map(|metadata| Item { trashed: Trashed::of(&metadata), metadata }));
        if query.start_after.is_none() {
            return Ok(items);
        }
    }
}

async fn list(store: &dyn AgeingStore, place: &PrefixAddress, output: &Output) -> Result<(), Failure> {
    let items = find(store, place).await?;
    if output.for_programs() {
        return items.iter().try_for_each(|item| output.json_line(item));
    }
    if items.is_empty() {
        output.remark("the trash is empty");
        return Ok(());
    }
    let rows = items.iter().map(|Item { metadata, trashed }| {
        let moment = |of: fn(&Trashed) -> crate::object::Timestamp| {
            trashed.as_ref().map_or_else(|| "-".to_owned(), |trashed| output::moment(of(trashed)).to_string())
        };
        [
            moment(|trashed| trashed.at),
            moment(|trashed| trashed.until),
            trashed.as_ref().map_or_else(|| "-".to_owned(), |trashed| Printable(&trashed.by).to_string()),
            output::size(metadata.size).to_string(),
            Printable(metadata.key.as_str()).to_string(),
        ]
    });
    output.line(output::table(&["DELETED", "GOES", "BY", "SIZE", "KEY"], rows))
}
