//! Asks every part of a host how it is.

mod disk;
mod index;
mod plugins;
mod store;
mod tasks;

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use futures::future::join_all;
use prometheus::IntGaugeVec;
use tokio::sync::Mutex;

use super::{PluginUse, Stores};
use crate::monitor::{HealthCheck, HealthReport, HealthState, StorageMonitor};
use crate::object::{Timestamp, now};
use crate::scheduler::TaskScheduler;

pub(super) use self::disk::{Disk, DiskLimits};
pub(super) use self::index::{IndexCheck, KIND as INDEX_KIND};

/// For how long an answer is good: whoever asks more often gets the same again.
const FRESH: Duration = Duration::from_secs(1);

/// Looks at the parts of a host: stores, the disks under them, plugins and tasks.
#[derive(Debug)]
pub struct HealthChecker {
    stores: Arc<Stores>,
    plugins: Vec<PluginUse>,
    tasks: Weak<TaskScheduler>,
    disks: Vec<Disk>,
    limits: DiskLimits,
    late: Duration,
    metric: IntGaugeVec,
    /// The last answer; held while one is found, so that parts are asked once however many want to know.
    last: Mutex<Option<(Instant, Arc<HealthReport>)>>,
}

/// What a checker looks at.
pub(super) struct Parts {
    pub(super) stores: Arc<Stores>,
    pub(super) plugins: Vec<PluginUse>,
    pub(super) tasks: Weak<TaskScheduler>,
    pub(super) disks: Vec<Disk>,
    pub(super) limits: DiskLimits,
    /// How long after its time a task may start.
    pub(super) late: Duration,
}

/// What is found out about one part: its name, and how it is.
struct Finding {
    name: String,
    check: HealthCheck,
}

impl HealthChecker {
    pub(super) fn new(parts: Parts, monitor: &StorageMonitor) -> crate::error::Result<Self> {
        let Parts { stores, plugins, tasks, disks, limits, late } = parts;
        let metric = monitor.health_gauge()?;
        Ok(Self { stores, plugins, tasks, disks, limits, late, metric, last: Mutex::default() })
    }

    /// How every part is: asked now, unless that was done within the last second. All are asked at the same time, none for
    /// longer than ten seconds, and the answers go into the metrics.
    pub async fn check(&self) -> Arc<HealthReport> {
        let mut last = self.last.lock().await;
        if let Some((at, report)) = &*last
            && at.elapsed() < FRESH
        {
            return Arc::clone(report);
        }
        let report = Arc::new(self.ask().await);
        self.show(&report, last.as_ref().map(|(_, before)| &**before));
        *last = Some((Instant::now(), Arc::clone(&report)));
        report
    }

    /// Has the metrics tell what was found. What is there still is in them all the while.
    fn show(&self, report: &HealthReport, before: Option<&HealthReport>) {
        for (name, state) in report.states() {
            self.metric.with_label_values(&[name]).set(state as i64);
        }
        let gone =
            before.into_iter().flat_map(HealthReport::states).filter(|(name, _)| !report.checks.contains_key(*name));
        for (name, _) in gone {
            // It was shown, or nobody misses it.
            let _ = self.metric.remove_label_values(&[name]);
        }
    }

    async fn ask(&self) -> HealthReport {
        let stores = self.stores.all();
        let asked = join_all(stores.iter().map(|store| store::ask(&store.manager, store.probe)));
        let (of_stores, of_disks) = tokio::join!(asked, disk::look(&self.disks, self.limits));
        let managers: Vec<_> = stores.into_iter().map(|store| store.manager).collect();
        let of_plugins = self.plugins.iter().map(|plugin| plugins::look(plugin, &managers));
        let tasks = self.tasks.upgrade().map(|tasks| tasks.status()).unwrap_or_default();
        let of_tasks = tasks.iter().filter_map(|task| tasks::look(task, self.late, now()));
        let mut checks: BTreeMap<String, Vec<HealthCheck>> = BTreeMap::new();
        for Finding { name, check } in of_stores.into_iter().chain(of_disks).chain(of_plugins).chain(of_tasks) {
            checks.entry(name).or_default().push(check);
        }
        HealthReport::new(now(), checks)
    }
}

impl Finding {
    fn new(kind: &str, part: impl std::fmt::Display, component_type: &str) -> Self {
        let check = HealthCheck {
            state: HealthState::Healthy,
            component_type: component_type.to_owned(),
            component_id: None,
            observed_value: None,
            observed_unit: None,
            output: None,
            time: now(),
        };
        Self { name: format!("{kind}:{part}"), check }
    }

    fn of_one(mut self, id: impl Into<String>) -> Self {
        self.check.component_id = Some(id.into());
        self
    }

    fn measured(mut self, value: f64, unit: &str) -> Self {
        self.check.observed_value = Some(value);
        self.check.observed_unit = Some(unit.to_owned());
        self
    }

    fn in_trouble(mut self, state: HealthState, why: impl Into<String>) -> Self {
        self.check.state = state;
        self.check.output = Some(why.into());
        self
    }
}

/// How long ago something was.
fn since(then: Timestamp, now: Timestamp) -> Duration {
    (now - then).to_std().unwrap_or_default()
}
