use std::fmt;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::machine::Machine;
use crate::memory::{INSTANCES, Idle};
use crate::start::Start;
use crate::stopwatch::{Measured, Row, Side};

/// All that was measured. Displayed, it is a table in Markdown.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) rows: Vec<Row>,
    pub(crate) idle: Vec<Idle>,
    pub(crate) start: Option<Start>,
}

/// The ratios that the table shows.
const RATIOS: [(Side, Side); 3] =
    [(Side::Larder, Side::Native), (Side::Larder, Side::Wasmtime), (Side::Extism, Side::Larder)];

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { cpu, cores, rustc, wasmtime, extism, extism_wasmtime, quick_cache, .. } = &self.machine;
        let Machine { glibc_tunables, rounds, round_ms, .. } = &self.machine;
        writeln!(f, "{cpu}, {cores} cores; {rustc}")?;
        writeln!(f, "larder: wasmtime {wasmtime}, quick_cache {quick_cache}")?;
        writeln!(
            f,
            "extism: {extism} on wasmtime {extism_wasmtime}, the newest that rustc 1.95 builds (1.41 takes wasmtime 49, \
             which wants 1.96)"
        )?;
        match glibc_tunables {
            Some(tunables) => writeln!(f, "GLIBC_TUNABLES={tunables}")?,
            None => writeln!(f, "GLIBC_TUNABLES is not set")?,
        }
        writeln!(
            f,
            "ns of CPU time an operation: median of {rounds} rounds of {round_ms} ms or more, ± half the distance of the \
             quartiles"
        )?;
        if let Some(busy) = self.most_disturbed()
            && busy.on_cpu < 0.9
        {
            let on_cpu = busy.on_cpu * 100.0;
            writeln!(f, "The machine was busy: at worst, a side had a processor for {on_cpu:.0} % of the time.")?;
        }
        writeln!(f)?;
        write!(f, "{}", self.table())?;
        for Idle { kind, larder, extism } in &self.idle {
            let ratio = *extism as f64 / (*larder).max(1) as f64;
            let kib = |bytes: &u64| *bytes as f64 / 1024.0;
            write!(
                f,
                "\n\nMemory of an idle {kind} instance, mean of {INSTANCES}: larder {:.1} KiB, extism {:.1} KiB, \
                 extism / larder {ratio:.1}",
                kib(larder),
                kib(extism)
            )?;
        }
        if let Some(Start { median, most }) = &self.start {
            let micros = |nanos: &u64| *nanos as f64 / 1000.0;
            write!(
                f,
                "\n\nFrom a component on disk, compiled before, to the first answer: {:.0} us, nine of ten in {:.0} us",
                micros(median),
                micros(most)
            )?;
        }
        Ok(())
    }
}

impl Report {
    fn most_disturbed(&self) -> Option<&Measured> {
        let all = self.rows.iter().flat_map(|row| &row.measured);
        all.min_by(|a, b| a.on_cpu.total_cmp(&b.on_cpu))
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        let sides = Side::ALL.map(|side| name(side).to_owned());
        let ratios = RATIOS.map(|(above, below)| format!("{} / {}", name(above), name(below)));
        table.set_header([String::new()].into_iter().chain(sides).chain(ratios));
        for row in &self.rows {
            let times = Side::ALL.map(|side| row.of(side).map(time));
            let ratios = RATIOS.map(|(above, below)| {
                let (above, below) = (row.of(above)?.median_ns, row.of(below)?.median_ns);
                Some(format!("{:.2}", above / below))
            });
            let cells = times.into_iter().chain(ratios).map(Option::unwrap_or_default);
            table.add_row([row.operation.clone()].into_iter().chain(cells));
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
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
fn time(measured: &Measured) -> String {
    let &Measured { median_ns, spread, .. } = measured;
    let digits = if median_ns < 100.0 { format!("{median_ns:.1}") } else { grouped(median_ns.round() as u64) };
    format!("{digits} ±{:.0}%", spread * 100.0)
}

fn grouped(number: u64) -> String {
    if number < 1000 { number.to_string() } else { format!("{},{:03}", grouped(number / 1000), number % 1000) }
}
