use prometheus::{IntCounterVec, Opts, Registry};

use super::LifecycleReport;
use crate::error::{Error, Result};
use crate::object::StoreName;

/// What came of the objects that policies were asked about, counted by store and outcome when a run ends.
#[derive(Clone, Debug)]
pub struct LifecycleMetrics {
    objects: IntCounterVec,
}

impl LifecycleMetrics {
    /// Metrics that a registry shows.
    ///
    /// # Errors
    /// [`Error::Internal`] if it has a metric of the same name.
    pub fn new(registry: &Registry) -> Result<Self> {
        let make = || {
            let options =
                Opts::new("larder_lifecycle_objects_total", "What came of objects that policies were asked about.");
            let objects = IntCounterVec::new(options, &["store", "outcome"])?;
            registry.register(Box::new(objects.clone()))?;
            Ok(Self { objects })
        };
        make().map_err(|error: prometheus::Error| {
            Error::internal(format!("the metrics of lifecycles can not be registered: {error}"))
        })
    }

    /// Shows a store with all that can come of its objects, so that a rate has something to start from.
    pub(super) fn expect(&self, store: &StoreName) {
        self.count(store, &LifecycleReport::default());
    }

    /// Counts what a run came to.
    pub(super) fn count(&self, store: &StoreName, report: &LifecycleReport) {
        let outcomes = [
            ("kept", report.kept + report.in_trash),
            ("archived", report.archived),
            ("deleted", report.deleted),
            ("tagged", report.tagged),
            ("purged", report.purged),
            ("retained", report.kept_by_retention),
            ("undecided", report.kept_by_failure),
            ("changed-meanwhile", report.changed_meanwhile),
            ("failed", report.failed),
        ];
        for (outcome, count) in outcomes {
            self.objects.with_label_values(&[store.as_str(), outcome]).inc_by(count);
        }
    }
}
