//! What plugins do, counted.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Counter, CounterVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry,
};

use super::PluginError;
use super::fault::FaultKind;
use super::operation::Operation;

/// Upper bounds of the buckets of `larder_plugin_call_duration_seconds`, each four times the one before: from what an
/// empty call takes (1 µs) to more than most may take (17 s).
const DURATION_BUCKETS: [f64; 13] = [
    1e-6, 4e-6, 16e-6, 64e-6, 256e-6, 1.024e-3, 4.096e-3, 16.384e-3, 65.536e-3, 0.262144, 1.048576, 4.194304, 16.777216,
];

/// How a call of a plugin ended: the value of the label `outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallOutcome {
    /// The plugin answered.
    Ok,
    /// The plugin answered with an error: `not-found` is one.
    Error,
    /// There was no answer, or one that breaks the contract.
    Fault,
}

impl CallOutcome {
    const ALL: [Self; 3] = [Self::Ok, Self::Error, Self::Fault];

    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Fault => "fault",
        }
    }
}

/// Why a call did not reach its plugin: the value of the label `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// All of its instances were busy for too long.
    Busy,
    /// It failed, and is not started again yet.
    BackingOff,
    /// It failed too often.
    Quarantined,
    /// The object is larger than it may be.
    ObjectSize,
}

impl Refusal {
    const ALL: [Self; 4] = [Self::Busy, Self::BackingOff, Self::Quarantined, Self::ObjectSize];

    fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::BackingOff => "backing-off",
            Self::Quarantined => "quarantined",
            Self::ObjectSize => "object-size",
        }
    }
}

/// The metrics of all plugins of a host.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    calls: HistogramVec,
    busy: CounterVec,
    faults: IntCounterVec,
    refusals: IntCounterVec,
    starts: IntCounterVec,
    load_failures: IntCounterVec,
    dropped_log_lines: IntCounterVec,
    instances: IntGaugeVec,
    memory: IntGaugeVec,
    state: IntGaugeVec,
}

impl Metrics {
    /// Metrics that count nothing yet.
    ///
    /// # Errors
    /// None that can be met: the names and labels are well-formed.
    pub(super) fn new() -> prometheus::Result<Self> {
        let durations = HistogramOpts::new(
            "larder_plugin_call_duration_seconds",
            "How long plugins took to answer, waits for stores and networks included.",
        )
        .buckets(DURATION_BUCKETS.to_vec());
        let counters = |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let gauges = |name: &str, help: &str| IntGaugeVec::new(Opts::new(name, help), &["plugin", "store"]);
        Ok(Self {
            calls: HistogramVec::new(durations, &["plugin", "store", "operation", "outcome"])?,
            busy: CounterVec::new(
                Opts::new(
                    "larder_plugin_busy_seconds_total",
                    "Time that threads spent in plugins, waits not included.",
                ),
                &["plugin", "store"],
            )?,
            faults: counters(
                "larder_plugin_faults_total",
                "Failures of plugins, by what went wrong: traps, passed limits, broken promises.",
                &["plugin", "store", "fault"],
            )?,
            refusals: counters(
                "larder_plugin_refusals_total",
                "Calls that did not reach their plugin, by the reason.",
                &["plugin", "store", "reason"],
            )?,
            starts: counters(
                "larder_plugin_starts_total",
                "Instances started: the first ones, and those in place of failed ones.",
                &["plugin", "store"],
            )?,
            load_failures: counters(
                "larder_plugin_load_failures_total",
                "Times that a component was to be loaded, or loaded again, and was not, by the reason.",
                &["plugin", "store", "reason"],
            )?,
            dropped_log_lines: counters(
                "larder_plugin_dropped_log_lines_total",
                "Lines that plugins wrote to the log faster than they may.",
                &["plugin", "store"],
            )?,
            instances: gauges("larder_plugin_instances", "Instances of plugins.")?,
            memory: gauges("larder_plugin_memory_bytes", "Linear memory of the instances of plugins.")?,
            state: gauges(
                "larder_plugin_state",
                "0: the plugin works; 1: it failed, and is started again after a while; 2: it is quarantined.",
            )?,
        })
    }

    /// Has a registry show them.
    ///
    /// # Errors
    /// A name is taken.
    pub(super) fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        let collectors: [Box<dyn Collector>; 10] = [
            Box::new(self.calls.clone()),
            Box::new(self.busy.clone()),
            Box::new(self.faults.clone()),
            Box::new(self.refusals.clone()),
            Box::new(self.starts.clone()),
            Box::new(self.load_failures.clone()),
            Box::new(self.dropped_log_lines.clone()),
            Box::new(self.instances.clone()),
            Box::new(self.memory.clone()),
            Box::new(self.state.clone()),
        ];
        collectors.into_iter().try_for_each(|collector| registry.register(collector))
    }

    /// A plugin was not loaded.
    pub(super) fn load_failed(&self, plugin: &str, store: &str, error: &PluginError) {
        self.load_failures.with_label_values(&[plugin, store, error.reason()]).inc();
    }

    /// The meter of one plugin at work for one store.
    pub(super) fn meter(&self, plugin: &Arc<str>, store: &Arc<str>) -> Meter {
        let labels = [&**plugin, &**store];
        Meter {
            busy: self.busy.with_label_values(&labels),
            starts: self.starts.with_label_values(&labels),
            dropped_log_lines: self.dropped_log_lines.with_label_values(&labels),
            instances: self.instances.with_label_values(&labels),
            memory: self.memory.with_label_values(&labels),
            state: self.state.with_label_values(&labels),
            calls: Default::default(),
            plugin: Arc::clone(plugin),
            store: Arc::clone(store),
            metrics: self.clone(),
        }
    }
}

/// Counts what one plugin does for one store.
///
/// A histogram is looked up by its labels once and then kept: nothing here takes a lock on the way of a call.
#[derive(Debug)]
pub(super) struct Meter {
    busy: Counter,
    starts: IntCounter,
    dropped_log_lines: IntCounter,
    instances: IntGauge,
    memory: IntGauge,
    state: IntGauge,
    /// By operation and outcome, each made when it first has something to tell.
    calls: [[OnceLock<Histogram>; CallOutcome::ALL.len()]; Operation::ALL.len()],
    plugin: Arc<str>,
    store: Arc<str>,
    metrics: Metrics,
}

impl Meter {
    /// A call took so long, and ended so.
    pub(super) fn called(&self, operation: Operation, outcome: CallOutcome, took: Duration) {
        let histogram = self.calls[operation as usize][outcome as usize].get_or_init(|| {
            let labels = [&*self.plugin, &*self.store, operation.as_str(), outcome.as_str()];
            self.metrics.calls.with_label_values(&labels)
        });
        histogram.observe(took.as_secs_f64());
    }

    /// A thread was in the plugin for so long.
    pub(super) fn was_busy(&self, time: Duration) {
        self.busy.inc_by(time.as_secs_f64());
    }

    /// An instance failed.
    pub(super) fn failed(&self, fault: FaultKind) {
        self.metrics.faults.with_label_values(&[&*self.plugin, &*self.store, fault.as_str()]).inc();
    }

    /// A call was turned away.
    pub(super) fn refused(&self, refusal: Refusal) {
        self.metrics.refusals.with_label_values(&[&*self.plugin, &*self.store, refusal.as_str()]).inc();
    }

    /// An instance was started.
    pub(super) fn started(&self) {
        self.starts.inc();
    }

    /// A line did not come into the log.
    pub(super) fn dropped_log_line(&self) {
        self.dropped_log_lines.inc();
    }

    /// How many instances there are.
    pub(super) fn instances(&self) -> &IntGauge {
        &self.instances
    }

    /// The bytes of linear memory that they have together.
    pub(super) fn memory(&self) -> &IntGauge {
        &self.memory
    }

    /// How the plugin is, as `larder_plugin_state` tells.
    pub(super) fn state(&self) -> &IntGauge {
        &self.state
    }

    /// How many instances were started.
    pub(super) fn starts(&self) -> u64 {
        self.starts.get()
    }

    /// How many calls there were, and how many of them ended in an error or a fault.
    pub(super) fn calls(&self) -> Calls {
        let count = |outcome: CallOutcome| {
            let ended = self.calls.iter().filter_map(|outcomes| outcomes[outcome as usize].get());
            ended.map(Histogram::get_sample_count).sum()
        };
        Calls { ok: count(CallOutcome::Ok), errors: count(CallOutcome::Error), faults: count(CallOutcome::Fault) }
    }

    /// How many calls were turned away.
    pub(super) fn refusals(&self) -> u64 {
        let count = |refusal: Refusal| {
            self.metrics.refusals.with_label_values(&[&*self.plugin, &*self.store, refusal.as_str()]).get()
        };
        Refusal::ALL.into_iter().map(count).sum()
    }
}

/// How the calls of a plugin ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Calls {
    /// Calls that the plugin answered.
    pub ok: u64,
    /// Calls that it answered with an error.
    pub errors: u64,
    /// Calls that it did not answer, or not as the contract says.
    pub faults: u64,
}
