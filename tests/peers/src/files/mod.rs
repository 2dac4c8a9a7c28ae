//! larder's files beside a program that takes care of its own: a temporary file, synced, renamed, and its folder synced.

mod report;
mod scale;
mod sides;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use bytesize::ByteSize;
use clap::{Args, value_parser};
use serde::Serialize;
use tokio::runtime::Runtime;

use self::report::Report;
use self::sides::{Operation, Side, Sides};
use crate::machine::Machine;

const SIZES: [usize; 3] = [1 << 10, 64 << 10, 8 << 20];
const CLIENTS: [usize; 2] = [1, 32];
/// How many objects each client writes over and reads, but for large ones.
const KEYS: usize = 200;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Print JSON in place of tables.
    #[arg(long)]
    json: bool,
    /// How many rounds to measure; the tables show their median.
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long a round is, in milliseconds.
    #[arg(long, default_value_t = 2000)]
    round: u64,
    /// The folder whose disk is measured, in a temporary folder that is removed in the end.
    #[arg(long, default_value = ".")]
    folder: PathBuf,
    /// Measure only operations whose name contains this, such as "put", "64 KiB" or "32 clients".
    #[arg(long, default_value = "")]
    only: String,
    /// Measure what this many small objects cost, in place of all else.
    #[arg(long)]
    keys: Option<u64>,
}

/// An operation, and how often a second each side did it.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    /// In the order of [`Side::ALL`]: of every round.
    per_second: Vec<Vec<f64>>,
}

/// Measures what the arguments say, and prints it.
///
/// # Errors
/// A disk that can not be written, or a side that does not do what it is asked to.
pub(crate) fn run(arguments: Arguments) -> Result<()> {
    let folder = tempfile::tempdir_in(&arguments.folder)?;
    let runtime = Arc::new(Runtime::new()?);
    if let Some(keys) = arguments.keys {
        return scale::measure(&runtime, folder.path(), keys);
    }
    let sides = Sides::open(&runtime, folder.path())?;
    let mut rows = Vec::new();
    for size in SIZES {
        let bytes: Bytes = (0..size).map(|position| (position * 31 % 251) as u8).collect();
        let keys = (KEYS * (64 << 10)).div_ceil(size).min(KEYS);
        for clients in CLIENTS {
            for operation in Operation::ALL {
                let of = if clients == 1 { "1 client".to_owned() } else { format!("{clients} clients") };
                let name = format!("{}, {}, {of}", operation.name(), ByteSize::b(size as u64));
                if !name.contains(&arguments.only) {
                    continue;
                }
                eprintln!("measuring: {name}");
                let mut per_second = vec![Vec::new(); Side::ALL.len()];
                for side in Side::ALL {
                    sides.fill(side, clients, keys, &bytes)?;
                }
                for _ in 0..arguments.rounds {
                    for (side, figures) in Side::ALL.into_iter().zip(&mut per_second) {
                        let time = Duration::from_millis(arguments.round);
                        figures.push(sides.measure(side, operation, clients, keys, &bytes, time)?);
                    }
                }
                rows.push(Row { name, per_second });
            }
        }
    }
    let report = Report { machine: Machine::new()?, rounds: arguments.rounds, round_ms: arguments.round, rows };
    match arguments.json {
        true => println!("{}", serde_json::to_string_pretty(&report)?),
        false => println!("{report}"),
    }
    Ok(())
}
