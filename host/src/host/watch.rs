//! Looks now and then how the host is.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::HealthChecker;
use crate::error::Result;
use crate::object::Timestamp;
use crate::scheduler::{Memory, Schedule, ScheduledTask, TaskExecutor};

const KIND: &str = "health";

/// Has the parts of a host looked at, so that metrics tell of them.
#[derive(Debug)]
pub(super) struct Watch {
    health: Arc<HealthChecker>,
}

impl Watch {
    pub(super) fn task(health: Arc<HealthChecker>, every: Duration) -> ScheduledTask {
        let watch = Arc::new(Self { health });
        let task = ScheduledTask::new(KIND.to_owned(), KIND, Schedule::Every(every), watch);
        ScheduledTask { memory: Memory::Fleeting, ..task }
    }
}

#[async_trait]
impl TaskExecutor for Watch {
    async fn execute(&self, _: Timestamp) -> Result<()> {
        self.health.check().await;
        Ok(())
    }
}
