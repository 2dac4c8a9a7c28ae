use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use tokio::sync::Mutex;

use super::StateStore;
use super::state_store::Entries;
use crate::error::{Error, Result};
use crate::provider::file::{FileOptions, FileStorageProvider};

/// The states that are open, by folder: a folder is opened once, and all uses of a plugin share what it holds.
#[derive(Debug, Default)]
pub(super) struct OpenStates {
    /// Held while one is opened, so that it happens once.
    by_folder: Mutex<BTreeMap<PathBuf, Weak<Entries>>>,
}

impl OpenStates {
    /// The state that is kept in a folder, which is made if it is not there. The capacity asked for last holds for all.
    ///
    /// # Errors
    /// Those of [`FileStorageProvider::open`] and [`StateStore::open`].
    pub(super) async fn open(&self, folder: &Path, capacity: u64) -> Result<StateStore> {
        let mut by_folder = self.by_folder.lock().await;
        if let Some(entries) = by_folder.get(folder).and_then(Weak::upgrade) {
            entries.capacity.store(capacity, Ordering::Relaxed);
            return Ok(StateStore(entries));
        }
        let opening = folder.to_owned();
        let opened =
            tokio::task::spawn_blocking(move || FileStorageProvider::open(&opening, &FileOptions::default())).await;
        let provider = opened.unwrap_or_else(|failed| Err(Error::internal(failed.to_string())))?;
        let state = StateStore::open(Arc::new(provider), capacity).await?;
        by_folder.retain(|_, entries| entries.strong_count() > 0);
        by_folder.insert(folder.to_owned(), Arc::downgrade(&state.0));
        Ok(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Key;
    use crate::provider::Condition;

    #[tokio::test]
    async fn a_folder_is_shared_while_it_is_open_and_kept_when_it_is_not() {
        let (folder, open) = (tempfile::tempdir().unwrap(), OpenStates::default());
        let key = Key::new("k").unwrap();
        let first = open.open(folder.path(), 1 << 20).await.unwrap();
        let second = open.open(folder.path(), 1 << 20).await.unwrap();
        let version = first.put(key.clone(), "v".into(), Condition::None).await.unwrap();
        assert_eq!(second.get(key.clone()).await.unwrap().unwrap(), ("v".into(), version.clone()));
        drop((first, second));
        let again = open.open(folder.path(), 300).await.unwrap();
        assert_eq!(again.get(key.clone()).await.unwrap().unwrap(), ("v".into(), version));
        let full = again.put(key, vec![0; 100].into(), Condition::None).await;
        assert!(matches!(full, Err(Error::Exhausted { .. })), "{full:?}");
    }
}
