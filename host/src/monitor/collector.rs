use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use super::{Health, StorageMetrics, StoreMonitor};
use crate::object::StoreName;

/// The stores that are watched.
pub(super) type Stores = Arc<RwLock<BTreeMap<StoreName, StoreMonitor>>>;

/// Turns the figures of every store into metric families when Prometheus asks.
#[derive(Debug)]
pub(super) struct StoreCollector {
    stores: Stores,
    descriptions: Vec<Desc>,
}

/// A metric that each store has one value of. The value is absent as long as nobody knows it.
struct Family {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    value: fn(&StorageMetrics, Option<Health>) -> Option<u64>,
}

const FAMILIES: &[Family] = &[
    Family {
        name: "larder_reads_total",
        help: "Objects and ranges of objects handed out.",
        kind: MetricType::COUNTER,
        value: |metrics, _| Some(metrics.reads),
    },
    Family {
        name: "larder_writes_total",
        help: "Objects stored.",
        kind: MetricType::COUNTER,
        value: |metrics, _| Some(metrics.writes),
    },
    Family {
        name: "larder_deletes_total",
        help: "Objects deleted.",
        kind: MetricType::COUNTER,
        value: |metrics, _| Some(metrics.deletes),
    },
    Family {
        name: "larder_read_bytes_total",
        help: "Bytes of the bodies handed out.",
        kind: MetricType::COUNTER,
        value: |metrics, _| Some(metrics.read_bytes),
    },
    Family {
        name: "larder_write_bytes_total",
        help: "Bytes of the objects stored.",
        kind: MetricType::COUNTER,
        value: |metrics, _| Some(metrics.write_bytes),
    },
    Family {
        name: "larder_stored_bytes",
        help: "Bytes that the objects had together when they were last counted.",
        kind: MetricType::GAUGE,
        value: |metrics, _| metrics.storage_used,
    },
    Family {
        name: "larder_stored_objects",
        help: "Objects that there were when they were last counted.",
        kind: MetricType::GAUGE,
        value: |metrics, _| metrics.objects,
    },
    Family {
        name: "larder_cache_hits_total",
        help: "Lookups that the cache answered.",
        kind: MetricType::COUNTER,
        value: |metrics, _| Some(metrics.cache_hits),
    },
    Family {
        name: "larder_cache_misses_total",
        help: "Lookups that the cache did not answer.",
        kind: MetricType::COUNTER,
        value: |metrics, _| Some(metrics.cache_misses),
    },
    Family {
        name: "larder_cache_evictions_total",
        help: "Entries that the cache dropped to make room.",
        kind: MetricType::COUNTER,
        value: |metrics, _| Some(metrics.cache_evictions),
    },
    Family {
        name: "larder_cache_entries",
        help: "Entries in the cache.",
        kind: MetricType::GAUGE,
        value: |metrics, _| Some(metrics.cache_entries),
    },
    Family {
        name: "larder_cache_bytes",
        help: "Bytes that the entries in the cache weigh together.",
        kind: MetricType::GAUGE,
        value: |metrics, _| Some(metrics.cache_bytes),
    },
    Family {
        name: "larder_cache_failed_strategies",
        help: "Shards that go on with a native eviction strategy since the plugin's failed there.",
        kind: MetricType::GAUGE,
        value: |metrics, _| Some(metrics.cache_failed_strategies),
    },
    Family {
        name: "larder_cache_monitored_requests_total",
        help: "Requests that a monitored eviction strategy was told of.",
        kind: MetricType::COUNTER,
        value: |metrics, _| Some(metrics.monitored_requests),
    },
    Family {
        name: "larder_cache_monitored_requests_hit_total",
        help: "How many of them were hits.",
        kind: MetricType::COUNTER,
        value: |metrics, _| Some(metrics.monitored_requests_hit),
    },
    Family {
        name: "larder_cache_monitored_would_hit_total",
        help: "How many of them would have been hits, had the monitored strategy decided.",
        kind: MetricType::COUNTER,
        value: |metrics, _| Some(metrics.monitored_would_hit),
    },
    Family {
        name: "larder_provider_up",
        help: "1 if the provider answered when it was last asked, 0 if it failed.",
        kind: MetricType::GAUGE,
        value: |_, health| health.map(|health| u64::from(health == Health::Up)),
    },
];

impl StoreCollector {
    pub(super) fn new(stores: Stores) -> prometheus::Result<Self> {
        let describe = |family: &Family| {
            Desc::new(family.name.to_owned(), family.help.to_owned(), vec!["store".to_owned()], Default::default())
        };
        Ok(Self { stores, descriptions: FAMILIES.iter().map(describe).collect::<Result<_, _>>()? })
    }
}

impl Collector for StoreCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let stores: Vec<StoreMonitor> = self.stores.read().values().cloned().collect();
        let known: Vec<_> = stores.iter().map(|store| (store.name(), store.snapshot(), store.health())).collect();
        let collect = |family: &Family| {
            let metrics: Vec<Metric> = known
                .iter()
                .filter_map(|(store, metrics, health)| {
                    (family.value)(metrics, *health).map(|value| family.metric(store, value))
                })
                .collect();
            let mut collected = MetricFamily::default();
            collected.set_name(family.name.to_owned());
            collected.set_help(family.help.to_owned());
            collected.set_field_type(family.kind);
            collected.set_metric(metrics);
            collected
        };
        FAMILIES.iter().map(collect).filter(|family| !family.get_metric().is_empty()).collect()
    }
}

impl Family {
    fn metric(&self, store: &StoreName, value: u64) -> Metric {
        let mut label = LabelPair::default();
        label.set_name("store".to_owned());
        label.set_value(store.to_string());
        let mut metric = Metric::from_label(vec![label]);
        match self.kind {
            MetricType::COUNTER => {
                let mut counter = Counter::default();
                counter.set_value(value as f64);
                metric.set_counter(counter);
            }
            _ => {
                let mut gauge = Gauge::default();
                gauge.set_value(value as f64);
                metric.set_gauge(gauge);
            }
        }
        metric
    }
}
