use std::sync::Arc;

use clap::Parser;

use super::Words;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::{copy, get, list, put, remove, stat, tag};
use crate::object::StoreName;
use crate::plugin::GrantedStores;
use crate::provider::StorageProvider;

/// What operations call the store that is the plugin.
const STORE: &str = "plugin";

/// The commands on objects.
#[derive(Debug, Parser)]
#[command(name = "", no_binary_name = true, disable_help_subcommand = true)]
enum Operation {
    Put(put::Put),
    Get(get::Get),
    #[command(name = "cp")]
    Copy(copy::Copy),
    #[command(name = "ls")]
    List(list::List),
    #[command(name = "rm")]
    Remove(remove::Remove),
    Stat(stat::Stat),
    Tag(tag::Tag),
}

impl Operation {
    async fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Put(put) => put.run(context).await,
            Self::Get(get) => get.run(context).await,
            Self::Copy(copy) => copy.run(context).await,
            Self::List(list) => list.run(context).await,
            Self::Remove(remove) => remove.run(context).await,
            Self::Stat(stat) => stat.run(context).await,
            Self::Tag(tag) => tag.run(context).await,
        }
    }
}

/// Carries out the operations, which find the plugin under the name `plugin` and what was granted under its own.
pub(super) async fn run(
    plugin: Arc<dyn StorageProvider>,
    granted: GrantedStores,
    operations: Vec<Words>,
    context: &Context,
) -> Result<(), Failure> {
    let named = |(name, store): (String, Arc<dyn StorageProvider>)| Ok((StoreName::new(name)?, store));
    let stores: Result<_, crate::error::Error> =
        granted.into_iter().chain([(STORE.to_owned(), plugin)]).map(named).collect();
    let context = context.over(stores?);
    for Words { text, words } in operations {
        match Operation::try_parse_from(words) {
            Ok(operation) => Box::pin(operation.run(&context)).await.map_err(|failure| failure.about(&text))?,
            Err(help) if !help.use_stderr() => context.output().line(help)?,
            Err(error) => {
                let said = error.to_string();
                return Err(Failure::usage(said.trim().trim_start_matches("error: ")).about(&text));
            }
        }
        // What an operation writes by itself, as the bytes of an object, comes behind what was said before.
        context.output().flush()?;
    }
    Ok(())
}
