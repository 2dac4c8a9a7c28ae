//! What commands do with the data while no host runs on it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::assembly::{Assembly, layers};
use super::audit::AuditLog;
use super::catalog::Catalog;
use super::{DataDir, Host, HostError, lifecycle};
use crate::config::{Config, StorageConfig, StorageType, StoreTemplate};
use crate::error::{Error, Result};
use crate::events::EventStream;
use crate::lifecycle::{AgeingStore, Audit, LifecycleManager, ReadLog};
use crate::manager::StorageManager;
use crate::monitor::StorageMonitor;
use crate::object::{StoreName, now};
use crate::plugin::Grant;
use crate::provider::StorageProvider;
use crate::provider::layers::{Encryption, Rekeyed, rekey};

impl Host {
    /// Opens the provider of one store, without a cache and without tasks, for a command that works alone. Stores that
    /// plugins are granted are opened with it.
    ///
    /// # Errors
    /// Why it can not be opened; [`HostError::Store`] with [`Error::Unavailable`] if what it keeps would be gone with
    /// this process.
    pub async fn open_store(
        config: &Config,
        data_dir: &DataDir,
        name: &StoreName,
        progress: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Arc<dyn StorageProvider>, HostError> {
        let store = lasting_store(config, name)?;
        Self::build_provider(config, &store, progress).await?;
        let monitor = StorageMonitor::new()?;
        let runtime = Assembly::runtime(config, data_dir.path())?;
        let provider = Assembly::new(config, data_dir.path(), &runtime, &monitor).provider(name, &store).await?;
        // A host that was killed while it probed the store left behind what only a manager hides.
        Ok(Arc::new(StorageManager::new(name.clone(), provider, None, monitor.store(name))))
    }

    /// Encrypts with a store's current key what is encrypted with an old one or not at all, as [`rekey`]. No host runs on
    /// the data folder.
    ///
    /// # Errors
    /// Why the store can not be opened, or an object not be read or written; [`Error::InvalidInput`] if the store is not
    /// encrypted.
    pub async fn rekey_store(
        config: &Config,
        data_dir: &DataDir,
        name: &StoreName,
        progress: &mut (dyn FnMut(&str) + Send),
        tell: impl FnMut(Rekeyed),
    ) -> Result<Rekeyed, HostError> {
        let failed = |error| HostError::Store { store: name.clone(), error };
        let store = lasting_store(config, name)?;
        let Some(encryption) = Self::encryption_of(config, name)? else {
            let message = "it has no `encryption` in the configuration: name a key there first";
            return Err(failed(Error::invalid_input(message)));
        };
        Self::build_provider(config, &store, progress).await?;
        let monitor = StorageMonitor::new()?;
        let runtime = Assembly::runtime(config, data_dir.path())?;
        let mut assembly = Assembly::new(config, data_dir.path(), &runtime, &monitor);
        let provider = assembly.bare_provider(name, &store).await?;
        rekey(&provider, encryption, tell).await.map_err(failed)
    }

    /// What the objects of a store are encrypted with, and may be.
    ///
    /// # Errors
    /// [`HostError::Store`] if a key can not be read.
    pub fn encryption_of(config: &Config, name: &StoreName) -> Result<Option<Encryption>, HostError> {
        let store = config.stores.get(name).cloned().unwrap_or_else(|| client_store(config));
        Ok(layers(name, &store)?.encryption)
    }

    /// Builds the plugin that a store's provider is, if it is one and stale.
    async fn build_provider(
        config: &Config,
        store: &StorageConfig,
        progress: &mut (dyn FnMut(&str) + Send),
    ) -> Result<(), HostError> {
        match &store.provider_type {
            StorageType::Custom(plugin) => Assembly::build_stale(config, std::iter::once(plugin), progress).await,
            _ => Ok(()),
        }
    }

    /// The stores that front doors serve in a data folder on which no host runs.
    ///
    /// # Errors
    /// [`HostError::DataDir`] if the record of what clients made can not be read.
    pub fn visible_stores(config: &Config, data_dir: &DataDir) -> Result<Vec<StoreName>, HostError> {
        let catalog = Catalog::open(data_dir.path())?;
        let configured = config.stores.iter().filter(|(_, store)| !store.internal).map(|(name, _)| name);
        let made = catalog.made_by_clients().filter(|name| !config.stores.contains_key(*name));
        let mut names: Vec<StoreName> = configured.chain(made).cloned().collect();
        names.sort();
        Ok(names)
    }

    /// The stores of type `file` and their folders, in order of name: also those that are internal, and those that clients
    /// made. Nothing is opened, and a host may run.
    ///
    /// # Errors
    /// [`HostError::DataDir`] if the record of what clients made can not be read.
    pub fn file_stores(config: &Config) -> Result<BTreeMap<StoreName, PathBuf>, HostError> {
        let catalog = Catalog::open(&config.data_dir)?;
        let made = client_store(config);
        let made = catalog.made_by_clients().map(|name| (name, &made));
        // What the configuration says of a name holds, and so comes last.
        let files = made.chain(&config.stores).filter(|(_, store)| store.provider_type == StorageType::File);
        let folders: BTreeMap<_, _> =
            files.map(|(name, store)| (name.clone(), store.folder(name, &config.data_dir))).collect();
        Ok(folders)
    }

    /// The audit log of a data folder on which no host runs.
    ///
    /// # Errors
    /// [`HostError::DataDir`] if it can not be written.
    pub fn audit_log(data_dir: &DataDir) -> Result<Arc<dyn Audit>, HostError> {
        Ok(Arc::new(AuditLog::open(data_dir.path(), EventStream::default())?))
    }

    /// The policies that the configuration names for a store, ready to be asked about the objects of `store`; with `only`,
    /// that rule or plugin alone. For a command: nothing is scheduled.
    ///
    /// # Errors
    /// Why a policy can not be loaded; [`HostError::Store`] with [`Error::InvalidInput`] if there is none.
    pub async fn policies_of(
        config: &Config,
        name: &StoreName,
        store: Arc<dyn AgeingStore>,
        only: Option<&str>,
        progress: &mut (dyn FnMut(&str) + Send),
    ) -> Result<LifecycleManager, HostError> {
        let refuse = |message: String| HostError::Store { store: name.clone(), error: Error::invalid_input(message) };
        let configured =
            config.stores.get(name).map_or_else(|| client_store(config).lifecycle, |it| it.lifecycle.clone());
        let Some(mut lifecycle) = configured else {
            return Err(refuse("it has no `lifecycle` in the configuration".to_owned()));
        };
        if let Some(only) = only {
            lifecycle.rules.retain(|rule| rule.name == only);
            lifecycle.policies.retain(|plugin| plugin.as_str() == only);
            if lifecycle.rules.is_empty() && lifecycle.policies.is_empty() {
                return Err(refuse(format!("it has no rule and no policy {only:?}")));
            }
        }
        Assembly::build_stale(config, lifecycle.policies.iter(), progress).await?;
        let monitor = StorageMonitor::new()?;
        let runtime = Assembly::runtime(config, &config.data_dir)?;
        let mut assembly = Assembly::new(config, &config.data_dir, &runtime, &monitor);
        let manager = lifecycle::manager(&mut assembly, name, &lifecycle, store).await?;
        let reads = ReadLog::peek(&lifecycle::read_log(&config.data_dir, name), Arc::new(now));
        Ok(reads.map(Arc::new).into_iter().fold(manager, LifecycleManager::with_reads))
    }

    /// The log of what is read in a store of a data folder on which no host runs, if reads are noted there.
    ///
    /// # Errors
    /// [`HostError::Store`] if it can not be opened.
    pub fn read_log(config: &Config, data_dir: &DataDir, name: &StoreName) -> Result<Option<Arc<ReadLog>>, HostError> {
        let store = config.stores.get(name).cloned().unwrap_or_else(|| client_store(config));
        if !store.lifecycle.is_some_and(|lifecycle| lifecycle.tracks_reads()) {
            return Ok(None);
        }
        let log = ReadLog::open(&lifecycle::read_log(data_dir.path(), name), Arc::new(now));
        Ok(Some(Arc::new(log.map_err(|error| HostError::Store { store: name.clone(), error })?)))
    }
}

/// What a store is like that a client made. If the configuration does not say any more, it is what it was by default.
pub(super) fn client_store(config: &Config) -> StorageConfig {
    let template = config.new_buckets.clone();
    template.unwrap_or_else(|| StoreTemplate::new(StorageType::File)).to_storage()
}

/// The configuration of a store whose objects are there without a host.
fn lasting_store(config: &Config, name: &StoreName) -> Result<StorageConfig, HostError> {
    let store = config.stores.get(name).cloned().unwrap_or_else(|| client_store(config));
    if is_volatile(config, &store) {
        let error = Error::unavailable("it lives in the memory of a host, and none runs");
        return Err(HostError::Store { store: name.clone(), error });
    }
    Ok(store)
}

/// Whether what a store keeps ends with the process. A plugin that is granted nothing that lasts has nowhere to keep it.
fn is_volatile(config: &Config, store: &StorageConfig) -> bool {
    match &store.provider_type {
        StorageType::Memory => true,
        StorageType::File => false,
        StorageType::Custom(plugin) => {
            let grants = &config.plugins[plugin].grants;
            let lasts = |grant| matches!(grant, Grant::State | Grant::Http | Grant::Files);
            !grants.given().any(lasts) && grants.stores.values().all(|inner| is_volatile(config, &config.stores[inner]))
        }
    }
}
