//! Reads all of a store, now and then, and holds it against its checksums.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;

use super::tasks;
use crate::config::ScheduleConfig;
use crate::error::{Error, Result};
use crate::manager::StorageManager;
use crate::object::{StoreName, Timestamp};
use crate::provider::{CheckReport, Finding, StorageProvider, Watch};
use crate::scheduler::{ScheduledTask, TaskExecutor};

pub(super) const KIND: &str = "scrub";

/// Checks one store. A run that finds damage fails.
#[derive(Debug)]
pub(super) struct Scrub(StorageManager);

impl Scrub {
    pub(super) fn task(store: StorageManager, schedule: &ScheduleConfig) -> ScheduledTask {
        schedule.task(tasks::name(KIND, store.name()), KIND, Arc::new(Self(store)))
    }
}

#[async_trait]
impl TaskExecutor for Scrub {
    async fn execute(&self, _: Timestamp) -> Result<()> {
        let hearing =
            Arc::new(Hearing { store: self.0.name().clone(), first: Mutex::default(), over: AtomicBool::new(false) });
        let _over = Over(Arc::clone(&hearing));
        let CheckReport { objects, bytes, damage, leftovers } =
            self.0.check(Arc::clone(&hearing) as Arc<dyn Watch>).await?;
        tracing::info!(store = %self.0.name(), objects, bytes, damage, leftovers, "the store was checked");
        if damage == 0 {
            return Ok(());
        }
        let first = hearing.first.lock().take().unwrap_or_default();
        Err(Error::corrupt(format!("damage: {damage}, in {objects} objects; first: {first}")))
    }
}

/// Logs what is damaged, and keeps the first of it.
struct Hearing {
    store: StoreName,
    first: Mutex<Option<String>>,
    over: AtomicBool,
}

impl Watch for Hearing {
    fn expect(&self, _: u64) {}

    fn read(&self, _: u64) {}

    fn found(&self, finding: Finding) {
        if finding.kind.is_damage() {
            tracing::error!(store = %self.store, kind = finding.kind.as_str(), "damage: {}", finding.message);
            self.first.lock().get_or_insert(finding.message);
        }
    }

    fn is_given_up(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// Ends the reading when the run is dropped.
struct Over(Arc<Hearing>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::StorageMonitor;
    use crate::object::{Body, Key, now};
    use crate::provider::StoreOptions;
    use crate::provider::file::{FileOptions, FileStorageProvider};

    #[tokio::test]
    async fn damage_fails_the_run_and_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let provider = FileStorageProvider::open(folder.path(), &FileOptions::default()).unwrap();
        let name = StoreName::new("documents").unwrap();
        let monitor = StorageMonitor::new().unwrap().store(&name);
        let store = StorageManager::new(name, Arc::new(provider), None, monitor);
        let key = Key::new("large").unwrap();
        store.store_data(&key, Body::from(vec![b'y'; 300_000]), StoreOptions::default()).await.unwrap();
        let scrub = Scrub(store);
        scrub.execute(now()).await.unwrap();

        let bodies = walkdir::WalkDir::new(folder.path().join("bodies")).into_iter().map(|entry| entry.unwrap());
        let body = bodies.into_iter().find(|entry| entry.file_type().is_file()).unwrap();
        let mut bytes = std::fs::read(body.path()).unwrap();
        bytes[150_000] ^= 1;
        std::fs::write(body.path(), bytes).unwrap();
        let error = scrub.execute(now()).await.unwrap_err().to_string();
        assert!(error.starts_with("damage: 1, in 1 objects; first: ") && error.contains("large"), "{error}");
    }
}
