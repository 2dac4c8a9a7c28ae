use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::{Part, eviction, lifecycle, provider};
use crate::cache::EvictionStrategyFactory;
use crate::error::{Error, Result};
use crate::lifecycle::LifecyclePolicy;
use crate::plugin::{Grants, Kind, Plugin, PluginError, PluginOptions, PluginRuntime, StateStore};
use crate::provider::StorageProvider;
use crate::provider::file::{FileOptions, FileStorageProvider};
use crate::provider::memory::MemoryStorageProvider;

/// A plugin to be held to the contract of its kind. It is loaded anew for every promise, so that what it does under one
/// leaves the others alone.
#[derive(Clone, Debug)]
pub struct Component {
    /// The component, a `.wasm` file.
    pub path: PathBuf,
    /// How to load it. Stores and state that are granted here are the same in every home; those of
    /// [`stores`](Component::stores) and [`has_state`](Component::has_state) are not.
    pub options: PluginOptions,
    /// The stores that a provider is granted, by the names that it uses: empty ones for each home.
    pub stores: BTreeMap<String, StoreForm>,
    /// Whether a provider is granted state: none for each home to begin with.
    pub has_state: bool,
    /// Whether what a provider keeps outlives it. A plugin keeps what it keeps in its memory, in stores or in its state; so
    /// this is so where it is granted some of these, and keeps nothing beside.
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
    /// A plugin that is granted neither stores nor state.
    pub fn new(path: impl Into<PathBuf>, options: PluginOptions) -> Self {
        Self { path: path.into(), options, stores: BTreeMap::new(), has_state: false, is_persistent: false }
    }

    /// Grants a store, in which the plugin then keeps what it keeps.
    #[must_use]
    pub fn with_store(mut self, name: impl Into<String>, form: StoreForm) -> Self {
        self.stores.insert(name.into(), form);
        self.is_persistent = true;
        self
    }

    /// Grants state, in which the plugin then keeps what it keeps.
    #[must_use]
    pub fn with_state(self) -> Self {
        Self { has_state: true, is_persistent: true, ..self }
    }

    /// Makes of the plugin what it is. Stores of the form [`StoreForm::File`] come to lie in `folder`, which is not
    /// cleaned up.
    ///
    /// # Errors
    /// Why it can not be loaded.
    pub async fn into_part(self, runtime: Arc<PluginRuntime>, folder: PathBuf) -> Result<Part, PluginError> {
        let loadable = Loadable { component: self, runtime, folder, memories: Mutex::default() };
        let grants = loadable.grants("probe").await.map_err(|error| PluginError::Start(error.to_string()))?;
        let kind = loadable.load(grants, None).await?.interface().kind;
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
    fn memory_of(&self, home: &str, name: &str) -> Arc<MemoryStorageProvider> {
        Arc::clone(self.memories.lock().entry((home.to_owned(), name.to_owned())).or_default())
    }

    async fn grants(&self, home: &str) -> Result<Grants> {
        let mut grants = self.component.options.grants.clone();
        for (name, form) in &self.component.stores {
            let store: Arc<dyn StorageProvider> = match form {
                StoreForm::Memory => self.memory_of(home, name),
                StoreForm::File => {
                    Arc::new(FileStorageProvider::open(&self.folder.join(home).join(name), &FileOptions::default())?)
                }
            };
            grants.stores.insert(name.clone(), store);
        }
        if self.component.has_state {
            // No store has this name.
            let state = self.memory_of(home, "");
            grants.state = Some(StateStore::open(state, StateStore::DEFAULT_CAPACITY).await?);
        }
        Ok(grants)
    }

    async fn load(&self, grants: Grants, memory: Option<usize>) -> Result<Plugin, PluginError> {
        let mut options = self.component.options.clone();
        options.grants = grants;
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
        self.load(self.grants(home).await?, None).await.map_err(failed)?.provider().map_err(failed)
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
        let plugin = self.load(self.component.options.grants.clone(), memory).await;
        plugin.map_err(failed)?.eviction().map_err(failed)
    }

    fn limits_memory(&self) -> bool {
        true
    }
}

#[async_trait]
impl lifecycle::Subject for Loadable {
    async fn open(&self) -> Result<Arc<dyn LifecyclePolicy>> {
        let plugin = self.load(self.component.options.grants.clone(), None).await;
        plugin.map_err(failed)?.lifecycle().map_err(failed)
    }
}
