use std::fmt;

use serde::Serialize;

use super::Row;
use super::servers::Side;
use crate::machine::Machine;
use crate::report::{figures_to_the_right, markdown, median};

/// All that was measured. Displayed, it is a table in Markdown.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) machine: Machine,
    pub(super) rounds: u32,
    pub(super) round_ms: u64,
    pub(super) sides: Vec<Side>,
    pub(super) rows: Vec<Row>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { machine, rounds, round_ms, sides, rows } = self;
        writeln!(f, "{machine}")?;
        writeln!(f, "operations a second of all clients together: median of {rounds} rounds of {round_ms} ms\n")?;
        let larder = sides.iter().position(|side| *side == Side::Larder);
        let others: Vec<usize> =
            (0..sides.len()).filter(|place| !matches!(sides[*place], Side::Larder | Side::Cached)).collect();
        let mut table = markdown();
        let ratios = others.iter().map(|place| format!("larder / {}", sides[*place].name()));
        let names = sides.iter().map(|side| side.name().to_owned());
        table.set_header([String::new()].into_iter().chain(names).chain(ratios));
        for row in rows {
            let medians: Vec<f64> = row.per_second.iter().map(|figures| median(figures)).collect();
            let figures = medians.iter().map(|median| format!("{median:.*}", if *median < 1.0 { 3 } else { 0 }));
            let ratios = others.iter().map(|place| match larder {
                Some(larder) => format!("{:.2}", medians[larder] / medians[*place]),
                None => "-".to_owned(),
            });
            table.add_row([row.name.clone()].into_iter().chain(figures).chain(ratios));
        }
        figures_to_the_right(&mut table);
        writeln!(f, "{table}")
    }
}
