//! `larder cache simulate`: eviction strategies side by side, on the same requests.

mod contestant;
mod progress;
mod report;
mod requests;

use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;

use clap::Args;
use tokio::task::spawn_blocking;

use self::contestant::{Contestant, Contestants};
use self::progress::Progress;
use self::report::{Replayed, Report, Row};
use self::requests::Requests;
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::Output;
use crate::simulate::{Capacity, Limit, PlotFile, Simulation, Strategy, Trace};

const EXAMPLES: &str = "\
Examples:
  larder cache simulate --synthetic zipf                  # all native strategies
  larder cache simulate -t web12.trace.xz -f u32be -c 687,1375,3439
  larder cache simulate -t web12.trace.xz -f u32be -s lru,sieve,plugins/sieve --plot hits.svg
  larder cache simulate -t cluster52.oracleGeneral.zst -c 64MiB,1GiB,10%
  larder cache simulate -t access.csv --columns key=url,size=bytes --json
  larder cache simulate --synthetic loop --synthetic scan -s lru,mine.wasm
  larder cache simulate --synthetic zipf -s 'mine.wasm={\"window\":1},mine.wasm={\"window\":9}'

Formats, which the name of a file may say in front of .xz, .zst or .gz:
  u32be           .u32 .u32be       keys of 4 bytes, big-endian
  u64be           .u64 .u64be       keys of 8 bytes, big-endian
  text            .txt .keys        a key a line
  csv             .csv .tsv         columns; --columns, or a header, says which
  oracle-general  .oracleGeneral    libCacheSim's records of time, key, size and next access
  lirs            .lirs .trc        a block number a line; lines of * are left out
  arc             .arc .lis         first block, count, two numbers that do not count

Each request is a hit if its key is there, and if not, the key comes in. `unbounded` is what a
cache without bounds comes to: no strategy hits more often. * marks the best at a capacity.
";

/// Replay requests on caches: how often each eviction strategy hits, at each capacity
///
/// The requests are those of traces, or made up. Each strategy has a cache to itself, of one shard, and hears of everything
/// in the order in which it happens.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Simulate {
    #[command(flatten)]
    requests: Requests,
    /// What drops entries: lru, fifo and their kin, a component (a .wasm file), or the folder of a plugin crate, which is
    /// built if it is stale. PLUGIN=JSON gives it settings. Absent: all native ones
    #[arg(short, long = "strategy", value_name = "STRATEGY,...", help_heading = "Caches")]
    strategies: Vec<Contestants>,
    /// How much the caches hold: entries (1000), bytes (64MiB), or a share of what the trace touches (10%), which is of its
    /// bytes if it has sizes and of its keys if not
    #[arg(
        short,
        long = "capacity",
        value_name = "CAPACITY,...",
        value_delimiter = ',',
        default_value = "1%,5%,10%,25%",
        help_heading = "Caches"
    )]
    capacities: Vec<Capacity>,
    /// How many caches run at a time; absent: as many as there are cores. With 1, times are not disturbed
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..), help_heading = "Caches")]
    threads: Option<u16>,
    /// Draw hit ratio over capacity
    #[arg(long, value_name = "FILE.svg|FILE.png", value_parser = plot_file, help_heading = "Output")]
    plot: Option<PlotFile>,
}

fn plot_file(name: &str) -> Result<PlotFile, String> {
    let file = PlotFile::new(name).map_err(|error| error.to_string())?;
    // Better said now than when all is replayed.
    match file.path().parent() {
        Some(folder) if folder != Path::new("") && !folder.is_dir() => {
            Err(format!("there is no folder {}", folder.display()))
        }
        _ => Ok(file),
    }
}

impl Simulate {
    pub(super) async fn run(self, output: &Output) -> Result<(), Failure> {
        let Self { requests, strategies, capacities, threads, plot } = self;
        let contestants: Vec<Contestant> = strategies.into_iter().flat_map(|list| list.0).collect();
        // A plugin lives as long as it is simulated.
        let (strategies, _plugins) = contestant::load(contestants, output).await?;
        let strategies: Arc<[Strategy]> = strategies.into();
        let threads = threads.map_or_else(|| available_parallelism().map_or(1, usize::from), usize::from);
        if cfg!(debug_assertions) {
            output.remark("this larder is a debug build: the times that it measures say little");
        }
        let mut report = Report::default();
        for source in requests.sources() {
            let trace = requests.read(&source, output).await?;
            let capacities = limits(&capacities, &trace)?;
            let replayed =
                replay(source.to_string(), trace, Arc::clone(&strategies), capacities, threads, output).await?;
            if !output.for_programs() {
                if !report.traces.is_empty() {
                    output.line("")?;
                }
                replayed.print(output)?;
                output.flush()?;
            }
            report.traces.push(replayed);
        }
        if let Some(plot) = &plot {
            let drawn = plot.draw(&report.charts());
            drawn.map_err(|error| Failure::new(Exit::Failed, "file", error.to_string()))?;
            output.remark(format_args!("drew {}", plot.path().display()));
        }
        if output.for_programs() { output.document(&report) } else { Ok(()) }
    }
}

/// What each capacity comes to, with how it was asked for; each but once.
fn limits(capacities: &[Capacity], trace: &Trace) -> Result<Vec<(Capacity, Limit)>, Failure> {
    let mut limits: Vec<(Capacity, Limit)> = Vec::new();
    for &capacity in capacities {
        let limit = capacity.of(trace).map_err(|error| Failure::usage(error.to_string()))?;
        if limits.iter().all(|(_, other)| *other != limit) {
            limits.push((capacity, limit));
        }
    }
    Ok(limits)
}

async fn replay(
    name: String,
    trace: Trace,
    strategies: Arc<[Strategy]>,
    capacities: Vec<(Capacity, Limit)>,
    threads: usize,
    output: &Output,
) -> Result<Replayed, Failure> {
    let caches = strategies.len() * capacities.len();
    let progress = Progress::of_requests(&name, trace.len() * caches as u64, output);
    let bar = progress.clone();
    // Not on the thread that listens for Ctrl-C.
    let replayed = spawn_blocking(move || {
        let limits: Vec<Limit> = capacities.iter().map(|(_, limit)| *limit).collect();
        let simulation = Simulation { trace: &trace, strategies: &strategies, capacities: &limits };
        let cells = simulation.run(threads, &|count| bar.advance(count))?;
        let rows = capacities.into_iter().zip(cells.chunks(strategies.len()));
        let rows = rows.map(|((asked, limit), cells)| Row::new(asked, limit, cells)).collect();
        let strategies = strategies.iter().map(|strategy| strategy.name.clone()).collect();
        Ok(Replayed::new(name, &trace, strategies, rows))
    });
    let replayed = replayed.await;
    progress.end();
    let replayed = replayed.map_err(|error| Failure::new(Exit::Failed, "internal", error.to_string()))?;
    replayed.map_err(|error: crate::simulate::SimulationError| {
        Failure::new(Exit::Failed, "strategy", error.to_string())
            .with_hint("larder plugin test holds a plugin to the contract of its kind")
    })
}

#[cfg(test)]
mod tests;
