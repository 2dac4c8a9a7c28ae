//! The series of metrics that a condition looks at.

use std::collections::BTreeMap;

use prometheus::proto::{Metric, MetricFamily, MetricType};

use super::{Measure, MetricCondition};

/// The labels of a series.
pub(super) type Labels = BTreeMap<String, String>;

/// What is read of the series that agree in their labels: what is measured, and for a share what it is a share of.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reading {
    /// A number, or how many of a histogram lie in each bucket and in those below it, the last of which has all.
    pub(super) values: Vec<f64>,
    /// The sum of what it is held against.
    pub(super) whole: f64,
    /// Whether it can only rise.
    pub(super) counts: bool,
}

/// What is read of a condition's metric, and the upper bounds of its buckets if it is a histogram.
#[derive(Debug, Default)]
pub(super) struct Readings {
    pub(super) series: BTreeMap<Labels, Reading>,
    pub(super) bounds: Vec<f64>,
}

/// A name of a metric, found among the families: a histogram has three names.
enum Found<'a> {
    Plain(&'a MetricFamily),
    Count(&'a MetricFamily),
    Sum(&'a MetricFamily),
}

impl Readings {
    /// Reads what a condition looks at.
    pub(super) fn of(condition: &MetricCondition, families: &[MetricFamily]) -> Self {
        let mut readings = Self::default();
        let Some(found) = Found::of(&condition.metric, families) else { return readings };
        let quantile = matches!(condition.measure, Measure::Quantile(..));
        for metric in found.family().get_metric() {
            let Some(labels) = project(metric, condition) else { continue };
            let values = if quantile { buckets(metric, &mut readings.bounds) } else { vec![found.value(metric)] };
            let reading = readings.series.entry(labels).or_default();
            reading.counts = found.counts();
            reading.values.resize(values.len(), 0.0);
            reading.values.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
        if let Measure::Share(parts, _) = &condition.measure {
            for part in parts.iter().filter_map(|part| Found::of(part, families)) {
                for metric in part.family().get_metric() {
                    if let Some(reading) =
                        project(metric, condition).and_then(|labels| readings.series.get_mut(&labels))
                    {
                        reading.whole += part.value(metric);
                    }
                }
            }
        }
        readings
    }
}

impl<'a> Found<'a> {
    fn of(name: &str, families: &'a [MetricFamily]) -> Option<Self> {
        let family = |name: &str| families.iter().find(|family| family.name() == name);
        let histogram =
            |name: Option<&str>| family(name?).filter(|family| family.get_field_type() == MetricType::HISTOGRAM);
        family(name)
            .map(Self::Plain)
            .or_else(|| histogram(name.strip_suffix("_count")).map(Self::Count))
            .or_else(|| histogram(name.strip_suffix("_sum")).map(Self::Sum))
    }

    fn family(&self) -> &'a MetricFamily {
        let (Self::Plain(family) | Self::Count(family) | Self::Sum(family)) = self;
        family
    }

    fn counts(&self) -> bool {
        match self {
            Self::Plain(family) => family.get_field_type() != MetricType::GAUGE,
            Self::Count(_) | Self::Sum(_) => true,
        }
    }

    fn value(&self, metric: &Metric) -> f64 {
        match self {
            Self::Plain(family) => match family.get_field_type() {
                MetricType::GAUGE => metric.get_gauge().get_value(),
                MetricType::HISTOGRAM => metric.get_histogram().get_sample_count() as f64,
                _ => metric.get_counter().get_value(),
            },
            Self::Count(_) => metric.get_histogram().get_sample_count() as f64,
            Self::Sum(_) => metric.get_histogram().get_sample_sum(),
        }
    }
}

/// The labels by which a series is told from others; `None` if it is not looked at.
fn project(metric: &Metric, condition: &MetricCondition) -> Option<Labels> {
    let value_of = |name: &str| metric.get_label().iter().find(|label| label.name() == name).map(|label| label.value());
    if condition.labels.iter().any(|(name, wanted)| value_of(name) != Some(wanted)) {
        return None;
    }
    Some(match &condition.by {
        Some(names) => {
            let label = |name: &String| Some((name.clone(), value_of(name)?.to_owned()));
            names.iter().filter_map(label).collect()
        }
        None => metric.get_label().iter().map(|label| (label.name().to_owned(), label.value().to_owned())).collect(),
    })
}

fn buckets(metric: &Metric, bounds: &mut Vec<f64>) -> Vec<f64> {
    let histogram = metric.get_histogram();
    let buckets = histogram.get_bucket();
    if bounds.is_empty() {
        *bounds = buckets.iter().map(|bucket| bucket.upper_bound()).collect();
    }
    let counts = buckets.iter().map(|bucket| bucket.cumulative_count() as f64);
    counts.chain([histogram.get_sample_count() as f64]).collect()
}
