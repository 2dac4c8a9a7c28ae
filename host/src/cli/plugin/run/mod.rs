//! `larder plugin run`: calls of a plugin from the shell.

mod eviction;
mod lifecycle;
mod provider;
mod replay;

use std::io::{self, IsTerminal};
use std::num::NonZeroU64;

use clap::Args;

use super::subject::{Opened, Subject};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::plugin::Kind;

const EXAMPLES: &str = "\
Examples:
  larder plugin run plugins/memory 'put plugin/a report.pdf' 'ls plugin' 'get plugin/a --range 0-9'
  larder plugin run plugins/versions --store current=memory --store history=memory < script
  larder plugin run plugins/sieve --capacity 3 'a b c a d e a'
  larder plugin run plugins/sieve --capacity 1000 --zipf 100000
  larder plugin run plugins/retention --settings '{\"rules\": [{\"delete_after\": \"30d\"}]}' 'log --age 40days'

Operations:
  Each is one argument, or one line of standard input. Words are split as a shell does.
  provider   the commands put, get, cp, ls, stat, tag and rm. The plugin is the store
             `plugin`; stores granted to it are there under their own names
  eviction   reads of a cache: KEY or KEY=WEIGHT, as many as there are. What is not
             there comes in; !KEY goes
  lifecycle  an object: KEY [--size SIZE] [--age TIME] [--created TIME] [--read TIME]
             [--type TYPE] [--tag NAME=VALUE]...; times count back from now
";

/// Call a plugin from the shell: store and read, replay reads of a cache, ask for decisions
///
/// All operations run on one plugin, one after the other, up to the first that fails: what is kept in memory lasts
/// until then. Nothing else is there but the stores that --store grants.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Run {
    #[command(flatten)]
    subject: Subject,
    /// What to do, one argument each; absent: the lines of standard input
    #[arg(value_name = "OPERATION")]
    operations: Vec<String>,
    /// How much the cache holds that an eviction strategy works for
    #[arg(long, value_name = "WEIGHT", default_value = "100")]
    capacity: NonZeroU64,
    /// Have so many reads of random keys for operations, of which few are read often: ten times as many keys as the
    /// cache holds, Zipf's law
    #[arg(long, value_name = "READS", conflicts_with = "operations")]
    zipf: Option<u32>,
}

impl Run {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let Self { subject, operations, capacity, zipf } = self;
        // Read at once, so that what an operation reads from standard input is not taken for another.
        let operations = if operations.is_empty() && zipf.is_none() { script()? } else { operations };
        let operations = operations.iter().map(|text| Words::split(text)).collect::<Result<Vec<_>, _>>()?;
        let Opened { plugin, granted } = subject.open(context.output()).await?;
        let failed = |error: crate::plugin::PluginError| Failure::usage(error.to_string());
        match plugin.interface().kind {
            kind if zipf.is_some() && kind != Kind::Eviction => {
                Err(Failure::usage(format!("--zipf is for an eviction strategy, and this is {kind}")))
            }
            Kind::Provider => provider::run(plugin.provider().map_err(failed)?, granted, operations, context).await,
            Kind::Eviction => {
                let factory = plugin.eviction().map_err(failed)?;
                eviction::run(&*factory, &operations, capacity.get(), zipf, context.output())
            }
            Kind::Lifecycle => lifecycle::run(&*plugin.lifecycle().map_err(failed)?, operations, context.output()),
        }
    }
}

/// An operation, taken apart.
#[derive(Debug)]
struct Words {
    text: String,
    words: Vec<String>,
}

impl Words {
    fn split(text: &str) -> Result<Self, Failure> {
        match shlex::split(text) {
            Some(words) if !words.is_empty() => Ok(Self { text: text.to_owned(), words }),
            Some(_) => Err(Failure::usage("an operation is empty")),
            None => Err(Failure::usage(format!("a quote is not closed in: {text}"))),
        }
    }
}

/// The operations on standard input: a line each, but for empty ones and those that begin with #.
fn script() -> Result<Vec<String>, Failure> {
    if io::stdin().is_terminal() {
        return Err(Failure::usage("there is nothing to do: give operations, or a script on standard input")
            .with_hint("larder plugin run --help shows the operations of each kind of plugin"));
    }
    let text = io::read_to_string(io::stdin()).map_err(|error| Failure::stdio(&error))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}
