use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::address::{ObjectAddress, Pair};
use super::content;
use super::context::Context;
use super::failure::{Exit, Failure};
use super::output::{self, Output, Printable};
use super::progress::Progress;
use crate::error::Error;
use crate::object::{Attributes, ETag, Tags, UserMetadata};
use crate::provider::{Condition, StorageProvider, StoreOptions};

const EXAMPLES: &str = "\
Examples:
  larder put documents/report.pdf report.pdf --content-type application/pdf
  tar cz photos | larder put documents/photos.tgz --tag kind=backup
  larder put documents/lock /dev/null --if-absent  # exit code 4 if it is there
";

/// Store a file, or what comes from standard input, as an object
///
/// Replaces the object if there is one; its bytes, tags and metadata are then those given here. The write happens whole
/// or not at all. Prints the object's etag, which names this write.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Put {
    /// Where it goes: all behind the first slash is the key
    #[arg(value_name = "STORE/KEY")]
    object: ObjectAddress,
    /// What to store; `-` is standard input
    #[arg(default_value = "-")]
    file: PathBuf,
    /// The media type, such as `text/plain; charset=utf-8`
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// A tag; may be given up to 50 times
    #[arg(long = "tag", value_name = "NAME=VALUE")]
    tags: Vec<Pair>,
    /// User metadata; names are in lower case
    #[arg(long = "meta", value_name = "NAME=VALUE")]
    user_metadata: Vec<Pair>,
    /// Only if there is no such object
    #[arg(long, conflicts_with = "if_match")]
    if_absent: bool,
    /// Only if the object there has this etag
    #[arg(long, value_name = "ETAG")]
    if_match: Option<String>,
}

impl Put {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let data = context.data().await?;
        let provider = data.store(&self.object.store).await?;
        self.run_on(&*provider, context.output()).await
    }

    async fn run_on(self, provider: &dyn StorageProvider, output: &Output) -> Result<(), Failure> {
        let Self { object, file, content_type, tags, user_metadata, if_absent, if_match } = self;
        let usage = |error: Error| Failure::usage(error.to_string());
        let attributes = Attributes {
            content_type,
            user_metadata: UserMetadata::from_pairs(user_metadata.into_iter().map(Into::into)).map_err(usage)?,
            tags: Tags::from_pairs(tags.into_iter().map(Into::into)).map_err(usage)?,
        };
        let condition = match if_match {
            Some(etag) => Condition::IfMatch(ETag::new(etag).map_err(usage)?),
            None if if_absent => Condition::IfAbsent,
            None => Condition::None,
        };
        let body = if file == Path::new("-") { content::of_stdin() } else { content::of_file(&file).await? };

        let options = StoreOptions { attributes, condition, ..StoreOptions::default() };
        let progress = Arc::new(Progress::begin(output));
        let stored = content::store(provider, &object.key, body, options, &progress).await;
        progress.end();
        let stored = stored.map_err(|failure| {
            failure.hint_on(Exit::PreconditionFailed, || format!("larder stat {object} shows what is there"))
        })?;
        if output.for_programs() {
            return output.document(&stored);
        }
        let text = object.to_string();
        output.remark(format_args!("stored {} as {}", output::size(stored.size), Printable(&text)));
        output.line(&stored.etag)
    }
}
