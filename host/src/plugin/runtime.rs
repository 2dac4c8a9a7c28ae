use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use prometheus::Registry;
use tracing::warn;
use wasmtime::component::Component;

use super::eviction::{EvictionPre, EvictionTemplate, PluginEvictionFactory};
use super::exports::ProviderPre;
use super::instance::Template;
use super::instances::Instances;
use super::lifecycle::{LifecyclePre, LifecycleTemplate, PluginLifecyclePolicy};
use super::limits::MemoryBudget;
use super::linkers::Linkers;
use super::loader::ComponentLoader;
use super::metrics::Metrics;
use super::open_states::OpenStates;
use super::provider::PluginStorageProvider;
use super::supervisor::{PluginStatus, Supervisor};
use super::synchronous::Synchronous;
use super::{Grant, GrantedFolder, Grants, Interface, Kind, Limits, PluginError, Restart, StateStore};
use crate::cache::EvictionStrategyFactory;
use crate::error::Error;
use crate::lifecycle::LifecyclePolicy;
use crate::object::Digest;
use crate::provider::StorageProvider;

/// Loads components and makes of each what it is: a provider, an eviction strategy or a lifecycle policy.
#[derive(Debug)]
pub struct PluginRuntime {
    loader: ComponentLoader,
    linkers: Linkers,
    metrics: Metrics,
    budget: Arc<MemoryBudget>,
    states: OpenStates,
    /// Grants that were found to be unused, by plugin, so that it is said once; locked to look and to add.
    unused: Mutex<BTreeSet<(Arc<str>, Grant)>>,
}

/// How to load one plugin.
#[derive(Clone, Debug)]
pub struct PluginOptions {
    /// Its name, in logs, errors and metrics.
    pub name: Arc<str>,
    /// The store that it works for, in logs and metrics; empty if it works for none.
    pub store: Arc<str>,
    /// The digest that its component must have.
    pub digest: Option<Digest>,
    /// What it is told when it is opened, as JSON.
    pub settings: serde_json::Value,
    /// What it may reach.
    pub grants: Grants,
    /// What it may use.
    pub limits: Limits,
    /// When it is started again after it failed.
    pub restart: Restart,
}

impl PluginOptions {
    /// A plugin of this name without settings and grants, under default limits.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            store: Arc::from(""),
            digest: None,
            settings: serde_json::Value::Null,
            grants: Grants::default(),
            limits: Limits::default(),
            restart: Restart::default(),
        }
    }
}

impl PluginRuntime {
    /// A runtime that keeps compiled code in `compiled`, a folder that belongs to this host alone. All plugins together
    /// may have [`MEMORY`](Self::MEMORY) of memory.
    ///
    /// # Errors
    /// [`PluginError::Runtime`] on a platform that wasmtime does not support.
    pub fn new(compiled: PathBuf) -> Result<Self, PluginError> {
        let metrics = Metrics::new().map_err(|error| PluginError::Runtime(error.to_string()))?;
        let budget = Arc::new(MemoryBudget::new(Self::MEMORY));
        let loader = ComponentLoader::new(compiled)?;
        let (linkers, states, unused) = (Linkers::default(), OpenStates::default(), Mutex::default());
        Ok(Self { loader, linkers, metrics, budget, states, unused })
    }

    /// The bytes of linear memory that all plugins may have together, unless it is said: 2 GiB.
    pub const MEMORY: usize = 2 << 30;

    /// With so many bytes of linear memory for all plugins together.
    #[must_use]
    pub fn with_memory(mut self, bytes: usize) -> Self {
        self.budget = Arc::new(MemoryBudget::new(bytes));
        self
    }

    /// Has a registry show the metrics of all plugins.
    ///
    /// # Errors
    /// [`PluginError::Runtime`] if one of their names is taken there.
    pub fn register(&self, registry: &Registry) -> Result<(), PluginError> {
        self.metrics.register(registry).map_err(|error| PluginError::Runtime(error.to_string()))
    }

    /// The state that a plugin keeps in a folder, which is made if it is not there; all who ask for the same folder share
    /// it. `capacity` is in bytes; what is asked for last holds for all.
    ///
    /// # Errors
    /// Those of [`FileStorageProvider::open`](crate::provider::file::FileStorageProvider::open).
    pub async fn state(&self, folder: &Path, capacity: u64) -> crate::error::Result<StateStore> {
        self.states.open(folder, capacity).await
    }

    /// Loads the component in the file `path`, starts it once, and lets it take its settings.
    ///
    /// # Errors
    /// Why that does not work; nothing of it is then left.
    pub async fn load(&self, path: &Path, options: PluginOptions) -> Result<Plugin, PluginError> {
        let (name, store) = (Arc::clone(&options.name), Arc::clone(&options.store));
        let prepared = self.prepare(path, options).await;
        let Prepared { loaded, made } = prepared.inspect_err(|error| self.metrics.load_failed(&name, &store, error))?;
        let part = match made {
            Made::Provider(instances) => Part::Provider(Arc::new(PluginStorageProvider::new(instances))),
            Made::Eviction(template) => Part::Eviction(Arc::new(PluginEvictionFactory::new(template))),
            Made::Lifecycle(template) => Part::Lifecycle(Arc::new(PluginLifecyclePolicy::new(*template))),
        };
        Ok(Plugin { name, store, loaded: Arc::new(ArcSwap::from_pointee(loaded)), part })
    }

    /// Loads a component as [`load`](Self::load) does, and has it take the place of the one that `plugin` is made of.
    /// Calls in flight end on that one; what it kept in its memory ends with it.
    ///
    /// # Errors
    /// Why that does not work, a plugin of another kind included; the one that is there then goes on.
    pub async fn reload(&self, plugin: &Plugin, path: &Path, options: PluginOptions) -> Result<(), PluginError> {
        let replaced = self.replace(plugin, path, options).await;
        replaced.inspect_err(|error| self.metrics.load_failed(&plugin.name, &plugin.store, error))
    }

    async fn replace(&self, plugin: &Plugin, path: &Path, options: PluginOptions) -> Result<(), PluginError> {
        let Prepared { loaded, made } = self.prepare(path, options).await?;
        let (wanted, found) = (plugin.interface().kind, loaded.interface.kind);
        match (&plugin.part, made) {
            (Part::Provider(provider), Made::Provider(instances)) => provider.replace(instances),
            (Part::Eviction(factory), Made::Eviction(template)) => factory.replace(template),
            (Part::Lifecycle(policy), Made::Lifecycle(template)) => policy.replace(*template),
            _ => return Err(PluginError::WrongKind { wanted, found }),
        }
        plugin.loaded.store(Arc::new(loaded));
        Ok(())
    }

    async fn prepare(&self, path: &Path, options: PluginOptions) -> Result<Prepared, PluginError> {
        let limits = &options.limits;
        let source = self.loader.read(path, limits.component_size, options.digest.clone()).await?;
        source.interface.check_grants(&options.grants)?;
        self.warn_of_unused(&source.interface, &options);
        check_folders(&options.grants).await?;
        let loaded = Loaded { digest: source.digest.clone(), interface: source.interface.clone() };
        let component = self.loader.compile(source, limits.compile_time).await?;
        let made = self.make(&component, &loaded, options).await?;
        Ok(Prepared { loaded, made })
    }

    /// A grant that nothing uses may be one that was meant for another plugin.
    fn warn_of_unused(&self, interface: &Interface, options: &PluginOptions) {
        for grant in interface.unused(&options.grants) {
            if self.unused.lock().insert((Arc::clone(&options.name), grant)) {
                let plugin = &*options.name;
                warn!(plugin, "the plugin {plugin} is granted `{grant}`, and imports nothing that needs it");
            }
        }
    }

    async fn make(&self, component: &Component, loaded: &Loaded, options: PluginOptions) -> Result<Made, PluginError> {
        let Loaded { digest, interface } = loaded;
        let start = |error: wasmtime::Error| PluginError::Start(format!("{error:#}"));
        let pre = self.linkers.link(component, interface).map_err(start)?;
        let PluginOptions { name, store, digest: _, settings, grants, limits, restart } = options;
        let meter = self.metrics.meter(&name, &store);
        let supervisor = Supervisor::new(name, store, interface.kind, limits, restart, meter, Arc::clone(&self.budget));
        let (supervisor, engine) = (Arc::new(supervisor), component.engine().clone());
        let settings = settings.to_string();
        match interface.kind {
            Kind::Provider => {
                let pre = ProviderPre::new(pre).map_err(start)?;
                let instances = Instances::new(Template {
                    supervisor,
                    engine,
                    pre,
                    settings: settings.into(),
                    grants: Arc::new(grants),
                });
                instances.probe().await.map_err(refused)?;
                Ok(Made::Provider(Arc::new(instances)))
            }
            Kind::Eviction => {
                let pre = EvictionPre::new(pre).map_err(start)?;
                let template = Arc::new(EvictionTemplate { plugin: Synchronous { supervisor, engine, settings }, pre });
                let probed = Arc::clone(&template);
                blocking(move || probed.open(1).map(drop)).await?;
                Ok(Made::Eviction(template))
            }
            Kind::Lifecycle => {
                let pre = LifecyclePre::new(pre).map_err(start)?;
                let (plugin, digest) = (Synchronous { supervisor, engine, settings }, digest.clone());
                let template = blocking(move || LifecycleTemplate::probed(plugin, pre, digest)).await?;
                Ok(Made::Lifecycle(Box::new(template)))
            }
        }
    }
}

/// A granted folder that is not there is the operator's mistake, and not the plugin's to find.
async fn check_folders(grants: &Grants) -> Result<(), PluginError> {
    for (guest, GrantedFolder { path, .. }) in &grants.files {
        let found = tokio::fs::metadata(path).await;
        let found = found.and_then(|found| if found.is_dir() { Ok(()) } else { Err(ErrorKind::NotADirectory.into()) });
        found.map_err(|error| PluginError::Folder { guest: guest.clone(), path: path.clone(), error })?;
    }
    Ok(())
}

/// A component, loaded and started aside.
struct Prepared {
    loaded: Loaded,
    made: Made,
}

#[derive(Debug)]
struct Loaded {
    digest: Digest,
    interface: Interface,
}

/// What the parts are made of.
enum Made {
    Provider(Arc<Instances>),
    Eviction(Arc<EvictionTemplate>),
    Lifecycle(Box<LifecycleTemplate>),
}

/// A plugin, loaded and ready. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Plugin {
    name: Arc<str>,
    store: Arc<str>,
    loaded: Arc<ArcSwap<Loaded>>,
    part: Part,
}

/// What a plugin is to the host: an implementation of one of the three seams.
#[derive(Clone, Debug)]
enum Part {
    Provider(Arc<PluginStorageProvider>),
    Eviction(Arc<PluginEvictionFactory>),
    Lifecycle(Arc<PluginLifecyclePolicy>),
}

impl Plugin {
    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The store that it works for; empty if it works for none.
    pub fn store(&self) -> &str {
        &self.store
    }

    /// The digest of its component.
    pub fn digest(&self) -> Digest {
        self.loaded.load().digest.clone()
    }

    /// What it is and imports.
    pub fn interface(&self) -> Interface {
        self.loaded.load().interface.clone()
    }

    /// How it is.
    pub fn status(&self) -> PluginStatus {
        self.supervisor().status()
    }

    /// Forgets its failures: if it was not to be started again for a while, or at all, it is now.
    pub fn reset(&self) {
        self.supervisor().reset();
        if let Part::Eviction(factory) = &self.part {
            factory.renew();
        }
    }

    fn supervisor(&self) -> Arc<Supervisor> {
        match &self.part {
            Part::Provider(provider) => provider.supervisor(),
            Part::Eviction(factory) => factory.supervisor(),
            Part::Lifecycle(policy) => policy.supervisor(),
        }
    }

    /// The plugin as a provider.
    ///
    /// # Errors
    /// [`PluginError::WrongKind`] if it is none.
    pub fn provider(&self) -> Result<Arc<dyn StorageProvider>, PluginError> {
        match &self.part {
            Part::Provider(provider) => Ok(Arc::clone(provider) as _),
            _ => Err(self.wrong_kind(Kind::Provider)),
        }
    }

    /// The plugin as an eviction strategy.
    ///
    /// # Errors
    /// [`PluginError::WrongKind`] if it is none.
    pub fn eviction(&self) -> Result<Arc<dyn EvictionStrategyFactory>, PluginError> {
        match &self.part {
            Part::Eviction(factory) => Ok(Arc::clone(factory) as _),
            _ => Err(self.wrong_kind(Kind::Eviction)),
        }
    }

    /// The plugin as a lifecycle policy.
    ///
    /// # Errors
    /// [`PluginError::WrongKind`] if it is none.
    pub fn lifecycle(&self) -> Result<Arc<dyn LifecyclePolicy>, PluginError> {
        match &self.part {
            Part::Lifecycle(policy) => Ok(Arc::clone(policy) as _),
            _ => Err(self.wrong_kind(Kind::Lifecycle)),
        }
    }

    fn wrong_kind(&self, wanted: Kind) -> PluginError {
        PluginError::WrongKind { wanted, found: self.interface().kind }
    }
}

/// Starts a plugin of the synchronous kinds on a thread that it may keep busy.
async fn blocking<T: Send + 'static>(
    start: impl FnOnce() -> crate::error::Result<T> + Send + 'static,
) -> Result<T, PluginError> {
    let started = tokio::task::spawn_blocking(start).await;
    started.map_err(|error| PluginError::Start(error.to_string()))?.map_err(refused)
}

/// A plugin says `invalid-input` of settings that it does not take; any other failure is one of starting.
fn refused(error: Error) -> PluginError {
    match error {
        Error::InvalidInput { message } => PluginError::Settings(message),
        error => PluginError::Start(error.to_string()),
    }
}
