use std::sync::Arc;

use async_trait::async_trait;

use super::spool::Spool;
use super::{ABANDONED, COLLECTED_EVERY};
use crate::error::Result;
use crate::object::Timestamp;
use crate::scheduler::{Schedule, ScheduledTask, TaskExecutor};

/// Removes abandoned uploads.
#[derive(Debug)]
pub(super) struct Sweep(Spool);

impl Sweep {
    pub(super) fn task(spool: Spool) -> ScheduledTask {
        let every = Schedule::Every(COLLECTED_EVERY);
        ScheduledTask::new("sweep:uploads".to_owned(), "sweep", every, Arc::new(Self(spool)))
    }
}

#[async_trait]
impl TaskExecutor for Sweep {
    async fn execute(&self, _: Timestamp) -> Result<()> {
        let count = self.0.collect(ABANDONED).await?;
        if count > 0 {
            tracing::info!(count, "removed abandoned multipart uploads");
        }
        Ok(())
    }
}
