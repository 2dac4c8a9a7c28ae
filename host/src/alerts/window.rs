use std::collections::VecDeque;
use std::time::Duration;

use super::Measure;
use super::series::Reading;

/// What a series has added, of late.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    last: Option<(Duration, Reading)>,
    /// Between one reading and the next: when the span began, when it ended, and by how much each value changed in it.
    changes: VecDeque<(Duration, Duration, Reading)>,
}

impl Window {
    /// Takes a reading at a moment of a clock that nobody sets. What is further back than `span` is forgotten.
    pub(super) fn read(&mut self, at: Duration, reading: &Reading, span: Duration) {
        if let Some((before, last)) = self.last.replace((at, reading.clone())) {
            let added = |now: f64, then: f64| if reading.counts && now < then { now } else { now - then };
            let mut change = Reading { whole: added(reading.whole, last.whole), counts: true, values: Vec::new() };
            let then = last.values.iter().copied().chain(std::iter::repeat(0.0));
            change.values.extend(reading.values.iter().zip(then).map(|(now, then)| added(*now, then)));
            self.changes.push_back((before, at, change));
        }
        while self.changes.front().is_some_and(|(_, end, _)| *end + span <= at) {
            self.changes.pop_front();
        }
    }

    /// What came together, and in which time; `None` before the second reading.
    fn sum(&self) -> Option<(Reading, Duration)> {
        let ((begin, ..), (_, end, _)) = (self.changes.front()?, self.changes.back()?);
        let mut sum = Reading::default();
        for (_, _, change) in &self.changes {
            sum.whole += change.whole;
            sum.values.resize(change.values.len(), 0.0);
            sum.values.iter_mut().zip(&change.values).for_each(|(sum, value)| *sum += value);
        }
        Some((sum, *end - *begin))
    }

    /// What is measured of a series; `None` if nothing can be said of it yet.
    pub(super) fn measure(&self, measure: &Measure, now: &Reading, bounds: &[f64]) -> Option<f64> {
        let value = match measure {
            Measure::Value => *now.values.first()?,
            Measure::Rate(_) => {
                let (sum, span) = self.sum()?;
                sum.values.first()? / span.as_secs_f64()
            }
            Measure::Share(_, None) => now.values.first()? / now.whole,
            Measure::Share(_, Some(_)) => {
                let (sum, _) = self.sum()?;
                sum.values.first()? / sum.whole
            }
            Measure::Quantile(part, _) => quantile(*part, bounds, &self.sum()?.0.values)?,
        };
        // A share of nothing is none.
        value.is_finite().then_some(value)
    }
}

/// The value below which a part of what a histogram holds lies; `None` if it holds nothing.
fn quantile(part: f64, bounds: &[f64], counts: &[f64]) -> Option<f64> {
    let all = *counts.last()?;
    if all <= 0.0 {
        return None;
    }
    let rank = part * all;
    let bucket = counts.iter().position(|count| *count >= rank)?;
    let Some(upper) = bounds.get(bucket) else {
        // It lies behind the last bound, and that is all that is known.
        return bounds.last().copied();
    };
    let (lower, below) = if bucket == 0 { (0.0, 0.0) } else { (bounds[bucket - 1], counts[bucket - 1]) };
    let within = counts[bucket] - below;
    Some(if within > 0.0 { lower + (upper - lower) * (rank - below) / within } else { *upper })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(values: &[f64], whole: f64) -> Reading {
        Reading { values: values.to_vec(), whole, counts: true }
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_rate_is_what_was_added_in_the_window_and_a_counter_may_begin_anew() {
        let (mut window, span) = (Window::default(), seconds(30));
        let measure = Measure::Rate(span);
        let mut rate = |at, value| {
            let now = reading(&[value], 0.0);
            window.read(seconds(at), &now, span);
            window.measure(&measure, &now, &[])
        };
        assert_eq!(rate(0, 100.0), None, "one reading says nothing of a rate");
        assert_eq!(rate(10, 120.0), Some(2.0));
        assert_eq!(rate(20, 120.0), Some(1.0));
        assert_eq!(rate(30, 10.0), Some(1.0), "it began anew, and had 10 since");
        assert_eq!(rate(40, 10.0), Some(10.0 / 30.0), "the first 20 are forgotten");
    }

    #[test]
    fn a_gauge_may_go_down() {
        let mut window = Window::default();
        let gauge = |value| Reading { counts: false, ..reading(&[value], 0.0) };
        window.read(seconds(0), &gauge(10.0), seconds(60));
        window.read(seconds(10), &gauge(5.0), seconds(60));
        assert_eq!(window.measure(&Measure::Rate(seconds(60)), &gauge(5.0), &[]), Some(-0.5));
    }

    #[test]
    fn a_share_of_nothing_is_unknown() {
        let (mut window, span) = (Window::default(), seconds(60));
        let measure = Measure::Share(vec![], Some(span));
        window.read(seconds(0), &reading(&[5.0], 10.0), span);
        window.read(seconds(10), &reading(&[5.0], 10.0), span);
        assert_eq!(window.measure(&measure, &reading(&[5.0], 10.0), &[]), None);
        window.read(seconds(20), &reading(&[8.0], 14.0), span);
        assert_eq!(window.measure(&measure, &reading(&[8.0], 14.0), &[]), Some(0.75));
        assert_eq!(window.measure(&Measure::Share(vec![], None), &reading(&[7.0], 14.0), &[]), Some(0.5));
    }

    #[test]
    fn a_quantile_lies_within_its_bucket() {
        let bounds = [1.0, 2.0, 4.0];
        // 10 up to 1, 10 up to 2, none up to 4, 20 beyond.
        let counts = [10.0, 20.0, 20.0, 40.0];
        for (part, value) in [(0.125, 0.5), (0.25, 1.0), (0.375, 1.5), (0.5, 2.0), (0.75, 4.0), (1.0, 4.0)] {
            assert_eq!(quantile(part, &bounds, &counts), Some(value), "{part}");
        }
        assert_eq!(quantile(0.5, &bounds, &[0.0; 4]), None);
    }
}
