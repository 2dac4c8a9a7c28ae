//! Small charts, drawn by the host.

use std::fmt::Write as _;

use maud::{Markup, html};

use crate::monitor::Sample;
use crate::object::Timestamp;

use super::format;

/// How many points a chart has at most: one for two pixels.
const POINTS: usize = 72;
const WIDTH: f64 = 144.0;
const HEIGHT: f64 = 32.0;
/// So much is left free, that a line at an edge is as thick as elsewhere.
const MARGIN: f64 = 1.5;

/// A point in time, and a value if there is one.
type Point = (Timestamp, Option<f64>);

/// How large a store was.
pub(super) fn sizes(samples: &[Sample]) -> Markup {
    let point = |samples: &[Sample]| samples.last().map(|last| (last.at, last.bytes.map(|bytes| bytes as f64)));
    let largest = samples.iter().filter_map(|sample| sample.bytes).max().unwrap_or_default();
    draw("Size", &thinned(samples, point), largest.max(1) as f64, |value| format::size(value as u64))
}

/// Which share of the lookups the cache answered.
pub(super) fn hit_ratios(samples: &[Sample]) -> Markup {
    let point = |samples: &[Sample]| {
        let hits: u64 = samples.iter().map(|sample| sample.cache_hits).sum();
        let lookups = hits + samples.iter().map(|sample| sample.cache_misses).sum::<u64>();
        let ratio = (lookups > 0).then(|| hits as f64 / lookups as f64);
        samples.last().map(|last| (last.at, ratio))
    };
    draw("Hit ratio", &thinned(samples, point), 1.0, format::percent)
}

fn thinned(samples: &[Sample], point: impl Fn(&[Sample]) -> Option<Point>) -> Vec<Point> {
    samples.chunks(samples.len().div_ceil(POINTS).max(1)).filter_map(point).collect()
}

/// A line from 0 at the bottom to `ceiling` at the top, with gaps where there is no value, and the same in words.
fn draw(what: &str, points: &[Point], ceiling: f64, words: impl Fn(f64) -> String) -> Markup {
    let values: Vec<f64> = points.iter().filter_map(|(_, value)| *value).collect();
    let (Some((first, _)), Some((end, _)), Some(last)) = (points.first(), points.last(), values.last()) else {
        return html! { span .none { "no figures yet" } };
    };
    let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = values.iter().copied().fold(0.0, f64::max);
    let span = (*end - *first).to_std().unwrap_or_default();
    let title = format!(
        "{what} in the last {}: between {} and {}, {} at the end",
        format::span(span),
        words(lowest),
        words(highest),
        words(*last)
    );
    let place = |at: Timestamp, value: f64| {
        let elapsed = (at - *first).to_std().unwrap_or_default();
        let share = if span.is_zero() { 1.0 } else { elapsed.as_secs_f64() / span.as_secs_f64() };
        let x = MARGIN + share * (WIDTH - 2.0 * MARGIN);
        let y = HEIGHT - MARGIN - (value / ceiling).clamp(0.0, 1.0) * (HEIGHT - 2.0 * MARGIN);
        (x, y)
    };
    html! {
        svg .chart role="img" viewBox=(format_args!("0 0 {WIDTH} {HEIGHT}")) width=(WIDTH) height=(HEIGHT) {
            title { (title) }
            @for run in points.split(|(_, value)| value.is_none()) {
                @let places: Vec<(f64, f64)> =
                    run.iter().filter_map(|(at, value)| value.map(|value| place(*at, value))).collect();
                @match &places[..] {
                    [] => {},
                    [(x, y)] => circle cx=(format_args!("{x:.1}")) cy=(format_args!("{y:.1}")) r="1.5" {},
                    [(first, _), ..] => {
                        path .area d=(format_args!("{}V{HEIGHT}H{first:.1}Z", line(&places))) {}
                        path .line d=(line(&places)) {}
                    },
                }
            }
        }
    }
}

fn line(places: &[(f64, f64)]) -> String {
    let mut path = String::new();
    for (index, (x, y)) in places.iter().enumerate() {
        // Writing to a string does not fail.
        let _ = write!(path, "{}{x:.1} {y:.1}", if index == 0 { 'M' } else { 'L' });
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::timestamp_from_millis;

    fn sample(minute: u64, bytes: Option<u64>, cache_hits: u64, cache_misses: u64) -> Sample {
        let at = timestamp_from_millis(minute * 60_000);
        Sample { at, objects: None, bytes, reads: 0, writes: 0, cache_hits, cache_misses }
    }

    #[test]
    fn a_chart_says_in_words_what_it_draws() {
        let samples = [(0, 1024), (1, 4096), (2, 2048)].map(|(minute, bytes)| sample(minute, Some(bytes), 0, 0));
        let chart = sizes(&samples).into_string();
        let title = "Size in the last 2 min: between 1.0 KiB and 4.0 KiB, 2.0 KiB at the end";
        assert!(chart.contains(title), "{chart}");
        assert!(chart.contains("M1.5 23.2L72.0 1.5L142.5 16.0"), "{chart}");
    }

    #[test]
    fn where_nothing_was_looked_up_there_is_a_gap() {
        let samples: Vec<_> = [(0, 0), (1, 1), (3, 1), (0, 0), (1, 0)].into_iter().enumerate().collect();
        let samples: Vec<_> =
            samples.into_iter().map(|(minute, (hits, misses))| sample(minute as u64, None, hits, misses)).collect();
        let chart = hit_ratios(&samples).into_string();
        assert!(chart.contains("between 50.0 % and 100.0 %, 100.0 % at the end"), "{chart}");
        assert_eq!((chart.matches("class=\"line\"").count(), chart.matches("<circle").count()), (1, 1), "{chart}");
    }

    #[test]
    fn a_day_is_thinned_to_what_can_be_seen() {
        let samples: Vec<_> = (0..Sample::KEPT as u64).map(|minute| sample(minute, Some(minute), 1, 1)).collect();
        for chart in [sizes(&samples), hit_ratios(&samples)] {
            let chart = chart.into_string();
            assert!(chart.matches('L').count() <= 2 * POINTS, "{chart}");
            assert!(chart.contains("in the last 23 h"), "{chart}");
        }
    }

    #[test]
    fn nothing_known_is_nothing_drawn() {
        for samples in [&[][..], &[sample(0, None, 0, 0)]] {
            assert!(sizes(samples).into_string().contains("no figures yet"));
            assert!(hit_ratios(samples).into_string().contains("no figures yet"));
        }
    }
}
