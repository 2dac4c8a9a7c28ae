use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::error::Error;
use crate::host::Host;
use crate::object::StoreName;

/// The stores of type `file` and their folders.
pub(super) fn all(context: &Context) -> Result<BTreeMap<StoreName, PathBuf>, Failure> {
    Host::file_stores(&context.config()?).map_err(|error| Failure::new(Exit::Failed, "file", error.to_string()))
}

/// The folder of a store.
pub(super) fn of(store: &StoreName, context: &Context) -> Result<PathBuf, Failure> {
    if let Some(folder) = all(context)?.remove(store) {
        return Ok(folder);
    }
    match context.config()?.stores.get(store) {
        Some(config) => Err(Failure::usage(format!(
            "the store {store} is of type {}, and only stores of type file have a folder",
            config.provider_type
        ))),
        None => {
            Err(Failure::not_found(format!("there is no store {store}")).with_hint("larder store du shows the stores"))
        }
    }
}

/// Runs a function that reads and writes files, off the async runtime's own threads.
pub(super) async fn work_on<T: Send + 'static>(
    store: &StoreName,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Failure> {
    let worked = tokio::task::spawn_blocking(work).await;
    let worked = worked.unwrap_or_else(|error| Err(Error::internal(format!("work on files has ended: {error}"))));
    worked.map_err(|error| {
        Failure::from(error).about(&format!("the store {store}")).hint_on(Exit::Unavailable, || {
            "this works on stores that are closed: end larder serve, or whatever else has it open".to_owned()
        })
    })
}
