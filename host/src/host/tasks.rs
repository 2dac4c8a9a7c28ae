//! What is done to stores again and again.

use std::sync::Arc;

use super::HostError;
use super::assembly::Assembly;
use super::backup::{self, BackUp, Targets};
use super::health::{self, IndexCheck};
use super::scrub::{self, Scrub};
use super::usage;
use crate::config::{RepositoryAddress, StorageConfig, StorageType};
use crate::lifecycle::LifecycleManager;
use crate::object::StoreName;
use crate::scheduler::TaskScheduler;

/// The kind of the tasks that ask policies.
pub(super) const LIFECYCLE: &str = "lifecycle";
/// The kinds of all tasks.
pub(super) const KINDS: [&str; 5] = [LIFECYCLE, health::INDEX_KIND, scrub::KIND, backup::KIND, usage::KIND];

/// What the task is called that does this to a store.
pub(super) fn name(kind: &str, store: &StoreName) -> String {
    format!("{kind}:{store}")
}

/// Schedules what the configuration says is done to a store again and again; `lifecycle` has its policies, if it has any.
pub(super) async fn schedule(
    assembly: &mut Assembly<'_>,
    scheduler: &TaskScheduler,
    targets: &Targets,
    name: &StoreName,
    config: &StorageConfig,
    lifecycle: Option<&Arc<LifecycleManager>>,
) -> Result<(), HostError> {
    if let (Some(config), Some(manager)) = (&config.lifecycle, lifecycle) {
        let schedule = config.schedule();
        scheduler.schedule_task(schedule.task(self::name(LIFECYCLE, name), LIFECYCLE, manager.clone()))?;
    }
    if config.provider_type == StorageType::File {
        scheduler.schedule_task(IndexCheck::task(assembly.store(name).await?))?;
    }
    if let Some(schedule) = &config.scrub {
        scheduler.schedule_task(Scrub::task(assembly.store(name).await?, schedule))?;
    }
    if let Some(config) = &config.backup {
        let target = match &config.to {
            RepositoryAddress::Folder(folder) => targets.folder(folder.clone()),
            RepositoryAddress::Store(store) => targets.store(assembly.store(store).await?.without_reads()),
        };
        scheduler.schedule_task(BackUp::task(assembly.store(name).await?.without_reads(), target, config))?;
    }
    Ok(())
}
