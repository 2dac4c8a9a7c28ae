//! larder's S3 front door beside other S3 servers, and beside a program that copies between a socket and a file.

mod client;
mod large;
mod plain;
mod report;
mod servers;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use bytesize::ByteSize;
use clap::{Args, value_parser};
use serde::Serialize;
use tokio::runtime::Runtime;

use self::client::{Client, Operation};
use self::report::Report;
use self::servers::{Server, Side};
use crate::machine::Machine;

const SIZES: [usize; 3] = [1 << 10, 64 << 10, 8 << 20];
const CLIENTS: [usize; 2] = [1, 32];
/// How many objects each client writes over and reads, but for large ones.
const KEYS: usize = 100;
/// How many of the keys that are listed are stored before it is told how many are.
const FILLED_AT_ONCE: usize = 100_000;

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
    /// Measure what one object of this size costs in memory, such as 4GiB, in place of all else.
    #[arg(long)]
    large: Option<ByteSize>,
    /// Measure a page of 1,000 keys among this many, in place of all else.
    #[arg(long)]
    keys: Option<u64>,
    /// larder itself.
    #[arg(long, default_value = "../../target/release/larder")]
    larder: PathBuf,
    /// `cargo install s3s-fs --version 0.14.1 --features binary`
    #[arg(long, default_value = "s3s-fs")]
    s3s_fs: PathBuf,
    /// `cargo install garage --version 2.5.0`
    #[arg(long, default_value = "garage")]
    garage: PathBuf,
}

/// An operation, and how often a second each side did it.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    /// In the order of the report's sides: of every round.
    per_second: Vec<Vec<f64>>,
}

/// Measures what the arguments say, and prints it.
///
/// # Errors
/// A server that does not start, or does not do what it is asked to.
pub(crate) fn run(arguments: Arguments) -> Result<()> {
    let folder = tempfile::tempdir_in(&arguments.folder)?;
    let folder = folder.path().canonicalize()?;
    let runtime = Runtime::new()?;
    if let Some(size) = arguments.large {
        let server = Server::start(Side::Larder, &arguments, &folder)?;
        return large::measure(&runtime, &server, size);
    }
    let mut servers = Vec::new();
    // A plain copy lists nothing.
    let sides = Side::ALL.into_iter().filter(|side| arguments.keys.is_none() || *side != Side::Plain);
    for side in sides {
        match Server::start(side, &arguments, &folder) {
            Ok(server) => servers.push(server),
            Err(error) => eprintln!("SKIPPED: {}: {error:#}", side.name()),
        }
    }
    let mut rows = Vec::new();
    if let Some(keys) = arguments.keys {
        rows.push(pages(&runtime, &arguments, &servers, keys)?);
    } else {
        for size in SIZES {
            for clients in CLIENTS {
                for operation in Operation::OF_OBJECTS {
                    rows.extend(row(&runtime, &arguments, &servers, operation, size, clients)?);
                }
            }
        }
    }
    let sides = servers.iter().map(|server| server.side).collect();
    let report = Report { machine: Machine::new()?, rounds: arguments.rounds, round_ms: arguments.round, sides, rows };
    match arguments.json {
        true => println!("{}", serde_json::to_string_pretty(&report)?),
        false => println!("{report}"),
    }
    Ok(())
}

/// One operation, by all sides in turn.
fn row(
    runtime: &Runtime,
    arguments: &Arguments,
    servers: &[Server],
    operation: Operation,
    size: usize,
    clients: usize,
) -> Result<Option<Row>> {
    let of = if clients == 1 { "1 client".to_owned() } else { format!("{clients} clients") };
    let name = format!("{}, {}, {of}", operation.name(), ByteSize::b(size as u64));
    if !name.contains(&arguments.only) {
        return Ok(None);
    }
    eprintln!("measuring: {name}");
    let bytes: Bytes = (0..size).map(|position| (position * 31 % 251) as u8).collect();
    let keys = (KEYS * (64 << 10)).div_ceil(size).min(KEYS);
    let names = |client: usize| (0..keys).map(move |number| format!("{client:02}-{number:04}"));
    let connected: Vec<Client> = servers.iter().map(Client::new).collect::<Result<_>>()?;
    for client in &connected {
        runtime.block_on(client.fill(&(0..clients).flat_map(names).collect::<Vec<_>>(), &bytes))?;
    }
    let mut per_second = vec![Vec::new(); servers.len()];
    for _ in 0..arguments.rounds {
        for (client, figures) in connected.iter().zip(&mut per_second) {
            let time = Duration::from_millis(arguments.round);
            let names = (0..clients).map(|client| names(client).collect()).collect();
            figures.push(runtime.block_on(client.measure(operation, names, &bytes, time))?);
        }
    }
    Ok(Some(Row { name, per_second }))
}

/// Pages of a listing, which begin behind keys all over the place.
fn pages(runtime: &Runtime, arguments: &Arguments, servers: &[Server], keys: u64) -> Result<Row> {
    let name = |number: u64| format!("folder/{number:09}");
    let mut per_second = vec![Vec::new(); servers.len()];
    let connected: Vec<Client> = servers.iter().map(Client::new).collect::<Result<_>>()?;
    for client in &connected {
        for first in (0..keys).step_by(FILLED_AT_ONCE) {
            eprintln!("filling {}: {first} of {keys} keys", client.side().name());
            let names: Vec<String> = (first..keys).take(FILLED_AT_ONCE).map(name).collect();
            runtime.block_on(client.fill(&names, &Bytes::from_static(b"small")))?;
        }
    }
    for _ in 0..arguments.rounds {
        for (client, figures) in connected.iter().zip(&mut per_second) {
            let after: Vec<String> = (0..50).map(|page| name(page * keys.saturating_sub(1000) / 50)).collect();
            let time = Duration::from_millis(arguments.round);
            figures.push(runtime.block_on(client.measure(Operation::List, vec![after], &Bytes::new(), time))?);
        }
    }
    Ok(Row { name: format!("list of 1,000 in {keys}, 1 client"), per_second })
}
