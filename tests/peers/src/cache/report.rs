use std::fmt;

use comfy_table::Table;
use serde::Serialize;

use super::footprint::{ENTRIES, Footprint};
use super::race::{Measured, Row};
use super::sides::Side;
use crate::machine::Machine;
use crate::report::{busy, figures_to_the_right, grouped, markdown, time};

/// All that was measured. Displayed, it is tables in Markdown.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) machine: Machine,
    pub(super) rounds: u32,
    pub(super) requests: usize,
    pub(super) rows: Vec<Row>,
    pub(super) footprints: Vec<Footprint>,
}

/// How a side compares to others.
struct Comparison {
    name: &'static str,
    of: Side,
    /// The fastest of these counts.
    to: &'static [Side],
    shown: fn(of: &Measured, to: &Measured) -> String,
}

const COMPARISONS: [Comparison; 6] = [
    Comparison { name: "default / quick_cache", of: Side::LarderDefault, to: &[Side::QuickCache], shown: ratio },
    Comparison {
        name: "lru / foyer lru or moka",
        of: Side::LarderLru,
        to: &[Side::FoyerLru, Side::Moka],
        shown: ratio,
    },
    Comparison {
        name: "s3-fifo / foyer s3fifo or moka",
        of: Side::LarderS3Fifo,
        to: &[Side::FoyerS3Fifo, Side::Moka],
        shown: ratio,
    },
    Comparison {
        name: "sieve / foyer sieve or moka",
        of: Side::LarderSieve,
        to: &[Side::FoyerSieve, Side::Moka],
        shown: ratio,
    },
    Comparison {
        name: "sieve (wasm), throughput of native",
        of: Side::LarderSieveWasm,
        to: &[Side::LarderSieve],
        shown: |wasm, native| format!("{:.0} %", 100.0 * native.times.median_ns / wasm.times.median_ns),
    },
    Comparison {
        name: "sieve (wasm), hits over native, points",
        of: Side::LarderSieveWasm,
        to: &[Side::LarderSieve],
        shown: |wasm, native| format!("{:+.2}", 100.0 * (wasm.hit_ratio - native.hit_ratio)),
    },
];

fn ratio(of: &Measured, to: &Measured) -> String {
    format!("{:.2}", of.times.median_ns / to.times.median_ns)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { machine, rounds, requests, rows, footprints } = self;
        let Machine { wasmtime, quick_cache, moka, foyer_memory, .. } = machine;
        writeln!(f, "{machine}")?;
        writeln!(
            f,
            "quick_cache {quick_cache}, moka {moka}, foyer-memory {foyer_memory}; larder on wasmtime {wasmtime}"
        )?;
        writeln!(f, "{}", machine.tunables())?;
        writeln!(
            f,
            "ns of CPU time of all threads a request: median of {rounds} rounds of {} requests or more, ± half the \
             distance of the quartiles",
            grouped(*requests as u64)
        )?;
        write!(f, "{}", busy(rows.iter().flat_map(|row| &row.measured).map(|measured| &measured.times)))?;
        let mut left: Vec<&Row> = rows.iter().collect();
        while let Some(&&Row { value, threads, .. }) = left.first() {
            let together: Vec<&Row> = left.extract_if(.., |row| row.value == value && row.threads == threads).collect();
            let plural = if threads == 1 { "" } else { "s" };
            write!(f, "\n{value}, {threads} thread{plural}, ns a request:\n\n{}\n", times(&together))?;
            write!(f, "\n{value}, {threads} thread{plural}, % of the requests that hit:\n\n{}\n", hits(&together))?;
        }
        if !footprints.is_empty() {
            let entries = grouped(ENTRIES as u64);
            write!(f, "\nMemory beside keys and values, at {entries} entries:\n\n{}", overheads(footprints))?;
        }
        Ok(())
    }
}

fn times(rows: &[&Row]) -> Table {
    let mut table = by_side(rows, |measured| time(&measured.times));
    for Comparison { name, of, to, shown } in COMPARISONS {
        let cells = rows.iter().map(|row| {
            let others = to.iter().filter_map(|&side| row.of(side));
            let fastest = others.min_by(|a, b| a.times.median_ns.total_cmp(&b.times.median_ns))?;
            Some(shown(row.of(of)?, fastest))
        });
        let cells: Vec<_> = cells.collect();
        if cells.iter().any(Option::is_some) {
            table.add_row([name.to_owned()].into_iter().chain(cells.into_iter().map(Option::unwrap_or_default)));
        }
    }
    figures_to_the_right(&mut table);
    table
}

fn hits(rows: &[&Row]) -> Table {
    let mut table = by_side(rows, |measured| format!("{:.2}", 100.0 * measured.hit_ratio));
    figures_to_the_right(&mut table);
    table
}

/// A row for each side, and a column for each workload.
fn by_side(rows: &[&Row], shown: impl Fn(&Measured) -> String) -> Table {
    let mut table = markdown();
    table.set_header([String::new()].into_iter().chain(rows.iter().map(|row| row.workload.clone())));
    for side in Side::ALL {
        let cells: Vec<_> = rows.iter().filter_map(|row| row.of(side)).map(&shown).collect();
        if !cells.is_empty() {
            table.add_row([side.to_string()].into_iter().chain(cells));
        }
    }
    table
}

fn overheads(footprints: &[Footprint]) -> Table {
    let mut table = markdown();
    table.set_header(["", "bytes an entry"]);
    for Footprint { side, overhead } in footprints {
        table.add_row([side.to_string(), format!("{overhead:.1}")]);
    }
    figures_to_the_right(&mut table);
    table
}
