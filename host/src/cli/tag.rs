use clap::{Args, Subcommand};

use super::address::{ObjectAddress, Pair};
use super::context::Context;
use super::failure::{Exit, Failure};
use super::output::{self, Output, Printable};
use crate::object::{AttributeChanges, Tags};
use crate::provider::StorageProvider;

const EXAMPLES: &str = "\
Examples:
  larder tag documents/report.pdf
  larder tag documents/report.pdf set kind=report owner=Zo\u{eb}
  larder tag documents/report.pdf rm owner
";

/// Show or change the tags of an object
///
/// Prints the tags that the object has in the end. Bytes, times and etag stay as they are.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Tag {
    /// The object: all behind the first slash is the key
    #[arg(value_name = "STORE/KEY")]
    object: ObjectAddress,
    #[command(subcommand)]
    change: Option<Change>,
}

#[derive(Debug, Subcommand)]
enum Change {
    /// Set tags and leave the others as they are
    Set {
        /// The tags to set
        #[arg(value_name = "NAME=VALUE", required = true)]
        tags: Vec<Pair>,
    },
    /// Remove tags; one that is not there is no error
    Rm {
        /// The names of the tags to remove
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
    },
}

impl Change {
    fn apply(self, tags: &mut Tags) -> Result<(), Failure> {
        match self {
            Self::Set { tags: set } => set
                .into_iter()
                .try_for_each(|Pair { name, value }| tags.set(name, value))
                .map_err(|error| Failure::usage(error.to_string())),
            Self::Rm { names } => {
                for name in names {
                    tags.remove(&name);
                }
                Ok(())
            }
        }
    }
}

impl Tag {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let data = context.data().await?;
        let provider = data.store(&self.object.store).await?;
        self.run_on(&*provider, context.output()).await
    }

    async fn run_on(self, provider: &dyn StorageProvider, output: &Output) -> Result<(), Failure> {
        let Self { object: address, change } = self;
        let explain = |error| {
            Failure::from(error)
                .hint_on(Exit::NotFound, || format!("larder ls -r {} lists what is there", address.store))
                .hint_on(Exit::PreconditionFailed, || "the object was replaced meanwhile: try again".into())
        };
        let mut metadata = provider.metadata(&address.key).await.map_err(explain)?;
        if let Some(change) = change {
            let mut tags = metadata.attributes.tags;
            change.apply(&mut tags)?;
            let changes = AttributeChanges { tags: Some(tags), ..AttributeChanges::default() };
            metadata = provider.update(&address.key, changes, Some(&metadata.etag)).await.map_err(explain)?;
        }
        let tags = &metadata.attributes.tags;
        if output.for_programs() {
            return output.document(tags);
        }
        if tags.is_empty() {
            output.remark(format_args!("{} has no tags", Printable(&address.to_string())));
            return Ok(());
        }
        output.line(output::table(&["TAG", "VALUE"], tags.iter().map(|(name, value)| [name, value])))
    }
}
