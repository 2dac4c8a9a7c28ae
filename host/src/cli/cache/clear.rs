use clap::Args;

use crate::cli::address::{ObjectAddress, PrefixAddress};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::open;
use crate::cli::output::Printable;
use crate::client::Invalidation;
use crate::error::Error;

const EXAMPLES: &str = "\
Examples:
  larder cache clear documents                      # all of it
  larder cache clear documents/reports/             # all keys that begin with reports/
  larder cache clear --key documents/reports/2024   # this key and no other
";

/// Have a store's cache forget what it knows
///
/// Nothing of the store itself changes: the next read of a key goes to the provider. It is for stores that others write
/// to behind the host's back; writes through the host need it never.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Clear {
    /// The store, and how the keys begin
    #[arg(value_name = "STORE[/PREFIX]")]
    place: PrefixAddress,
    /// The one key of this name, not all that begin so
    #[arg(long)]
    key: bool,
}

impl Clear {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let output = context.output();
        let PrefixAddress { store, prefix } = self.place.clone();
        let what = if self.key {
            let address: Result<ObjectAddress, Error> = self.place.to_string().parse();
            Invalidation::Key(address.map_err(|error| Failure::usage(error.to_string()))?.key)
        } else {
            Invalidation::Prefix(prefix)
        };
        let keys = open::host_at_work(context)?.invalidate(&store, &what).await?;
        if output.for_programs() {
            return output.document(&serde_json::json!({ "keys": keys }));
        }
        output.remark(format_args!("forgot {keys} keys of {}", Printable(store.as_str())));
        Ok(())
    }
}
