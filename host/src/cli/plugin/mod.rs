//! `larder plugin`: a file for each of its commands.

mod bench;
mod build;
mod componentize;
mod inspect;
mod list;
mod new;
mod pull;
mod reload;
mod run;
mod subject;
mod test;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::context::Context;
use super::failure::Failure;
use crate::oci::Reference;
use inspect::Component;
pub(in crate::cli) use subject::{Opened, Subject, json};

const EXAMPLES: &str = "\
Examples:
  larder plugin new coolest-first --kind eviction
  larder plugin build plugins/sieve         # a crate becomes a component
  larder plugin inspect sieve.wasm          # what it is, and what it wants
  larder plugin test plugins/sieve          # whether it keeps the contract
  larder plugin run plugins/sieve --capacity 3 'a b c a d e a'
  larder plugin bench plugins/sieve         # what a call costs
  larder plugin pull ghcr.io/acme/sieve:1.2 # fetched, and its digest told
  larder plugin list                        # what the configuration names, and how it does
  larder plugin reset sieve                 # starts again after it was quarantined
  larder plugin reload                      # changed plugins are put to work
";

/// Make, build, test and measure plugins, and look after those at work
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct PluginCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    New(new::New),
    /// Build plugin crates into components
    ///
    /// Compiles each crate for wasm32-unknown-unknown with the cargo that is installed, and installs that target through
    /// rustup if it is missing. The component comes to stand beside what cargo made.
    Build {
        /// The folders of the crates
        #[arg(required = true, value_name = "DIR")]
        dirs: Vec<PathBuf>,
    },
    Componentize(componentize::Componentize),
    /// Say what a component is, what it wants, and how it was made, without running it
    Inspect {
        /// The component: a .wasm file, or a reference oci://REGISTRY/REPOSITORY[:TAG][@DIGEST]
        component: Component,
    },
    Test(Box<test::Test>),
    Run(Box<run::Run>),
    Bench(Box<bench::Bench>),
    /// Fetch a component from a registry into the data folder, so that a host finds it there
    ///
    /// The component and its manifest are held against their digests, and kept under them. Credentials come from the
    /// variable DOCKER_AUTH_CONFIG, or from Docker's config.json.
    Pull {
        /// Which: [oci://]REGISTRY/REPOSITORY[:TAG][@DIGEST]
        reference: Reference,
    },
    /// List the plugins that the configuration names; while a host runs, with how they do and why one does not
    List,
    /// Have a running host start a plugin again that is quarantined or backs off
    Reset {
        /// The plugin's name in the configuration
        plugin: String,
    },
    /// Have a running host put to work what changed: components, sources, and the configuration of plugins
    ///
    /// A changed plugin is compiled and started aside, and takes the place of the old one when that worked; calls in flight
    /// end on the old one. If it does not, the old one goes on. What a plugin kept in its own memory ends with it.
    Reload,
}

impl PluginCommand {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        match self.action {
            Action::New(new) => new.run(context.output()),
            Action::Build { dirs } => build::build(&dirs, context.output()).await,
            Action::Componentize(componentize) => componentize.run(context.output()).await,
            Action::Inspect { component } => inspect::inspect(&component, context).await,
            Action::Pull { reference } => pull::pull(&reference, context).await,
            Action::Test(test) => test.run(context.output()).await,
            Action::Run(run) => run.run(context).await,
            Action::Bench(bench) => bench.run(context.output()).await,
            Action::List => list::list(context).await,
            Action::Reset { plugin } => reload::reset(context, &plugin).await,
            Action::Reload => reload::reload(context).await,
        }
    }
}
