//! larder's cache beside the caches that Rust programs use: what a look-up costs that inserts on a miss, how many of them
//! hit, and what an entry takes in memory.

mod footprint;
mod race;
mod report;
mod requests;
mod sides;
mod values;

use std::path::PathBuf;

use anyhow::Result;
use bytes::Bytes;
use clap::{Args, value_parser};

use self::race::{Course, Row};
use self::report::Report;
use self::requests::Requests;
use self::sides::{Side, Sides};
use self::values::{Value, Values};
use crate::machine::Machine;

/// The capacities of the caches that a Zipf distribution of ten times as many keys is asked of.
const ZIPF: [usize; 3] = [1_000, 10_000, 100_000];
/// A tenth and a quarter of the keys of the trace.
const WEB12: [usize; 2] = [1_375, 3_439];
const THREADS: [usize; 2] = [1, 2];

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Print JSON, with the figure of every round, in place of tables.
    #[arg(long)]
    json: bool,
    /// How many rounds to measure; the tables show their median.
    #[arg(long, default_value_t = 9, value_parser = value_parser!(u32).range(1..))]
    rounds: u32,
    /// About how many requests a round has.
    #[arg(long, default_value_t = 1_000_000, value_parser = value_parser!(u64).range(1..))]
    requests: u64,
    /// Measure only rows whose name contains this, such as "Zipf 10,000", "4 KiB", "1 thread" or "footprint".
    #[arg(long, default_value = "")]
    only: String,
    /// Measure only these sides; may be given several times.
    #[arg(long, value_enum)]
    side: Vec<Side>,
    /// A trace of requests: big-endian keys of 32 bits, compressed by xz. Without it, its rows are left out.
    #[arg(long, env = "WEB12_TRACE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/traces/web12.trace.xz"))]
    trace: PathBuf,
    /// Print only what a million entries of one side take, in bytes an entry: what this program asks of itself, since
    /// memory tells the truth only in a fresh process.
    #[arg(long, value_enum, hide = true)]
    footprint_of: Option<Side>,
}

/// Measures what the arguments say, and prints it.
///
/// # Errors
/// A side that does not do what it is asked to, or a trace that can not be read.
pub(crate) fn run(arguments: Arguments) -> Result<()> {
    if let Some(side) = arguments.footprint_of {
        println!("{}", footprint::measure(side)?);
        return Ok(());
    }
    let chosen: Vec<Side> = if arguments.side.is_empty() { Side::ALL.to_vec() } else { arguments.side };
    let sides = Sides::load(&chosen)?;
    let requests = usize::try_from(arguments.requests)?;
    let mut workloads = Vec::new();
    for capacity in ZIPF {
        workloads.push(Requests::zipf(capacity, requests)?);
    }
    match arguments.trace.exists() {
        true => workloads.extend(Requests::trace("web12", &arguments.trace, &WEB12, requests)?),
        false => eprintln!("WITHOUT THE TRACE: {} is not there, see --trace", arguments.trace.display()),
    }
    let mut rows = Vec::new();
    for threads in THREADS {
        for workload in &workloads {
            let course = Course { sides: &sides, workload, threads, rounds: arguments.rounds, only: &arguments.only };
            rows.extend(measure::<u64>(&course)?);
            rows.extend(measure::<Bytes>(&course)?);
        }
    }
    let footprints =
        if "footprint".contains(&arguments.only) { footprint::in_fresh_processes(&chosen)? } else { Vec::new() };
    let report = Report { machine: Machine::new()?, rounds: arguments.rounds, requests, rows, footprints };
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{report}");
    }
    Ok(())
}

/// Measures a course with values of one type, unless that is not asked for.
fn measure<V: Value>(course: &Course<'_>) -> Result<Option<Row>> {
    let name = course.name::<V>();
    if !name.contains(course.only) {
        return Ok(None);
    }
    eprintln!("measuring: {name}");
    course.run(&Values::<V>::new()).map(Some)
}
