//! Which stores there are beside those of the configuration, and since when there is each.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::HostError;
use crate::object::{StoreName, Timestamp, now};
use crate::replace_file::replace_file;

const FILE: &str = "stores.json";

/// What is remembered of the stores, in `stores.json` in the data folder.
#[derive(Debug)]
pub(super) struct Catalog {
    path: PathBuf,
    stores: BTreeMap<StoreName, Remembered>,
}

/// What is remembered of a store.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Remembered {
    /// When it was first there.
    pub(super) created_at: Timestamp,
    /// Whether a client made it, after `new_buckets`, and so only this file tells of it.
    pub(super) made_by_client: bool,
}

impl Catalog {
    /// Reads what is remembered; nothing if there is no file yet.
    ///
    /// # Errors
    /// [`HostError::DataDir`] if the file is there and can not be understood.
    pub(super) fn open(data_dir: &std::path::Path) -> Result<Self, HostError> {
        let path = data_dir.join(FILE);
        let stores = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(io::Error::from),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(error),
        };
        match stores {
            Ok(stores) => Ok(Self { path, stores }),
            Err(error) => {
                Err(HostError::DataDir { path, error, hint: "larder wrote it and must be able to read it; restore it" })
            }
        }
    }

    /// The stores that clients made.
    pub(super) fn made_by_clients(&self) -> impl Iterator<Item = &StoreName> {
        self.stores.iter().filter(|(_, remembered)| remembered.made_by_client).map(|(name, _)| name)
    }

    /// What is remembered of a store.
    pub(super) fn get(&self, name: &StoreName) -> Option<Remembered> {
        self.stores.get(name).copied()
    }

    /// Remembers stores that the configuration names, from now on if they are new.
    ///
    /// # Errors
    /// [`HostError::DataDir`] if that can not be written.
    pub(super) fn remember<'a>(&mut self, names: impl Iterator<Item = &'a StoreName>) -> Result<(), HostError> {
        let before = self.stores.len();
        for name in names {
            self.stores.entry(name.clone()).or_insert(Remembered { created_at: now(), made_by_client: false });
        }
        if self.stores.len() == before { Ok(()) } else { self.save() }
    }

    /// Remembers a store that a client made.
    ///
    /// # Errors
    /// [`HostError::DataDir`] if that can not be written; it is then not remembered.
    pub(super) fn add(&mut self, name: &StoreName) -> Result<(), HostError> {
        self.stores.insert(name.clone(), Remembered { created_at: now(), made_by_client: true });
        self.save().inspect_err(|_| {
            self.stores.remove(name);
        })
    }

    /// Forgets a store.
    ///
    /// # Errors
    /// [`HostError::DataDir`] if that can not be written; it is then still remembered.
    pub(super) fn remove(&mut self, name: &StoreName) -> Result<(), HostError> {
        let Some(removed) = self.stores.remove(name) else { return Ok(()) };
        self.save().inspect_err(|_| {
            self.stores.insert(name.clone(), removed);
        })
    }

    fn save(&self) -> Result<(), HostError> {
        let text = serde_json::to_vec_pretty(&self.stores).map_err(io::Error::from);
        text.and_then(|text| replace_file(&self.path, &text)).map_err(|error| HostError::DataDir {
            path: self.path.clone(),
            error,
            hint: "the folder must be writable, and its disk not full",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_made_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let (configured, made) = (StoreName::new("configured").unwrap(), StoreName::new("made").unwrap());
        let mut catalog = Catalog::open(folder.path()).unwrap();
        catalog.remember([&configured].into_iter()).unwrap();
        catalog.add(&made).unwrap();
        let created_at = catalog.get(&configured).unwrap().created_at;

        let mut again = Catalog::open(folder.path()).unwrap();
        again.remember([&configured].into_iter()).unwrap();
        assert_eq!(again.made_by_clients().collect::<Vec<_>>(), [&made]);
        assert_eq!(again.get(&configured).unwrap().created_at, created_at);
        again.remove(&made).unwrap();
        assert_eq!(Catalog::open(folder.path()).unwrap().made_by_clients().count(), 0);
    }

    #[test]
    fn a_broken_file_is_not_taken_for_none() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "{").unwrap();
        assert!(Catalog::open(folder.path()).unwrap_err().to_string().contains(FILE));
    }
}
