//! Backs a store up, now and then.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::tasks;
use crate::backup::{self, BackupRecord, Reading, Repository};
use crate::config::BackupConfig;
use crate::error::{Error, Result};
use crate::manager::StorageManager;
use crate::object::Timestamp;
use crate::provider::StorageProvider;
use crate::scheduler::{ScheduledTask, TaskExecutor};

pub(super) const KIND: &str = "backup";

/// The folders that backups go to. One process has such a folder open once, so stores that share one take turns.
#[derive(Debug, Default)]
pub(super) struct Folders(Mutex<BTreeMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>);

impl Folders {
    pub(super) fn target(&self, folder: PathBuf) -> Target {
        let turn = Arc::clone(self.0.lock().entry(folder.clone()).or_default());
        Target::Folder { folder, turn }
    }
}

/// Where backups go.
#[derive(Debug)]
pub(super) enum Target {
    Folder { folder: PathBuf, turn: Arc<tokio::sync::Mutex<()>> },
    Store(StorageManager),
}

/// Backs up what changed in one store since the last time, as `larder backup create` does. A run that had to leave out damaged
/// objects fails; the backup is there.
#[derive(Debug)]
pub(super) struct BackUp {
    store: StorageManager,
    target: Target,
}

impl BackUp {
    pub(super) fn task(store: StorageManager, target: Target, config: &BackupConfig) -> ScheduledTask {
        config.schedule.task(tasks::name(KIND, store.name()), KIND, Arc::new(Self { store, target }))
    }

    async fn create(&self, repository: &Repository) -> Result<BackupRecord> {
        let provider: Arc<dyn StorageProvider> = Arc::new(self.store.clone());
        backup::create(repository, self.store.name(), &provider, Reading::Changed, &()).await
    }
}

#[async_trait]
impl TaskExecutor for BackUp {
    async fn execute(&self, _: Timestamp) -> Result<()> {
        let record = match &self.target {
            Target::Store(store) => self.create(&Repository::new(Arc::new(store.clone()))).await?,
            Target::Folder { folder, turn } => {
                let _turn = turn.lock().await;
                // It is closed in between, so that commands can work on it.
                self.create(&Repository::make(folder).await?).await?
            }
        };
        let BackupRecord { id, store, objects, bytes, added, left_out, .. } = record;
        tracing::info!(%store, backup = id, objects, bytes, added, left_out, "the store was backed up");
        if left_out > 0 {
            let message =
                format!("{left_out} damaged objects are not in the backup {id}; see `larder store check {store}`");
            return Err(Error::corrupt(message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::StorageMonitor;
    use crate::object::{Body, Key, StoreName, now};
    use crate::provider::StoreOptions;
    use crate::provider::file::{FileOptions, FileStorageProvider};

    async fn store(name: &str, folder: &std::path::Path) -> StorageManager {
        let provider = FileStorageProvider::open(&folder.join(name), &FileOptions::default()).unwrap();
        let name = StoreName::new(name).unwrap();
        let monitor = StorageMonitor::new().unwrap().store(&name);
        let store = StorageManager::new(name, Arc::new(provider), None, monitor);
        store.store_data(&Key::new("a").unwrap(), Body::from(vec![1; 100]), StoreOptions::default()).await.unwrap();
        store
    }

    #[tokio::test]
    async fn stores_that_share_a_folder_take_turns() {
        let home = tempfile::tempdir().unwrap();
        let (folder, folders) = (home.path().join("backups"), Folders::default());
        let mut tasks = Vec::new();
        for name in ["one", "two", "three"] {
            tasks.push(BackUp { store: store(name, home.path()).await, target: folders.target(folder.clone()) });
        }
        let runs = tasks.iter().map(|task| task.execute(now()));
        futures::future::join_all(runs).await.into_iter().collect::<Result<()>>().unwrap();
        let backups = Repository::make(&folder).await.unwrap().backups().await.unwrap();
        let mut stores: Vec<&str> = backups.iter().map(|backup| backup.store.as_str()).collect();
        stores.sort_unstable();
        assert_eq!(stores, ["one", "three", "two"]);
    }

    #[tokio::test]
    async fn a_folder_of_something_else_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("photos");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("cat.jpg"), "meow").unwrap();
        let target = Folders::default().target(folder.clone());
        let error = BackUp { store: store("one", home.path()).await, target }.execute(now()).await.unwrap_err();
        assert!(error.to_string().contains("holds no backups"), "{error}");
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1);
    }
}
