use std::io::{self, BufRead, IsTerminal};

use clap::Args;
use futures::stream::{self, StreamExt};

use super::address::{ObjectAddress, PrefixAddress};
use super::context::Context;
use super::failure::{Exit, Failure};
use super::output::{self, Output, Printable};
use crate::error::Error;
use crate::object::{ETag, Key};
use crate::provider::{ListQuery, StorageProvider, Usage};

/// How many objects are deleted at a time.
const CONCURRENCY: usize = 16;

const EXAMPLES: &str = "\
Examples:
  larder rm documents/report.pdf
  larder rm -r documents/2023            # all keys that begin with 2023/
  larder rm -r documents/2023 --yes      # without asking
";

/// Delete an object, or with -r a folder of them
///
/// With -r: all objects whose keys begin with the folder and a slash, or all objects of a store. It says how much that is
/// and asks first, unless --yes is given.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Remove {
    /// The object; with -r the folder
    #[arg(value_name = "STORE/KEY")]
    place: PrefixAddress,
    /// Delete all objects in a folder
    #[arg(short, long)]
    recursive: bool,
    /// Do not ask
    #[arg(short, long, requires = "recursive")]
    yes: bool,
    /// Only if the object there has this etag
    #[arg(long, value_name = "ETAG", conflicts_with = "recursive")]
    if_match: Option<String>,
}

impl Remove {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let data = context.data().await?;
        let provider = data.store(&self.place.store).await?;
        if self.recursive {
            self.remove_folder(&*provider, context.output()).await
        } else {
            self.remove_object(&*provider, context.output()).await
        }
    }

    async fn remove_object(self, provider: &dyn StorageProvider, output: &Output) -> Result<(), Failure> {
        let place = self.place;
        let object: ObjectAddress = place.to_string().parse().map_err(|error: Error| {
            Failure::usage(error.to_string()).with_hint(format!("larder rm -r {} deletes all its objects", place.store))
        })?;
        let if_match = self.if_match.map(ETag::new).transpose().map_err(|error| Failure::usage(error.to_string()))?;
        provider.delete(&object.key, if_match.as_ref()).await.map_err(|error| {
            Failure::from(error)
                .hint_on(Exit::NotFound, || format!("larder rm -r {object} deletes what is in a folder of that name"))
                .hint_on(Exit::PreconditionFailed, || format!("larder stat {object} shows what is there"))
        })?;
        output.remark(format_args!("deleted {}", Printable(&object.to_string())));
        Ok(())
    }

    async fn remove_folder(self, provider: &dyn StorageProvider, output: &Output) -> Result<(), Failure> {
        let Self { place, yes, .. } = self;
        let folder = place.folder();
        let (keys, found) = find(provider, &folder).await?;
        let place = Printable(&place.to_string()).to_string();
        if keys.is_empty() {
            return Err(Failure::not_found(format!("there are no objects in {place}")));
        }
        if !yes {
            let question = format!("delete {} objects, {}, in {place}?", found.objects, output::size(found.bytes));
            confirm(output, &question)?;
        }

        let mut outcomes = stream::iter(&keys)
            .map(|key| async move { (key, provider.delete(key, None).await) })
            .buffer_unordered(CONCURRENCY);
        let mut deleted = 0;
        let mut failed = None;
        while let Some((key, outcome)) = outcomes.next().await {
            match outcome {
                Ok(()) => deleted += 1,
                // Someone else deleted it first, which is as good.
                Err(Error::NotFound { .. }) => {}
                Err(error) => {
                    let failure = Failure::from(error).about(&format!("can not delete \u{2018}{key}\u{2019}"));
                    output.failure(&failure);
                    failed = Some(failure.exit());
                    if failure.exit() == Exit::Unavailable {
                        break;
                    }
                }
            }
        }
        drop(outcomes);
        if output.for_programs() {
            output.document(&serde_json::json!({ "deleted": deleted }))?;
        } else {
            output.remark(format_args!("deleted {deleted} objects"));
        }
        failed.map_or(Ok(()), |exit| Err(Failure::silent(exit)))
    }
}

/// The keys that begin with `folder`.
async fn find(provider: &dyn StorageProvider, folder: &str) -> Result<(Vec<Key>, Usage), Failure> {
    let mut keys = Vec::new();
    let mut found = Usage::default();
    let mut query = ListQuery::with_prefix(folder);
    loop {
        let page = provider.list(&query).await?;
        let next = page.next().map(|key| key.as_str().to_owned());
        for object in page.objects {
            found.objects += 1;
            found.bytes += object.size;
            keys.push(object.key);
        }
        match next {
            Some(next) => query.start_after = Some(next),
            None => return Ok((keys, found)),
        }
    }
}

/// Asks on the terminal whether to go on.
pub(super) fn confirm(output: &Output, question: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(format!("{question} There is no terminal to ask on"))
            .with_hint("--yes deletes without asking"));
    }
    output.ask(format_args!("{question} [y/N]"));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(|error| Failure::stdio(&error))?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::new(Exit::Failed, "declined", "nothing was deleted")),
    }
}
