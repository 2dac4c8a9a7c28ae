use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use crate::simulate::Limit;

/// Capacities by their logarithms, so that as far apart is what is as many times as large.
#[derive(Debug)]
pub(super) struct Capacities {
    /// At least one, rising, and all of one unit.
    limits: Vec<Limit>,
    margin: f64,
}

/// Where a capacity stands.
pub(super) fn place(limit: Limit) -> f64 {
    (limit.weight() as f64).ln()
}

impl Capacities {
    /// An axis for these; none, if there are none.
    pub(super) fn new(limits: impl Iterator<Item = Limit>) -> Option<Self> {
        let mut limits: Vec<Limit> = limits.collect();
        limits.sort_unstable_by_key(|limit| limit.weight());
        limits.dedup();
        let margin = ((place(*limits.last()?) - place(*limits.first()?)) * 0.04).max(0.1);
        Some(Self { limits, margin })
    }

    pub(super) fn description(&self) -> &'static str {
        match self.limits[0] {
            Limit::Entries(_) => "capacity in entries",
            Limit::Bytes(_) => "capacity in bytes",
        }
    }
}

impl Ranged for Capacities {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn range(&self) -> Range<f64> {
        let (first, last) = (self.limits[0], self.limits[self.limits.len() - 1]);
        place(first) - self.margin..place(last) + self.margin
    }

    fn map(&self, place: &f64, (from, to): (i32, i32)) -> i32 {
        let Range { start, end } = self.range();
        from + (f64::from(to - from) * (place - start) / (end - start)).round() as i32
    }

    /// The capacities themselves, or each nth if there is no room for all.
    fn key_points<H: KeyPointHint>(&self, hint: H) -> Vec<f64> {
        let each = self.limits.len().div_ceil(hint.max_num_points().max(1)).max(1);
        self.limits.iter().step_by(each).map(|&limit| place(limit)).collect()
    }
}

impl ValueFormatter<f64> for Capacities {
    fn format(value: &f64) -> String {
        value.exp().round().to_string()
    }

    fn format_ext(&self, value: &f64) -> String {
        let found = self.limits.iter().find(|limit| place(**limit) == *value);
        found.map_or_else(|| Self::format(value), Limit::to_string)
    }
}
