use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use parking_lot::Mutex;
use prometheus::{Histogram, HistogramVec};

use super::history::{History, Sample};
use super::operation::{OUTCOMES, outcome_index};
use super::{Operation, StorageMetrics};
use crate::cache::CacheStats;
use crate::counter::Counter;
use crate::error::Result;
use crate::object::{StoreName, Timestamp};
use crate::provider::Usage;

/// Takes note of what one store does. Cloning shares the figures.
///
/// Counters are striped by thread, and a histogram is looked up by its labels once and then kept: nothing here takes a
/// lock on the way of an object.
#[derive(Clone)]
pub struct StoreMonitor(Arc<Figures>);

struct Figures {
    name: StoreName,
    reads: Counter,
    writes: Counter,
    deletes: Counter,
    /// How long calls of the provider took, by operation and outcome, each made when it first has something to tell.
    durations: [[OnceLock<Histogram>; OUTCOMES.len()]; Operation::ALL.len()],
    duration_family: HistogramVec,
    usage: Mutex<Option<Usage>>,
    health: Mutex<Option<Health>>,
    cache: Mutex<Option<CacheProbe>>,
    history: Mutex<History>,
}

type CacheProbe = Box<dyn Fn() -> CacheStats + Send + Sync>;

/// Whether a provider answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It answered when it was last asked.
    Up,
    /// It failed when it was last asked.
    Down,
}

impl StoreMonitor {
    pub(super) fn new(name: StoreName, duration_family: HistogramVec) -> Self {
        Self(Arc::new(Figures {
            name,
            reads: Counter::default(),
            writes: Counter::default(),
            deletes: Counter::default(),
            durations: Default::default(),
            duration_family,
            usage: Mutex::new(None),
            health: Mutex::new(None),
            cache: Mutex::new(None),
            history: Mutex::default(),
        }))
    }

    /// The store that it is about.
    pub fn name(&self) -> &StoreName {
        &self.0.name
    }

    /// An object, or a range of one, of so many bytes was handed out.
    pub fn record_read(&self, bytes: u64) {
        self.0.reads.add(bytes);
    }

    /// An object of so many bytes was stored.
    pub fn record_write(&self, bytes: u64) {
        self.0.writes.add(bytes);
    }

    /// An object was deleted.
    pub fn record_delete(&self) {
        self.0.deletes.count();
    }

    /// The provider was called at `started` and answered just now.
    pub fn record_call<T>(&self, operation: Operation, started: Instant, result: &Result<T>) {
        let outcome = outcome_index(result);
        let labels = [self.0.name.as_str(), operation.as_str(), OUTCOMES[outcome]];
        let histogram = self.0.durations[operation as usize][outcome]
            .get_or_init(|| self.0.duration_family.with_label_values(&labels));
        histogram.observe(started.elapsed().as_secs_f64());
    }

    /// The store's objects were counted.
    pub fn record_usage(&self, usage: Usage) {
        *self.0.usage.lock() = Some(usage);
    }

    /// The provider was asked whether it is well.
    pub fn record_health(&self, health: Health) {
        *self.0.health.lock() = Some(health);
    }

    /// What was last recorded of the provider's health, if anything was.
    pub fn health(&self) -> Option<Health> {
        *self.0.health.lock()
    }

    /// Asks `probe` for the cache's figures whenever they are wanted, in place of any it asked before.
    pub fn watch_cache(&self, probe: impl Fn() -> CacheStats + Send + Sync + 'static) {
        *self.0.cache.lock() = Some(Box::new(probe));
    }

    /// Takes a sample of the figures, for the history.
    pub fn sample(&self, at: Timestamp) {
        let figures = self.snapshot();
        self.0.history.lock().take(at, figures);
    }

    /// The last samples, oldest first; up to [`Sample::KEPT`].
    pub fn history(&self) -> Vec<Sample> {
        self.0.history.lock().samples()
    }

    /// The figures as they are now.
    pub fn snapshot(&self) -> StorageMetrics {
        let figures = &*self.0;
        let usage = *figures.usage.lock();
        let cache = figures.cache.lock().as_ref().map(|probe| probe()).unwrap_or_default();
        let own = StorageMetrics {
            reads: figures.reads.events(),
            writes: figures.writes.events(),
            deletes: figures.deletes.events(),
            read_bytes: figures.reads.sum(),
            write_bytes: figures.writes.sum(),
            storage_used: usage.map(|usage| usage.bytes),
            objects: usage.map(|usage| usage.objects),
            ..StorageMetrics::default()
        };
        own.with_cache(cache)
    }

    /// Takes its histograms out of the registry.
    pub(super) fn retire(&self) {
        for (operation, outcomes) in Operation::ALL.iter().zip(&self.0.durations) {
            for (outcome, histogram) in OUTCOMES.iter().zip(outcomes) {
                if histogram.get().is_some() {
                    // It fails if the series is not there, which is what is wanted.
                    let labels = [self.0.name.as_str(), operation.as_str(), *outcome];
                    let _ = self.0.duration_family.remove_label_values(&labels);
                }
            }
        }
    }
}

impl fmt::Debug for StoreMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreMonitor")
            .field("name", &self.0.name)
            .field("metrics", &self.snapshot())
            .finish_non_exhaustive()
    }
}
