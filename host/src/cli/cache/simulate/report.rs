use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::failure::Failure;
use crate::cli::output::{self, Output, Printable};
use crate::simulate::{Capacity, Cell, Chart, Curve, Limit, Trace};

/// What came of everything that was replayed.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) traces: Vec<Replayed>,
}

/// What came of one trace.
#[derive(Debug)]
pub(super) struct Replayed {
    name: String,
    requests: u64,
    distinct: u64,
    /// All requests, and all objects, if the trace has sizes.
    bytes: Option<(u64, u64)>,
    ceiling: f64,
    byte_ceiling: f64,
    strategies: Vec<String>,
    rows: Vec<Row>,
}

/// How each strategy did at one capacity.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) limit: Limit,
    /// How the capacity is called: `687`, or `1375 (10%)` where a share was asked for.
    label: String,
    /// A strategy each.
    pub(super) cells: Vec<Cell>,
}

impl Row {
    pub(super) fn new(asked: Capacity, limit: Limit, cells: &[Cell]) -> Self {
        let label = match asked {
            Capacity::Percent(_) => format!("{limit} ({asked})"),
            _ => limit.to_string(),
        };
        Self { limit, label, cells: cells.to_vec() }
    }
}

impl Replayed {
    pub(super) fn new(name: String, trace: &Trace, strategies: Vec<String>, rows: Vec<Row>) -> Self {
        Self {
            name,
            requests: trace.len(),
            distinct: trace.distinct(),
            bytes: trace.has_sizes().then(|| (trace.bytes(), trace.distinct_bytes())),
            ceiling: trace.ceiling(),
            byte_ceiling: trace.byte_ceiling(),
            strategies,
            rows,
        }
    }

    fn hit_ratio(&self, cell: &Cell) -> f64 {
        cell.hits as f64 / self.requests as f64
    }

    fn byte_hit_ratio(&self, cell: &Cell) -> Option<f64> {
        self.bytes.map(|(bytes, _)| cell.hit_bytes as f64 / bytes.max(1) as f64)
    }

    fn nanoseconds(&self, cell: &Cell) -> f64 {
        cell.took.as_nanos() as f64 / self.requests as f64
    }

    /// Tables for people, one for each thing that was measured: strategies one below the other, over the capacities.
    pub(super) fn print(&self, output: &Output) -> Result<(), Failure> {
        let Self { requests, distinct, .. } = self;
        let size = |bytes: u64| self.bytes.map_or(String::new(), |_| format!(" ({})", output::size(bytes)));
        let (all, each) = self.bytes.unwrap_or_default();
        let name = Printable(&self.name);
        output.line(format_args!("{name}: {requests} requests{} of {distinct} keys{}", size(all), size(each)))?;
        output.line("")?;
        self.ratios("HIT RATIO %", self.ceiling, |cell| self.hit_ratio(cell), output)?;
        if let Some((bytes, _)) = self.bytes {
            output.line("")?;
            let ratio = |cell: &Cell| cell.hit_bytes as f64 / bytes.max(1) as f64;
            self.ratios("BYTE HIT RATIO %", self.byte_ceiling, ratio, output)?;
        }
        output.line("")?;
        self.table("EVICTIONS", &self.strategies, |row, strategy| row.cells[strategy].evictions.to_string(), output)?;
        output.line("")?;
        let time = |row: &Row, strategy: usize| format!("{:.0}", self.nanoseconds(&row.cells[strategy]));
        self.table("NS PER REQUEST", &self.strategies, time, output)
    }

    /// A table of percents, of which the best at each capacity is marked, above what a cache without bounds comes to.
    fn ratios(&self, title: &str, ceiling: f64, ratio: impl Fn(&Cell) -> f64, output: &Output) -> Result<(), Failure> {
        let percent = |ratio: f64| format!("{:.2}", 100.0 * ratio);
        let cell = |row: &Row, line: usize| {
            let Some(cell) = row.cells.get(line) else { return percent(ceiling) + " " };
            let (own, best) = (percent(ratio(cell)), row.cells.iter().map(&ratio).fold(0.0, f64::max));
            let mark = if own == percent(best) { '*' } else { ' ' };
            format!("{own}{mark}")
        };
        let lines: Vec<String> = self.strategies.iter().cloned().chain(["unbounded".to_owned()]).collect();
        self.table(title, &lines, cell, output)
    }

    /// A table with a column for each capacity, in which numbers stand to the right.
    fn table(
        &self,
        title: &str,
        lines: &[String],
        cell: impl Fn(&Row, usize) -> String,
        output: &Output,
    ) -> Result<(), Failure> {
        let columns = self.rows.iter().map(|row| {
            let cells: Vec<String> = (0..lines.len()).map(|line| cell(row, line)).collect();
            let texts = cells.iter().chain([&row.label]);
            let width = texts.map(|text| text.chars().count()).max().unwrap_or_default();
            let aligned = |text: &String| format!("{text:>width$}");
            (aligned(&row.label), cells.iter().map(aligned).collect::<Vec<_>>())
        });
        let (labels, columns): (Vec<String>, Vec<Vec<String>>) = columns.unzip();
        let header: Vec<&str> = [title].into_iter().chain(labels.iter().map(String::as_str)).collect();
        let rows = lines.iter().enumerate().map(|(line, name)| {
            let cells = columns.iter().map(|column| column[line].clone());
            [Printable(name).to_string()].into_iter().chain(cells).collect::<Vec<_>>()
        });
        output.line(output::table(&header, rows))
    }
}

impl Serialize for Replayed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let results = self.rows.iter().flat_map(|row| {
            self.strategies.iter().zip(&row.cells).map(|(strategy, cell)| {
                json!({
                    "strategy": strategy,
                    "capacity": capacity(row.limit),
                    "hits": cell.hits,
                    "hit_ratio": self.hit_ratio(cell),
                    "byte_hit_ratio": self.byte_hit_ratio(cell),
                    "evictions": cell.evictions,
                    "ns_per_request": self.nanoseconds(cell),
                })
            })
        });
        json!({
            "trace": self.name,
            "requests": self.requests,
            "distinct_keys": self.distinct,
            "bytes": self.bytes.map(|(bytes, _)| bytes),
            "distinct_bytes": self.bytes.map(|(_, distinct)| distinct),
            "unbounded": {
                "hit_ratio": self.ceiling,
                "byte_hit_ratio": self.bytes.map(|_| self.byte_ceiling),
            },
            "results": results.collect::<Vec<_>>(),
        })
        .serialize(serializer)
    }
}

fn capacity(limit: Limit) -> Value {
    match limit {
        Limit::Entries(entries) => json!({ "entries": entries }),
        Limit::Bytes(bytes) => json!({ "bytes": bytes }),
    }
}

impl Report {
    /// A chart for each trace and each unit of capacities.
    pub(super) fn charts(&self) -> Vec<Chart> {
        let units = [|limit| matches!(limit, Limit::Entries(_)), |limit| matches!(limit, Limit::Bytes(_))];
        let charts = self.traces.iter().flat_map(|trace| {
            units.into_iter().map(move |is_of_unit| Chart {
                title: trace.name.clone(),
                ceiling: trace.ceiling,
                curves: trace.curves(is_of_unit),
            })
        });
        charts.filter(|chart| chart.curves.iter().any(|curve| !curve.points.is_empty())).collect()
    }
}

impl Replayed {
    fn curves(&self, is_wanted: fn(Limit) -> bool) -> Vec<Curve> {
        let curve = |(index, name): (usize, &String)| {
            let rows = self.rows.iter().filter(|row| is_wanted(row.limit));
            let mut points: Vec<_> = rows.map(|row| (row.limit, self.hit_ratio(&row.cells[index]))).collect();
            points.sort_by_key(|(limit, _)| limit.weight());
            Curve { name: name.clone(), points }
        };
        self.strategies.iter().enumerate().map(curve).collect()
    }
}
