use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::host::{DataDir, Host, HostError};
use crate::object::StoreName;
use crate::provider::layers::Rekeyed;

const EXAMPLES: &str = "\
Examples:
  larder store rekey documents    # after `key` has become one of `old_keys`, and a new one `key`
";

/// Encrypt with a store's key what is encrypted with an old one, or not at all
///
/// The objects stay what they are: their etags and times too. It can be stopped at any time, and goes on where it was.
/// When it is done, no old key is needed any more.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Rekey {
    /// The store, whose configuration has `encryption`
    #[arg(value_name = "STORE")]
    store: StoreName,
}

#[derive(Debug, Serialize)]
struct Done<'a> {
    store: &'a StoreName,
    #[serde(flatten)]
    rekeyed: Rekeyed,
}

impl Rekey {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let Self { store } = self;
        let (config, output) = (context.config()?, context.output());
        if !config.stores.contains_key(&store) && !Host::file_stores(&config).map_err(failed)?.contains_key(&store) {
            return Err(
                Failure::not_found(format!("there is no store {store}")).with_hint("larder ls shows the stores")
            );
        }
        let Some(data_dir) = DataDir::lock(&config.data_dir).map_err(failed)? else {
            let message = format!("a host runs on {}", config.data_dir.display());
            return Err(Failure::new(Exit::Unavailable, "unavailable", message)
                .with_hint("this works while none does: end larder serve first"));
        };
        let is_hidden = output.is_quiet() || output.for_programs();
        let bar = if is_hidden { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        bar.set_style(
            ProgressStyle::with_template("{spinner} {pos} objects  {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        let mut progress = |line: &str| output.remark(line);
        let tell = |so_far: Rekeyed| {
            bar.set_position(so_far.moved + so_far.current);
            bar.set_message(format!("{} encrypted anew", so_far.moved));
        };
        let rekeyed = Host::rekey_store(&config, &data_dir, &store, &mut progress, tell).await;
        bar.finish_and_clear();
        let rekeyed = rekeyed.map_err(failed)?;
        if output.for_programs() {
            return output.document(&Done { store: &store, rekeyed });
        }
        let Rekeyed { moved, bytes, current } = rekeyed;
        let bytes = bytesize::ByteSize::b(bytes);
        output.line(format_args!("{store}: {moved} objects ({bytes}) encrypted anew, {current} had the current key"))
    }
}

fn failed(error: HostError) -> Failure {
    match error {
        HostError::Store { store, error } => Failure::from(error).about(&format!("the store {store}")),
        error => Failure::new(Exit::Failed, "internal", error.to_string()),
    }
}
