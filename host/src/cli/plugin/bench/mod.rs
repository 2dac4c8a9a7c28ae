//! `larder plugin bench`: what a plugin costs beside a native part of its kind.

mod eviction;
mod lifecycle;
mod provider;
mod report;
mod stopwatch;

use std::time::Instant;

use clap::Args;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use self::report::{Report, millis};
use super::subject::{Subject, not_loaded, runtime_in};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::config::Period;
use crate::plugin::{Kind, PluginError};

const EXAMPLES: &str = "\
Examples:
  larder plugin bench plugins/memory
  larder plugin bench plugins/sieve --each 1s
  larder plugin bench plugins/versions --store current=memory --store history=memory --json
";

/// Measure what a plugin costs, beside a native part of its kind
///
/// Times each operation as the host calls it: a provider beside the memory provider, an eviction strategy beside LRU, a
/// lifecycle policy beside a small one in Rust. What it says is worth something in a release build of larder, on a
/// machine that does nothing else.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Bench {
    #[command(flatten)]
    subject: Subject,
    /// How long each operation is measured, on either side
    #[arg(long, value_name = "TIME", default_value = "200ms")]
    each: Period,
}

impl Bench {
    pub(super) async fn run(self, output: &Output) -> Result<(), Failure> {
        let Self { subject, each } = self;
        let component = subject.component(output).await?;
        let options = subject.options()?;
        let folder =
            tempfile::tempdir().map_err(|error| Failure::file("can not write to", &std::env::temp_dir(), &error))?;
        let runtime = runtime_in(folder.path().to_owned())?;
        let load = async || {
            let begun = Instant::now();
            let loaded = runtime.load(&component, options.clone()).await;
            Ok::<_, Failure>((loaded.map_err(|error| not_loaded(&component, &error))?, millis(begun.elapsed())))
        };
        let (first, compiled_load_ms) = load().await?;
        drop(first);
        let (plugin, load_ms) = load().await?;
        let kind = plugin.interface().kind;
        output.remark(format_args!("measuring {kind}; each operation takes {each}, on either side"));
        if cfg!(debug_assertions) {
            output.remark("this larder is a debug build: what it measures says little");
        }
        let memory = || {
            let status = plugin.status();
            status.memory.checked_div(status.instances).unwrap_or(0)
        };
        let (mut fresh, mut in_the_end, budget) = (memory(), None, each.as_duration());
        let wrong = |error: PluginError| Failure::usage(error.to_string());
        let (native, operations) = match kind {
            Kind::Provider => ("memory", provider::measure(plugin.provider().map_err(wrong)?, budget).await),
            Kind::Eviction => {
                let factory = plugin.eviction().map_err(wrong)?;
                // Instances belong to the shards of a cache, and there was none until now.
                let shard = block_in_place(|| factory.open(1))?;
                fresh = memory();
                drop(shard);
                ("lru", alone(eviction::measure(&*factory, budget, || in_the_end = Some(memory()))))
            }
            Kind::Lifecycle => {
                let policy = plugin.lifecycle().map_err(wrong)?;
                ("native", alone(lifecycle::measure(&*policy, budget)))
            }
        };
        let report = Report {
            plugin: plugin.name().to_owned(),
            kind: kind.as_str(),
            native,
            component_bytes: std::fs::metadata(&component).map_or(0, |file| file.len()),
            compiled_load_ms,
            load_ms,
            fresh_memory_bytes: fresh,
            memory_bytes: in_the_end.unwrap_or_else(memory),
            operations: operations?,
        };
        report.print(output)
    }
}

/// Runs what calls a plugin of the synchronous kinds, which may keep its thread busy.
fn alone<T>(measurement: impl Future<Output = T>) -> T {
    block_in_place(|| Handle::current().block_on(measurement))
}
