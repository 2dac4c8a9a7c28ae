use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::{Part, eviction, lifecycle, provider};
use crate::cache::EvictionStrategyFactory;
use crate::error::{Error, Result};
use crate::lifecycle::LifecyclePolicy;
use crate::plugin::{GrantedStores, Kind, Plugin, PluginError, PluginOptions, PluginRuntime};
use crate::provider::StorageProvider;
use crate::provider::file::FileStorageProvider;
use crate::provider::memory::MemoryStorageProvider;

/// A plugin to be held to the contract of its kind. It is loaded anew for every promise, so that what it does under one
/// leaves the others alone.
#[derive(Clone, Debug)]
pub struct Component {
    /// The component, a `.wasm` file.
    pub path: PathBuf,
    /// How to load it. Stores that are granted here are the same in every home; those of [`stores`](Component::stores)
    /// are not.
    pub options: PluginOptions,
    /// The stores that a provider is granted, by the names that it uses: empty ones for each home.
    pub stores: BTreeMap<String, StoreForm>,
    /// Whether what a provider keeps outlives it. A plugin keeps what it keeps in its memory or in stores; so this is so
    /// where it is granted some, and keeps nothing beside.
    pub is_persistent: bool,
}

/// What stands behind a store that is granted to a plugin under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreForm {
    /// The provider `memory`. It lives as long as the test, and so outlives the plugin.
    Memory,
    /// The provider `file`, in a folder of the test's own.
    File,
}

impl Component {
    /// A plugin that is granted no stores.
    pub fn new(path: impl Into<PathBuf>, options: PluginOptions) -> Self {
        Self { path: path.into(), options, stores: BTreeMap::new(), is_persistent: false }
    }

    /// Grants a store, in which the plugin then keeps what it keeps.
    #[must_use]
    pub fn with_store(mut self, name: impl Into<String>, form: StoreForm) -> Self {
        self.stores.insert(name.into(), form);
        self.is_persistent = true;
        self
    }

    /// Makes of the plugin what it is. Stores of the form [`StoreForm::File`] come to lie in `folder`, which is not
    /// cleaned up.
    ///
    /// # Errors
    /// Why it can not be loaded.
    pub async fn into_part(self, runtime: Arc<PluginRuntime>, folder: PathBuf) -> Result<Part, PluginError> {
        let loadable = Loadable { component: self, runtime, folder, memories: Mutex::default() };
        let stores = loadable.stores("probe").map_err(|error| PluginError::Start(error.to_string()))?;
        let kind = loadable.load(stores, None).await?.interface().kind;
        Ok(match kind {
            Kind::Provider => Part::Provider(Arc::new(loadable)),
            Kind::Eviction => Part::Eviction(Arc::new(loadable)),
            Kind::Lifecycle => Part::Lifecycle(Arc::new(loadable)),
        })
    }
}

/// A plugin and what loads it.
struct Loadable {
    component: Component,
    runtime: Arc<PluginRuntime>,
    folder: PathBuf,
    /// By home and name: what is kept in memory outlives the plugin there.
    memories: Mutex<HashMap<(String, String), Arc<MemoryStorageProvider>>>,
}

impl Loadable {
    fn stores(&self, home: &str) -> Result<GrantedStores> {
        let mut stores = self.component.options.grants.stores.clone();
        for (name, form) in &self.component.stores {
            let store: Arc<dyn StorageProvider> = match form {
                StoreForm::Memory => {
                    let mut memories = self.memories.lock();
                    Arc::clone(memories.entry((home.to_owned(), name.clone())).or_default()) as _
                }
                StoreForm::File => Arc::new(FileStorageProvider::open(&self.folder.join(home).join(name))?),
            };
            stores.insert(name.clone(), store);
        }
        Ok(stores)
    }

    async fn load(&self, stores: GrantedStores, memory: Option<usize>) -> Result<Plugin, PluginError> {
        let mut options = self.component.options.clone();
        options.grants.stores = stores;
        options.limits.memory = memory.unwrap_or(options.limits.memory);
        self.runtime.load(&self.component.path, options).await
    }
}

fn failed(error: PluginError) -> Error {
    Error::internal(error.to_string())
}

#[async_trait]
impl provider::Subject for Loadable {
    async fn open(&self, home: &str) -> Result<Arc<dyn StorageProvider>> {
        self.load(self.stores(home)?, None).await.map_err(failed)?.provider().map_err(failed)
    }

    fn is_persistent(&self) -> bool {
        self.component.is_persistent
    }

    fn memory(&self) -> Option<u64> {
        Some(self.component.options.limits.memory as u64)
    }
}

#[async_trait]
impl eviction::Subject for Loadable {
    async fn open(&self, memory: Option<usize>) -> Result<Arc<dyn EvictionStrategyFactory>> {
        let plugin = self.load(self.component.options.grants.stores.clone(), memory).await;
        plugin.map_err(failed)?.eviction().map_err(failed)
    }

    fn limits_memory(&self) -> bool {
        true
    }
}

#[async_trait]
impl lifecycle::Subject for Loadable {
    async fn open(&self) -> Result<Arc<dyn LifecyclePolicy>> {
        let plugin = self.load(self.component.options.grants.stores.clone(), None).await;
        plugin.map_err(failed)?.lifecycle().map_err(failed)
    }
}
