use std::fmt;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::machine::Machine;
use crate::memory::{INSTANCES, Idle, Kind};
use crate::start::Start;
use crate::stopwatch::{Row, Side, Times};

/// All that was measured. Displayed, it is a table in Markdown.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    /// How many rounds there were, and of how many milliseconds at least.
    pub(crate) rounds: u32,
    pub(crate) round_ms: u128,
    pub(crate) rows: Vec<Row>,
    pub(crate) idle: Vec<Idle>,
    pub(crate) start: Vec<Start>,
}

/// The ratios that the table shows.
const RATIOS: [(Side, Side); 4] = [
    (Side::Larder, Side::Native),
    (Side::Larder, Side::Wasmtime),
    (Side::Extism, Side::Larder),
    (Side::Extism, Side::Wasmtime),
];

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { machine, rounds, round_ms, .. } = self;
        let Machine { wasmtime, extism, extism_wasmtime, quick_cache, .. } = machine;
        writeln!(f, "{machine}")?;
        writeln!(f, "larder: wasmtime {wasmtime}, quick_cache {quick_cache}")?;
        writeln!(
            f,
            "extism: {extism} on wasmtime {extism_wasmtime}, the newest that rustc 1.95 builds (1.41 takes wasmtime 49, \
             which wants 1.96)"
        )?;
        writeln!(f, "{}", machine.tunables())?;
        writeln!(
            f,
            "ns of CPU time an operation: median of {rounds} rounds of {round_ms} ms or more, ± half the distance of the \
             quartiles"
        )?;
        write!(f, "{}", busy(self.rows.iter().flat_map(|row| &row.measured).map(|measured| &measured.times)))?;
        writeln!(f)?;
        write!(f, "{}", self.table())?;
        for Idle { kind, wasmtime, larder, extism } in &self.idle {
            let ratio = |below: &u64| *extism as f64 / (*below).max(1) as f64;
            let kib = |bytes: &u64| *bytes as f64 / 1024.0;
            let kind = match kind {
                Kind::Eviction => "eviction",
                Kind::Provider => "provider",
            };
            write!(
                f,
                "\n\nMemory of an idle {kind} instance, mean of {INSTANCES}: wasmtime {:.1} KiB, larder {:.1} KiB, extism \
                 {:.1} KiB; extism / larder {:.1}, extism / wasmtime {:.1}",
                kib(wasmtime),
                kib(larder),
                kib(extism),
                ratio(larder),
                ratio(wasmtime)
            )?;
        }
        for Start { is_pinned, median, most } in &self.start {
            let micros = |nanos: &u64| *nanos as f64 / 1000.0;
            let component = if *is_pinned { "a component with a pinned digest" } else { "any other component" };
            write!(
                f,
                "\n\nFrom {component} on disk, compiled before, to the first answer: {:.0} us, nine of ten in {:.0} us",
                micros(median),
                micros(most)
            )?;
        }
        Ok(())
    }
}

impl Report {
    fn table(&self) -> Table {
        let mut table = markdown();
        let sides = Side::ALL.map(|side| name(side).to_owned());
        let ratios = RATIOS.map(|(above, below)| format!("{} / {}", name(above), name(below)));
        table.set_header([String::new()].into_iter().chain(sides).chain(ratios));
        for row in &self.rows {
            let times = Side::ALL.map(|side| row.of(side).map(|measured| time(&measured.times)));
            let ratios = RATIOS.map(|(above, below)| {
                let (above, below) = (row.of(above)?.times.median_ns, row.of(below)?.times.median_ns);
                Some(format!("{:.2}", above / below))
            });
            let cells = times.into_iter().chain(ratios).map(Option::unwrap_or_default);
            table.add_row([row.operation.clone()].into_iter().chain(cells));
        }
        figures_to_the_right(&mut table);
        table
    }
}

/// A line that says so if the machine was busy while this was measured.
pub(crate) fn busy<'a>(all: impl Iterator<Item = &'a Times>) -> String {
    match all.map(|times| times.on_cpu).min_by(f64::total_cmp) {
        Some(least) if least < 0.9 => {
            format!("The machine was busy: at worst, a side had a processor for {:.0} % of the time.\n", least * 100.0)
        }
        _ => String::new(),
    }
}

/// The middle one of some figures.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut figures = figures.to_vec();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// An empty table.
pub(crate) fn markdown() -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table
}

/// Aligns all columns but the first.
pub(crate) fn figures_to_the_right(table: &mut Table) {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

fn name(side: Side) -> &'static str {
    match side {
        Side::Native => "native",
        Side::Wasmtime => "wasmtime",
        Side::Larder => "larder",
        Side::Extism => "extism",
    }
}

/// A time with its spread: `1,530 ±2%`.
pub(crate) fn time(times: &Times) -> String {
    let &Times { median_ns, spread, .. } = times;
    let digits = if median_ns < 100.0 { format!("{median_ns:.1}") } else { grouped(median_ns.round() as u64) };
    format!("{digits} ±{:.0}%", spread * 100.0)
}

pub(crate) fn grouped(number: u64) -> String {
    if number < 1000 { number.to_string() } else { format!("{},{:03}", grouped(number / 1000), number % 1000) }
}
