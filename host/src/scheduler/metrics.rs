//! What tasks do, counted.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry};

use super::run::RunOutcome;
use crate::object::Timestamp;

/// Upper bounds of the buckets of `larder_task_duration_seconds`, each four times the one before: from what counting the
/// objects of a small store takes (4 ms) to what reading a large one does (19 h).
const DURATION_BUCKETS: [f64; 13] = [
    4.096e-3,
    16.384e-3,
    65.536e-3,
    0.262144,
    1.048576,
    4.194304,
    16.777216,
    67.108864,
    268.435456,
    1073.741824,
    4294.967296,
    17179.869184,
    68719.476736,
];

/// The metrics of all tasks of a scheduler.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    runs: IntCounterVec,
    durations: HistogramVec,
    last_success: GaugeVec,
    running: IntGauge,
}

impl Metrics {
    /// Metrics that count nothing yet.
    ///
    /// # Errors
    /// None that can be met: the names and labels are well-formed.
    pub(super) fn new() -> prometheus::Result<Self> {
        let durations = HistogramOpts::new("larder_task_duration_seconds", "How long runs of tasks took.")
            .buckets(DURATION_BUCKETS.to_vec());
        Ok(Self {
            runs: IntCounterVec::new(
                Opts::new("larder_task_runs_total", "Runs of tasks that have ended, by how."),
                &["kind", "outcome"],
            )?,
            durations: HistogramVec::new(durations, &["kind"])?,
            last_success: GaugeVec::new(
                Opts::new(
                    "larder_task_last_success_timestamp_seconds",
                    "When a run of the task last ended as it should, in seconds since 1970.",
                ),
                &["task"],
            )?,
            running: IntGauge::new("larder_tasks_running", "Tasks that run.")?,
        })
    }

    /// Has a registry show them.
    ///
    /// # Errors
    /// A name is taken.
    pub(super) fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        let collectors: [Box<dyn Collector>; 4] = [
            Box::new(self.runs.clone()),
            Box::new(self.durations.clone()),
            Box::new(self.last_success.clone()),
            Box::new(self.running.clone()),
        ];
        collectors.into_iter().try_for_each(|collector| registry.register(collector))
    }

    /// Shows a kind of task with all that can come of it, so that a rate has something to start from.
    pub(super) fn expect(&self, kind: &str) {
        for outcome in RunOutcome::ALL {
            self.runs.with_label_values(&[kind, outcome.as_str()]);
        }
    }

    pub(super) fn note_end(&self, kind: &str, outcome: RunOutcome, took: Duration) {
        self.runs.with_label_values(&[kind, outcome.as_str()]).inc();
        self.durations.with_label_values(&[kind]).observe(took.as_secs_f64());
    }

    pub(super) fn note_missed(&self, kind: &str) {
        self.runs.with_label_values(&[kind, RunOutcome::Missed.as_str()]).inc();
    }

    pub(super) fn set_last_success(&self, task: &str, at: Timestamp) {
        self.last_success.with_label_values(&[task]).set(at.timestamp_millis() as f64 / 1000.0);
    }

    pub(super) fn set_running(&self, count: usize) {
        self.running.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Shows nothing more of a task that is there no more.
    pub(super) fn forget(&self, task: &str) {
        // It is an error to forget what was never shown.
        let _ = self.last_success.remove_label_values(&[task]);
    }
}
