use std::fmt;

use serde::Serialize;

use super::Row;
use super::sides::Side;
use crate::machine::Machine;
use crate::report::{figures_to_the_right, markdown, median};

/// All that was measured. Displayed, it is a table in Markdown.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) machine: Machine,
    pub(super) rounds: u32,
    pub(super) round_ms: u64,
    pub(super) rows: Vec<Row>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { machine, rounds, round_ms, rows } = self;
        writeln!(f, "{machine}")?;
        writeln!(f, "operations a second of all clients together: median of {rounds} rounds of {round_ms} ms\n")?;
        let mut table = markdown();
        let sides = Side::ALL.map(Side::name);
        table.set_header([""].into_iter().chain(sides).chain(["larder / std::fs", "relaxed / std::fs"]));
        for row in rows {
            let medians: Vec<f64> = row.per_second.iter().map(|figures| median(figures)).collect();
            let figures = medians.iter().map(|median| format!("{median:.0}"));
            let ratios = medians[1..].iter().map(|median| format!("{:.2}", median / medians[0]));
            table.add_row([row.name.clone()].into_iter().chain(figures).chain(ratios));
        }
        figures_to_the_right(&mut table);
        writeln!(f, "{table}")
    }
}
