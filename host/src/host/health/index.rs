//! Holds the index of a store against its own structure, now and then.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;
use crate::host::tasks;
use crate::manager::StorageManager;
use crate::object::Timestamp;
use crate::provider::StorageProvider;
use crate::scheduler::{Schedule, ScheduledTask, TaskExecutor};

/// The kind of the tasks that do it.
pub(in super::super) const KIND: &str = "index";

const EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// Looks at the index of one store. A run that finds damage fails.
#[derive(Debug)]
pub(in super::super) struct IndexCheck(StorageManager);

impl IndexCheck {
    pub(in super::super) fn task(store: StorageManager) -> ScheduledTask {
        let name = tasks::name(KIND, store.name());
        ScheduledTask::new(name, KIND, Schedule::Every(EVERY), Arc::new(Self(store)))
    }
}

#[async_trait]
impl TaskExecutor for IndexCheck {
    async fn execute(&self, _: Timestamp) -> Result<()> {
        self.0.check_index().await
    }
}
