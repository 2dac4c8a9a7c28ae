//! Takes samples of what the stores do, for whoever asks later how it went.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;
use crate::monitor::StorageMonitor;
use crate::object::Timestamp;
use crate::scheduler::{Memory, Schedule, ScheduledTask, TaskExecutor};

const KIND: &str = "samples";
const EVERY: Duration = Duration::from_secs(60);

/// Takes a sample of every store.
#[derive(Debug)]
pub(super) struct Sampler(StorageMonitor);

impl Sampler {
    pub(super) fn task(monitor: StorageMonitor) -> ScheduledTask {
        let task = ScheduledTask::new(KIND.to_owned(), KIND, Schedule::Every(EVERY), Arc::new(Self(monitor)));
        ScheduledTask { memory: Memory::Fleeting, ..task }
    }
}

#[async_trait]
impl TaskExecutor for Sampler {
    async fn execute(&self, now: Timestamp) -> Result<()> {
        self.0.sample(now);
        Ok(())
    }
}
