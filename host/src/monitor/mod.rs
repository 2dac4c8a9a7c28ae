//! What the stores do, counted, for people and for Prometheus. `host/docs/metrics.md` lists every metric.

mod collector;
mod health;
mod history;
mod metrics;
mod operation;
mod store;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;
use prometheus::{HistogramOpts, HistogramVec, IntGaugeVec, Opts, Registry, TextEncoder};

use crate::error::{Error, Result};
use crate::object::{StoreName, Timestamp};

pub use health::{HealthCheck, HealthReport, HealthState};
pub use history::Sample;
pub use metrics::StorageMetrics;
pub use operation::Operation;
pub use store::{Health, StoreMonitor};

use collector::{StoreCollector, Stores};

/// Upper bounds of the buckets of `larder_provider_call_duration_seconds`, each four times the one before: from what
/// memory takes (1 µs) to what a caller hardly waits for (17 s).
const DURATION_BUCKETS: [f64; 13] = [
    1e-6, 4e-6, 16e-6, 64e-6, 256e-6, 1.024e-3, 4.096e-3, 16.384e-3, 65.536e-3, 0.262144, 1.048576, 4.194304, 16.777216,
];

/// Keeps the figures of every store, and of whatever else registers itself, in a registry of its own.
///
/// Labels are a store's name, an operation and an outcome: there are as many series as the configuration has stores,
/// times a constant.
#[derive(Clone, Debug)]
pub struct StorageMonitor {
    registry: Registry,
    stores: Stores,
    provider_calls: HistogramVec,
}

impl StorageMonitor {
    /// A monitor that watches nothing yet.
    ///
    /// # Errors
    /// [`Error::Internal`] if two metrics have the same name.
    pub fn new() -> Result<Self> {
        let registry = Registry::new();
        let stores = Arc::new(RwLock::new(BTreeMap::new()));
        let options = HistogramOpts::new(
            "larder_provider_call_duration_seconds",
            "How long a provider took to answer; of a body in pieces, until the first is ready to be read.",
        )
        .buckets(DURATION_BUCKETS.to_vec());
        let provider_calls = HistogramVec::new(options, &["store", "operation", "outcome"]).map_err(conflict)?;
        registry.register(Box::new(provider_calls.clone())).map_err(conflict)?;
        registry.register(Box::new(StoreCollector::new(Arc::clone(&stores)).map_err(conflict)?)).map_err(conflict)?;
        Ok(Self { registry, stores, provider_calls })
    }

    /// The monitor of a store: the same one whenever the same store is asked for.
    pub fn store(&self, name: &StoreName) -> StoreMonitor {
        let mut stores = self.stores.write();
        let new = || StoreMonitor::new(name.clone(), self.provider_calls.clone());
        stores.entry(name.clone()).or_insert_with(new).clone()
    }

    /// Shows a store no more that is gone.
    pub fn forget(&self, name: &StoreName) {
        if let Some(store) = self.stores.write().remove(name) {
            store.retire();
        }
    }

    /// Takes a sample of every store, for its [history](StoreMonitor::history).
    pub fn sample(&self, at: Timestamp) {
        let stores: Vec<StoreMonitor> = self.stores.read().values().cloned().collect();
        stores.iter().for_each(|store| store.sample(at));
    }

    /// Where others register metrics of their own. Labels must be bounded: never a key.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The metric of what health checks find: 0 for healthy, 1 for degraded, 2 for failed, by check.
    ///
    /// # Errors
    /// [`Error::Internal`] if it is there already.
    pub fn health_gauge(&self) -> Result<IntGaugeVec> {
        let options = Opts::new(
            "larder_health_state",
            "What a health check found when it was last made: 0 healthy, 1 degraded, 2 failed.",
        );
        let gauge = IntGaugeVec::new(options, &["check"]).map_err(conflict)?;
        self.registry.register(Box::new(gauge.clone())).map_err(conflict)?;
        Ok(gauge)
    }

    /// The figures of every store, by name.
    pub fn snapshot(&self) -> BTreeMap<StoreName, StorageMetrics> {
        self.stores.read().iter().map(|(name, store)| (name.clone(), store.snapshot())).collect()
    }

    /// Everything in the Prometheus text format, version 0.0.4.
    ///
    /// # Errors
    /// [`Error::Internal`] if a registered metric can not be written.
    pub fn render(&self) -> Result<String> {
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .map_err(|error| Error::internal(format!("the metrics can not be written: {error}")))
    }
}

fn conflict(error: prometheus::Error) -> Error {
    Error::internal(format!("the metrics can not be registered: {error}"))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::cache::CacheStats;
    use crate::provider::Usage;

    fn name(text: &str) -> StoreName {
        StoreName::new(text).unwrap()
    }

    #[test]
    fn what_is_recorded_is_rendered() {
        let monitor = StorageMonitor::new().unwrap();
        let store = monitor.store(&name("documents"));
        store.record_read(10);
        monitor.store(&name("documents")).record_read(5);
        store.record_write(7);
        store.record_delete();
        store.record_call(Operation::Store, Instant::now(), &Ok(()));
        store.record_call::<()>(Operation::Retrieve, Instant::now(), &Err(Error::timeout("too long")));
        let text = monitor.render().unwrap();
        for line in [
            r#"larder_reads_total{store="documents"} 2"#,
            r#"larder_read_bytes_total{store="documents"} 15"#,
            r#"larder_write_bytes_total{store="documents"} 7"#,
            r#"larder_deletes_total{store="documents"} 1"#,
            r#"larder_provider_call_duration_seconds_count{operation="store",outcome="ok",store="documents"} 1"#,
            r#"_duration_seconds_count{operation="retrieve",outcome="timeout",store="documents"} 1"#,
            "# TYPE larder_reads_total counter",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn what_nobody_knows_yet_is_absent() {
        let monitor = StorageMonitor::new().unwrap();
        let store = monitor.store(&name("documents"));
        let unknown = ["larder_stored_bytes", "larder_stored_objects", "larder_provider_up"];
        assert!(unknown.iter().all(|family| !monitor.render().unwrap().contains(family)));
        store.record_usage(Usage { objects: 3, bytes: 300 });
        store.record_health(Health::Down);
        let text = monitor.render().unwrap();
        assert!(text.contains(r#"larder_stored_bytes{store="documents"} 300"#), "{text}");
        assert!(text.contains(r#"larder_provider_up{store="documents"} 0"#), "{text}");
    }

    #[test]
    fn a_store_that_is_gone_is_forgotten() {
        let monitor = StorageMonitor::new().unwrap();
        let (gone, there) = (monitor.store(&name("gone")), monitor.store(&name("there")));
        for store in [&gone, &there] {
            store.record_read(1);
            store.record_call(Operation::Retrieve, Instant::now(), &Ok(()));
        }
        monitor.sample(crate::object::now());
        monitor.forget(&name("gone"));
        let text = monitor.render().unwrap();
        assert!(!text.contains("gone") && text.contains("there"), "{text}");
        assert_eq!(monitor.store(&name("gone")).history(), []);
        assert_eq!(monitor.store(&name("there")).history()[0].reads, 1);
    }

    #[test]
    fn the_figures_of_a_cache_are_asked_for_when_wanted() {
        let monitor = StorageMonitor::new().unwrap();
        let store = monitor.store(&name("documents"));
        store.watch_cache(|| CacheStats {
            hits: 5,
            misses: 4,
            evictions: 3,
            entries: 2,
            weight: 1,
            failed_strategies: 0,
            monitored: crate::cache::Monitored::default(),
        });
        let metrics = monitor.snapshot()[&name("documents")];
        assert_eq!((metrics.cache_hits, metrics.cache_misses, metrics.cache_evictions), (5, 4, 3));
        assert_eq!((metrics.cache_entries, metrics.cache_bytes), (2, 1));
    }

    #[test]
    fn every_metric_is_documented() {
        let monitor = StorageMonitor::new().unwrap();
        let store = monitor.store(&name("documents"));
        store.record_usage(Usage::default());
        store.record_health(Health::Up);
        store.record_call(Operation::List, Instant::now(), &Ok(()));
        let documented = include_str!("../../docs/metrics.md");
        for family in monitor.registry().gather() {
            assert!(documented.contains(&format!("`{}`", family.name())), "{} is not documented", family.name());
        }
    }
}
