//! Makes the parts that a configuration describes: plugins of components, providers of plugins, stores of providers.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;

use bytesize::ByteSize;
use futures::future::BoxFuture;
use tracing::info;

use super::HostError;
use super::components::{self, Located};
use super::lifecycle;
use super::plugins::{self, PluginUse};
use crate::cache::{self, CacheManager};
use crate::config::{
    ComponentSource, Config, EvictionPolicy, LifecycleConfig, PluginMode, PluginName, StorageConfig, StorageType,
};
use crate::error::Error;
use crate::events::EventStream;
use crate::lifecycle::{LifecyclePolicy, ReadLog, Rule};
use crate::manager::StorageManager;
use crate::monitor::StorageMonitor;
use crate::object::{StorageMetadata, StoreName, now};
use crate::plugin::{GrantedStores, Grants, Plugin, PluginError, PluginOptions, PluginRuntime, build};
use crate::provider::StorageProvider;
use crate::provider::file::{FileOptions, FileStorageProvider};
use crate::provider::layers::{Ageing, AgeingOptions, Layers, Lock, Seal};
use crate::provider::memory::MemoryStorageProvider;

/// The folder of compiled plugins, in the data folder.
const COMPILED: &str = "compiled";

/// Stores in the making. A store that plugins of others are granted is made before those, once.
pub(super) struct Assembly<'a> {
    config: &'a Config,
    data_dir: &'a Path,
    runtime: &'a PluginRuntime,
    monitor: &'a StorageMonitor,
    events: EventStream,
    pub(super) stores: BTreeMap<StoreName, StorageManager>,
    pub(super) plugins: Vec<PluginUse>,
}

impl<'a> Assembly<'a> {
    pub(super) fn new(
        config: &'a Config,
        data_dir: &'a Path,
        runtime: &'a PluginRuntime,
        monitor: &'a StorageMonitor,
    ) -> Self {
        let events = EventStream::default();
        Self { config, data_dir, runtime, monitor, events, stores: BTreeMap::new(), plugins: Vec::new() }
    }

    /// Has the stores tell these events of what changes.
    pub(super) fn with_events(self, events: &EventStream) -> Self {
        Self { events: events.clone(), ..self }
    }

    /// The folder that the host keeps everything in.
    pub(super) fn data_dir(&self) -> &Path {
        self.data_dir
    }

    /// A plugin runtime that keeps compiled code in the data folder.
    ///
    /// # Errors
    /// [`HostError::Runtime`].
    pub(super) fn runtime(config: &Config, data_dir: &Path) -> Result<PluginRuntime, HostError> {
        let runtime = PluginRuntime::new(data_dir.join(COMPILED)).map_err(HostError::Runtime)?;
        Ok(runtime.with_memory(usize::try_from(config.plugin_memory.bytes()).unwrap_or(usize::MAX)))
    }

    /// Builds those of the plugins that are built from source and are stale.
    ///
    /// # Errors
    /// [`HostError::Build`].
    pub(super) async fn build_stale(
        config: &Config,
        plugins: impl Iterator<Item = &PluginName>,
        progress: &mut (dyn FnMut(&str) + Send),
    ) -> Result<(), HostError> {
        let mut stale = Vec::new();
        for plugin in plugins {
            if let ComponentSource::Source(dir) = &config.plugins[plugin].component
                && build::is_stale(dir)?
            {
                stale.push(dir.as_path());
            }
        }
        if !stale.is_empty() {
            build::build_all(&stale, progress).await?;
        }
        Ok(())
    }

    /// The store of this name, made with all that it stands on if it is not there yet.
    ///
    /// # Errors
    /// Why it can not be made.
    pub(super) fn store<'s>(&'s mut self, name: &'s StoreName) -> BoxFuture<'s, Result<StorageManager, HostError>> {
        Box::pin(async move {
            if let Some(store) = self.stores.get(name) {
                return Ok(store.clone());
            }
            let config = &self.config.stores[name];
            let store = self.make(name, config).await?;
            self.stores.insert(name.clone(), store.clone());
            Ok(store)
        })
    }

    /// A store made after `config`, whatever else the configuration says.
    ///
    /// # Errors
    /// Why it can not be made.
    pub(super) async fn make(&mut self, name: &StoreName, config: &StorageConfig) -> Result<StorageManager, HostError> {
        let provider = self.provider(name, config).await?;
        let cache = match &config.cache {
            Some(cache) => Some(self.cache(name, cache).await?),
            None => None,
        };
        let (monitor, events) = (self.monitor.store(name), self.events.clone());
        let manager = StorageManager::with_events(name.clone(), provider, cache, monitor, events);
        let seal = layers(name, config)?.encryption.map(Seal::new);
        let manager = seal.into_iter().fold(manager, StorageManager::with_seal);
        let reads = self.reads(name, config).await?;
        Ok(reads.into_iter().fold(manager, StorageManager::with_reads))
    }

    /// Where what is read in a store is noted, if anybody wants to know. Where nobody does, reads are not noted from now on,
    /// and what was noted before is nothing to go by later.
    async fn reads(&self, name: &StoreName, config: &StorageConfig) -> Result<Option<Arc<ReadLog>>, HostError> {
        let path = lifecycle::read_log(self.data_dir, name);
        let wanted = config.lifecycle.as_ref().is_some_and(LifecycleConfig::tracks_reads);
        let open = move || match wanted {
            true => ReadLog::open(&path, Arc::new(now)).map(|log| Some(Arc::new(log))),
            false => ReadLog::remove(&path).map(|()| None),
        };
        let opened = tokio::task::spawn_blocking(open).await;
        let opened = opened.unwrap_or_else(|error| Err(Error::internal(error.to_string())));
        opened.map_err(|error| HostError::Store { store: name.clone(), error })
    }

    /// Where the objects of a store live, within their layers.
    ///
    /// # Errors
    /// Why it can not be reached.
    pub(super) async fn provider(
        &mut self,
        name: &StoreName,
        config: &StorageConfig,
    ) -> Result<Arc<dyn StorageProvider>, HostError> {
        let layered = layers(name, config)?.around(self.bare_provider(name, config).await?);
        match &config.lifecycle {
            Some(lifecycle) => Ok(Arc::new(Ageing::new(layered, self.ageing(name, lifecycle).await?))),
            None => {
                // It costs every write, and nothing looks at it any more.
                if let Some(index) = Arc::clone(&layered).due_index() {
                    index.end().await.map_err(|error| HostError::Store { store: name.clone(), error })?;
                }
                Ok(layered)
            }
        }
    }

    /// How the objects of a store can age.
    ///
    /// # Errors
    /// Why its archive can not be made.
    async fn ageing(&mut self, name: &StoreName, config: &LifecycleConfig) -> Result<AgeingOptions, HostError> {
        let archive = match &config.archive_to {
            Some(archive) => {
                let store = Arc::new(self.store(archive).await?.without_reads());
                Some((archive.clone(), store as Arc<dyn StorageProvider>))
            }
            None => None,
        };
        let locks: Vec<Rule> = config.rules().map(|(_, rule)| rule).filter(|rule| rule.lock).collect();
        let lock = (!locks.is_empty()).then(|| {
            Arc::new(move |object: &StorageMetadata| locks.iter().filter_map(|rule| rule.locks_until(object)).max())
                as Lock
        });
        Ok(AgeingOptions { store: name.clone(), archive, recall: config.recall, lock, clock: Arc::new(now) })
    }

    /// Where the bytes of a store live, below all layers.
    ///
    /// # Errors
    /// Why it can not be reached.
    pub(super) async fn bare_provider(
        &mut self,
        name: &StoreName,
        config: &StorageConfig,
    ) -> Result<Arc<dyn StorageProvider>, HostError> {
        match &config.provider_type {
            StorageType::Memory => Ok(Arc::new(MemoryStorageProvider::new())),
            StorageType::File => {
                let folder = config.folder(name, self.data_dir);
                let options = FileOptions { durability: config.durability.unwrap_or_default() };
                let opening = tokio::task::spawn_blocking(move || FileStorageProvider::open(&folder, &options));
                let opened = opening.await.unwrap_or_else(|error| Err(Error::internal(error.to_string())));
                Ok(Arc::new(opened.map_err(|error| HostError::Store { store: name.clone(), error })?))
            }
            StorageType::Custom(plugin) => self.plugin(plugin, name, Plugin::provider).await,
        }
    }

    /// The policy that a plugin is, for a store.
    ///
    /// # Errors
    /// Why it can not be loaded.
    pub(super) async fn policy(
        &mut self,
        plugin: &PluginName,
        store: &StoreName,
    ) -> Result<Arc<dyn LifecyclePolicy>, HostError> {
        self.plugin(plugin, store, Plugin::lifecycle).await
    }

    /// Whether what a plugin says is done.
    pub(super) fn mode(&self, plugin: &PluginName) -> PluginMode {
        self.config.plugins[plugin].mode
    }

    async fn cache(
        &mut self,
        store: &StoreName,
        config: &crate::config::CacheConfig,
    ) -> Result<CacheManager, HostError> {
        let eviction_policy = match &config.eviction_policy {
            EvictionPolicy::Default => cache::EvictionPolicy::Default,
            EvictionPolicy::Lru => cache::EvictionPolicy::Lru,
            EvictionPolicy::Fifo => cache::EvictionPolicy::Fifo,
            EvictionPolicy::Random => cache::EvictionPolicy::Random,
            EvictionPolicy::Lfu => cache::EvictionPolicy::Lfu,
            EvictionPolicy::Sieve => cache::EvictionPolicy::Sieve,
            EvictionPolicy::Clock => cache::EvictionPolicy::Clock,
            EvictionPolicy::S3Fifo => cache::EvictionPolicy::S3Fifo,
            EvictionPolicy::Custom(plugin) => {
                let factory = self.plugin(plugin, store, Plugin::eviction).await?;
                match self.mode(plugin) {
                    PluginMode::Enforce => cache::EvictionPolicy::Custom(factory),
                    PluginMode::Monitor => cache::EvictionPolicy::Monitored(factory),
                }
            }
        };
        let config = cache::CacheConfig {
            size_limit: ByteSize::b(config.size_limit.bytes()),
            max_entries: config.max_entries.map(NonZeroU64::get),
            ttl: config.ttl(self.config.cache).map(|ttl| ttl.as_duration()),
            negative_ttl: config.negative_ttl.map(|ttl| ttl.as_duration()),
            eviction_policy,
            entry_limit: ByteSize::b(config.entry_limit.bytes()),
        };
        CacheManager::new(&config).map_err(|error| HostError::Store { store: store.clone(), error })
    }

    /// What the configuration grants a plugin, made ready.
    async fn grants(&mut self, name: &PluginName) -> Result<Grants, HostError> {
        let config = &self.config.plugins[name];
        let mut stores = GrantedStores::new();
        for (word, store) in &config.grants.stores {
            let store = self.store(store).await?;
            stores.insert(word.as_str().to_owned(), Arc::new(store) as Arc<dyn StorageProvider>);
        }
        plugins::grants(self.runtime, self.data_dir, name, config, stores).await
    }

    /// Loads a plugin for a store: each use of a plugin has instances, and so a memory, of its own.
    async fn plugin<T>(
        &mut self,
        name: &PluginName,
        store: &StoreName,
        part: impl FnOnce(&Plugin) -> Result<T, PluginError>,
    ) -> Result<T, HostError> {
        let config = &self.config.plugins[name];
        let grants = self.grants(name).await?;
        let Located { path: component, digest } =
            components::locate(&self.config.supply_chain, self.data_dir, name, config).await?;
        let options = PluginOptions { digest, ..plugins::options(name, store, config, grants) };
        let loaded = self.runtime.load(&component, options).await.and_then(|plugin| Ok((part(&plugin)?, plugin)));
        let (part, plugin) = loaded.map_err(|error| HostError::Plugin { plugin: name.clone(), component, error })?;
        let kind = plugin.interface().kind;
        info!(plugin = name.as_str(), kind = kind.as_str(), store = store.as_str(), "plugin loaded");
        self.plugins.push(PluginUse { name: name.clone(), store: store.clone(), plugin });
        Ok(part)
    }
}

/// The layers around a store's provider.
///
/// # Errors
/// What is wrong with a key.
pub(super) fn layers(name: &StoreName, config: &StorageConfig) -> Result<Layers, HostError> {
    let wrong = |message| HostError::Store { store: name.clone(), error: Error::invalid_input(message) };
    config.layers().map_err(wrong)
}
