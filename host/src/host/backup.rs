//! Backs a store up, now and then.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::tasks;
use crate::backup::{self, BackupRecord, Keep, Reading, Removed, Repository};
use crate::config::{BackupConfig, RepositoryAddress};
use crate::error::{Error, Result};
use crate::manager::StorageManager;
use crate::object::Timestamp;
use crate::provider::StorageProvider;
use crate::scheduler::{ScheduledTask, TaskExecutor};

pub(super) const KIND: &str = "backup";

/// The places that backups go to. Stores that share one take turns: one process has a folder open once, and backups are not
/// removed while another one is made.
#[derive(Debug, Default)]
pub(super) struct Targets(Mutex<BTreeMap<RepositoryAddress, Arc<tokio::sync::Mutex<()>>>>);

impl Targets {
    pub(super) fn folder(&self, folder: PathBuf) -> Target {
        let turn = self.turn(RepositoryAddress::Folder(folder.clone()));
        Target { place: Place::Folder(folder), turn }
    }

    pub(super) fn store(&self, store: StorageManager) -> Target {
        let turn = self.turn(RepositoryAddress::Store(store.name().clone()));
        Target { place: Place::Store(store), turn }
    }

    fn turn(&self, address: RepositoryAddress) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(self.0.lock().entry(address).or_default())
    }
}

/// Where backups go.
#[derive(Debug)]
pub(super) struct Target {
    place: Place,
    turn: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug)]
enum Place {
    Folder(PathBuf),
    Store(StorageManager),
}

/// Backs up what changed in one store since the last time, as `larder backup create` does, and removes the backups that are
/// not to be kept. A run that had to leave out damaged objects fails, and removes none; the backup is there.
#[derive(Debug)]
pub(super) struct BackUp {
    store: StorageManager,
    target: Target,
    keep: Option<Keep>,
}

impl BackUp {
    pub(super) fn task(store: StorageManager, target: Target, config: &BackupConfig) -> ScheduledTask {
        let name = tasks::name(KIND, store.name());
        config.schedule.task(name, KIND, Arc::new(Self { store, target, keep: config.keep }))
    }

    async fn back_up(&self, repository: &Repository) -> Result<()> {
        let provider: Arc<dyn StorageProvider> = Arc::new(self.store.clone());
        let record = backup::create(repository, self.store.name(), &provider, Reading::Changed, &()).await?;
        let BackupRecord { id, store, objects, bytes, added, left_out, .. } = record;
        tracing::info!(%store, backup = id, objects, bytes, added, left_out, "the store was backed up");
        if left_out > 0 {
            let message =
                format!("{left_out} damaged objects are not in the backup {id}; see `larder store check {store}`");
            return Err(Error::corrupt(message));
        }
        match &self.keep {
            Some(keep) => self.prune(repository, keep).await,
            None => Ok(()),
        }
    }

    async fn prune(&self, repository: &Repository, keep: &Keep) -> Result<()> {
        let mut backups = repository.backups().await?;
        backups.retain(|backup| backup.store == *self.store.name());
        let gone = keep.unwanted(&backups);
        if gone.is_empty() {
            return Ok(());
        }
        let Removed { backups, pieces, bytes } = backup::remove(repository, &gone, &()).await?;
        tracing::info!(store = %self.store.name(), backups, pieces, bytes, "old backups were removed");
        Ok(())
    }
}

#[async_trait]
impl TaskExecutor for BackUp {
    async fn execute(&self, _: Timestamp) -> Result<()> {
        let _turn = self.target.turn.lock().await;
        match &self.target.place {
            Place::Store(store) => self.back_up(&Repository::new(Arc::new(store.clone()))).await,
            // It is closed in between, so that commands can work on it.
            Place::Folder(folder) => self.back_up(&Repository::make(folder).await?).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

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
        let (folder, targets) = (home.path().join("backups"), Targets::default());
        let mut tasks = Vec::new();
        for name in ["one", "two", "three"] {
            tasks.push(BackUp {
                store: store(name, home.path()).await,
                target: targets.folder(folder.clone()),
                keep: None,
            });
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
        let target = Targets::default().folder(folder.clone());
        let error =
            BackUp { store: store("one", home.path()).await, target, keep: None }.execute(now()).await.unwrap_err();
        assert!(error.to_string().contains("holds no backups"), "{error}");
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn what_is_not_to_be_kept_goes_and_what_is_of_other_stores_stays() {
        let home = tempfile::tempdir().unwrap();
        let (targets, vault) = (Targets::default(), store("vault", home.path()).await);
        let keep = |last| Some(Keep { last: NonZeroU32::new(last), ..Keep::default() });
        for (name, keep, runs) in [("one", None, 3), ("two", keep(2), 4), ("three", keep(9), 2)] {
            let task = BackUp { store: store(name, home.path()).await, target: targets.store(vault.clone()), keep };
            for _ in 0..runs {
                task.execute(now()).await.unwrap();
            }
        }
        let backups = Repository::new(Arc::new(vault)).backups().await.unwrap();
        let stores: Vec<&str> = backups.iter().map(|backup| backup.store.as_str()).collect();
        assert_eq!(stores, ["one", "one", "one", "two", "two", "three", "three"]);
    }
}
