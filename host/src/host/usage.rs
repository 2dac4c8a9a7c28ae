//! Counts what stores hold, now and then, for the metrics.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::tasks;
use crate::error::Result;
use crate::manager::StorageManager;
use crate::object::Timestamp;
use crate::scheduler::{Memory, Schedule, ScheduledTask, TaskExecutor};

pub(super) const KIND: &str = "usage";

/// A native provider knows its sums.
const NATIVE: Duration = Duration::from_secs(30);
/// A plugin has to be listed from end to end.
const PLUGIN: Duration = Duration::from_secs(15 * 60);

/// Counts the objects of one store and their bytes. The store's owner writes the sums into its metrics.
#[derive(Debug)]
pub(super) struct UsageSampler(StorageManager);

impl UsageSampler {
    pub(super) fn task(store: StorageManager, native: bool) -> ScheduledTask {
        let name = tasks::name(KIND, store.name());
        let every = if native { NATIVE } else { PLUGIN };
        let task = ScheduledTask::new(name, KIND, Schedule::Every(every), Arc::new(Self(store)));
        ScheduledTask { memory: Memory::Fleeting, ..task }
    }
}

#[async_trait]
impl TaskExecutor for UsageSampler {
    async fn execute(&self, _: Timestamp) -> Result<()> {
        self.0.usage().await.map(|_| ())
    }
}
