//! Looks now and then how the host is, and whether somebody has to know.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::HealthChecker;
use crate::alerts::AlertManager;
use crate::error::{Error, Result};
use crate::monitor::StorageMonitor;
use crate::object::Timestamp;
use crate::scheduler::{Memory, Schedule, ScheduledTask, TaskExecutor};

const KIND: &str = "health";

/// Has the parts of a host looked at, and the rules of alerts asked.
#[derive(Debug)]
pub(super) struct Watch {
    health: Arc<HealthChecker>,
    alerts: Arc<AlertManager>,
    monitor: StorageMonitor,
    begun: Instant,
}

impl Watch {
    pub(super) fn new(health: Arc<HealthChecker>, alerts: Arc<AlertManager>, monitor: StorageMonitor) -> Self {
        Self { health, alerts, monitor, begun: Instant::now() }
    }

    pub(super) fn task(self, every: Duration) -> ScheduledTask {
        let task = ScheduledTask::new(KIND.to_owned(), KIND, Schedule::Every(every), Arc::new(self));
        // Nothing is gained by looking at different moments.
        ScheduledTask { memory: Memory::Fleeting, jitter: Some(Duration::ZERO), ..task }
    }
}

#[async_trait]
impl TaskExecutor for Watch {
    async fn execute(&self, now: Timestamp) -> Result<()> {
        let health = self.health.check().await;
        let (alerts, registry, steady) =
            (Arc::clone(&self.alerts), self.monitor.registry().clone(), self.begun.elapsed());
        // There may be many series, and what fires is written to a file.
        let asked = move || alerts.evaluate(steady, now, &registry.gather(), &health);
        tokio::task::spawn_blocking(asked).await.map_err(|panic| Error::internal(panic.to_string()))
    }
}
