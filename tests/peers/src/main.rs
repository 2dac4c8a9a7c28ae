//! Measures larder beside its peers, in one run: what a call through a plugin costs, next to native Rust, to wasmtime
//! called directly, and to extism; and what a cache hit costs, next to a bare quick_cache. `larder-peers cache` measures
//! the cache alone, beside other caches, `larder-peers files` the file provider, beside plain files, and `larder-peers s3`
//! the S3 front door, beside other servers.
//!
//! Every side does the same work. A store takes a key, a body and what a writer says of it, and returns metadata; a
//! retrieve returns metadata and body. The checksum of a body is computed once on its way in and once on its way out, as
//! larder's contract wants, except by the bare wasmtime, which shows the call and nothing else. All four keep objects in
//! a `BTreeMap`; the three guests are built by the same rustc for `wasm32-unknown-unknown`.
//!
//! extism is the newest that rustc 1.95 builds: 1.30.0, on wasmtime 43. From 1.41 it takes wasmtime 49, which wants rustc
//! 1.96. It brings its wasmtime into this package, which is why this package is a workspace of its own.
//!
//! What is measured is the CPU time of the calling thread, which on an idle machine is wall time, since nothing here
//! waits; on a busy one it still is what the calls cost. No result fails anything.

mod cache;
mod files;
mod guests;
mod lifecycle;
mod machine;
mod memory;
mod monitoring;
mod report;
mod s3;
mod sides;
mod start;
mod stopwatch;
#[path = "../guest/src/wire.rs"]
mod wire;
mod workload;

use std::time::Duration;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::guests::Guests;
use crate::machine::Machine;
use crate::report::Report;
use crate::sides::Sides;
use crate::stopwatch::{Side, Stopwatch};

/// Measures larder beside native code, a bare wasmtime and extism: what a call through a plugin costs, and a cache hit.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    boundaries: Boundaries,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures larder's cache beside quick_cache, moka and foyer.
    ///
    /// Every side answers the same requests, which look a key up and insert it if it is missing: first once to warm up,
    /// then round by round in turn. The tables show ns of CPU time a request, how many requests hit, how larder's figures
    /// compare to those of its peers, and what a million entries take in memory.
    Cache(cache::Arguments),
    /// Measures larder's file provider beside a program that syncs and renames its files by itself.
    ///
    /// Both keep the same objects on the same disk, in this process: round by round in turn, for one client and for many.
    /// With --keys it tells what so many small objects cost.
    Files(files::Arguments),
    /// Measures larder's S3 front door beside s3s-fs, garage, and a plain copy between a socket and a file.
    ///
    /// Every server is a process with a folder on the same disk, asked by the same client: round by round in turn.
    S3(s3::Arguments),
    /// Measures how fast a store is planned: by rules of the configuration, and by a plugin with the same rules;
    /// and a run of a rule that looks at what is due, beside one that walks.
    Lifecycle(lifecycle::Arguments),
    /// Measures what it costs a cached read that it is counted.
    Monitoring(monitoring::Arguments),
}

#[derive(Args, Debug)]
struct Boundaries {
    /// Print JSON, with the figure of every round, in place of a table.
    #[arg(long)]
    json: bool,
    /// How many rounds to measure; the table shows their median.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// The least time of a round, in milliseconds.
    #[arg(long, default_value_t = 300)]
    round: u64,
    /// Measure only operations whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Measure only this side, for a profiler.
    #[arg(long, value_enum)]
    side: Option<Side>,
    /// Print the memory of an idle instance of this kind, of the side that is named, in bytes.
    #[arg(long, value_enum, hide = true, requires = "side")]
    idle_of: Option<memory::Kind>,
}

fn main() -> Result<()> {
    let Arguments { command, boundaries } = Arguments::parse();
    machine::tune()?;
    match command {
        None => boundaries.run(),
        Some(Command::Cache(arguments)) => cache::run(arguments),
        Some(Command::Files(arguments)) => files::run(arguments),
        Some(Command::S3(arguments)) => s3::run(arguments),
        Some(Command::Lifecycle(arguments)) => lifecycle::run(&arguments),
        Some(Command::Monitoring(arguments)) => monitoring::run(&arguments),
    }
}

impl Boundaries {
    fn run(&self) -> Result<()> {
        let guests = Guests::build()?;
        if let (Some(kind), Some(side)) = (self.idle_of, self.side) {
            println!("{}", memory::of_instance(&Sides::new(&guests)?, kind, side)?);
            return Ok(());
        }
        let stopwatch = Stopwatch { rounds: self.rounds, round: Duration::from_millis(self.round) };
        let mut rows = Vec::new();
        let idle = if "idle".contains(&self.only) { memory::idle()? } else { Vec::new() };
        let sides = Sides::new(&guests)?;
        let start = if "start".contains(&self.only) { start::start(&sides)? } else { Vec::new() };
        for mut operation in sides.operations()? {
            if operation.name.contains(&self.only) {
                operation.works.retain(|(side, _)| self.side.is_none_or(|only| only == *side));
                eprintln!("measuring: {}", operation.name);
                rows.push(stopwatch.measure(operation)?);
            }
        }
        let round_ms = stopwatch.round.as_millis();
        let report = Report { machine: Machine::new()?, rounds: self.rounds, round_ms, rows, idle, start };
        if self.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            println!("{report}");
        }
        Ok(())
    }
}
