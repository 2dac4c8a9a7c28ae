//! A host: the stores that a configuration describes, made and kept going.
//!
//! [`Host::start`] makes everything, or nothing; [`Host::run_tasks`] does what is to be done again and again. Front doors
//! ask the host for [stores](Host::store) and know nothing of how they were made.

mod assembly;
mod audit;
mod backup;
mod catalog;
mod components;
mod data_dir;
mod error;
mod health;
mod lifecycle;
mod notifying;
mod plugins;
mod reload;
mod samples;
mod scrub;
mod tasks;
mod usage;
mod watch;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

pub use data_dir::{DataDir, RunFile};
pub use error::HostError;
pub use health::HealthChecker;
pub use plugins::{PluginReport, PluginUse};
pub use reload::{ReloadOutcome, ReloadReport, Reloaded};

use assembly::Assembly;
use audit::AuditLog;
use catalog::Catalog;
use notifying::Notifying;
use samples::Sampler;
use usage::UsageSampler;
use watch::Watch;

use crate::alerts::AlertManager;
use crate::config::{self, Config, PluginName, StorageConfig, StorageType, StoreTemplate};
use crate::error::{Error, Result};
use crate::events::EventStream;
use crate::lifecycle::{
    AgeingStep, AgeingStore, Audit, AuditRecord, LifecycleManager, LifecycleMetrics, ReadLog, on_record,
};
use crate::manager::{Probe, StorageManager};
use crate::monitor::{HealthReport, StorageMonitor};
use crate::object::{Key, StoreName, Timestamp, now};
use crate::plugin::{Grant, PluginRuntime};
use crate::provider::layers::{Encryption, Rekeyed, rekey};
use crate::provider::{ListQuery, StorageProvider};
use crate::scheduler::{SystemClock, TaskScheduler};

/// Who takes the steps that no policy wants, in the audit log.
pub const OPERATOR: &str = "operator";

/// What tasks did and when they are due, in the data folder.
const TASKS: &str = "tasks.json";
/// How long tasks that run have to end when the host stops.
const GRACE: Duration = Duration::from_secs(10);

/// A running host.
#[derive(Debug)]
pub struct Host {
    /// What is at work; held while plugins are reloaded.
    config: Mutex<Config>,
    new_buckets: Option<StoreTemplate>,
    data_dir: DataDir,
    runtime: PluginRuntime,
    monitor: StorageMonitor,
    scheduler: Arc<TaskScheduler>,
    audit: Arc<AuditLog>,
    ageing_metrics: LifecycleMetrics,
    plugins: Vec<PluginUse>,
    stores: Arc<Stores>,
    health: Arc<HealthChecker>,
    events: EventStream,
    alerts: Arc<AlertManager>,
    /// There until it runs.
    notifying: Mutex<Option<Notifying>>,
    /// Held while a store is made or removed, so that it happens one at a time.
    catalog: Mutex<Catalog>,
}

/// All stores by name; locked to look up or to change, never over an await.
#[derive(Debug, Default)]
struct Stores(RwLock<BTreeMap<StoreName, HostedStore>>);

/// A store of a host.
#[derive(Clone, Debug)]
pub struct HostedStore {
    /// Its owner.
    pub manager: StorageManager,
    /// What kind of provider it has.
    pub provider: StorageType,
    /// Since when it is there.
    pub created_at: Timestamp,
    /// Whether no front door serves it.
    pub internal: bool,
    /// What lets its objects age, if they do.
    pub lifecycle: Option<Arc<LifecycleManager>>,
    /// How it is asked whether it is well.
    pub probe: Probe,
}

impl Stores {
    /// The store of this name, unless it is internal.
    fn served(&self, name: &str) -> Option<HostedStore> {
        self.0.read().get(name).filter(|store| !store.internal).cloned()
    }

    /// Every store.
    fn all(&self) -> Vec<HostedStore> {
        self.0.read().values().cloned().collect()
    }
}

impl Host {
    /// Makes all that the configuration describes. `progress` is told of what takes long.
    ///
    /// # Errors
    /// The first thing that can not be made; everything made before is let go.
    pub async fn start(
        config: Config,
        data_dir: DataDir,
        progress: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Self, HostError> {
        let monitor = StorageMonitor::new()?;
        let scheduler = TaskScheduler::with_file(Arc::new(SystemClock::default()), &data_dir.path().join(TASKS));
        let scheduler = Arc::new(scheduler);
        scheduler.register(monitor.registry())?;
        let mut catalog = Catalog::open(data_dir.path())?;
        Assembly::build_stale(&config, used_plugins(&config), progress).await?;

        let runtime = Assembly::runtime(&config, data_dir.path())?;
        runtime.register(monitor.registry()).map_err(HostError::Runtime)?;
        let events = EventStream::default();
        let mut assembly = Assembly::new(&config, data_dir.path(), &runtime, &monitor).with_events(&events);
        for name in config.stores.keys() {
            assembly.store(name).await?;
        }
        let made: Vec<StoreName> =
            catalog.made_by_clients().filter(|name| !config.stores.contains_key(*name)).cloned().collect();
        for name in made {
            let store = assembly.make(&name, &client_store(&config)).await?;
            assembly.stores.insert(name, store);
        }
        let audit = Arc::new(AuditLog::open(data_dir.path(), events.clone())?);
        let ageing_metrics = LifecycleMetrics::new(monitor.registry())?;
        let folders = backup::Folders::default();
        let mut lifecycles = BTreeMap::new();
        for (name, store) in &config.stores {
            if let Some(lifecycle) = &store.lifecycle {
                let ages = Arc::new(assembly.store(name).await?);
                let reads = ages.reads().cloned();
                let manager = lifecycle::manager(&mut assembly, name, lifecycle, ages).await?.with_audit(audit.clone());
                let manager = manager.with_metrics(ageing_metrics.clone());
                let manager = reads.into_iter().fold(manager, LifecycleManager::with_reads);
                lifecycles.insert(name.clone(), Arc::new(manager));
            }
            tasks::schedule(&mut assembly, &scheduler, &folders, name, store, lifecycles.get(name)).await?;
        }
        let Assembly { stores, plugins, .. } = assembly;
        for (name, store) in &stores {
            let native = config.stores.get(name).is_none_or(|config| is_native(&config.provider_type));
            scheduler.schedule_task(UsageSampler::task(store.clone(), native))?;
        }
        scheduler.schedule_task(Sampler::task(monitor.clone()))?;
        catalog.remember(config.stores.keys())?;
        let stores = stores.into_iter().map(|(name, manager)| {
            let created_at = catalog.get(&name).map_or_else(now, |remembered| remembered.created_at);
            let config = config.stores.get(&name).cloned().unwrap_or_else(|| client_store(&config));
            let (provider, internal) = (config.provider_type, config.internal);
            let lifecycle = lifecycles.remove(&name);
            let probe = probe_of(config.probe);
            (name, HostedStore { manager, provider, created_at, internal, lifecycle, probe })
        });
        let stores = Arc::new(Stores(RwLock::new(stores.collect())));
        let parts = health::Parts {
            stores: Arc::clone(&stores),
            plugins: plugins.clone(),
            tasks: Arc::downgrade(&scheduler),
            disks: health::Disk::under(disks(&config)),
            limits: config.health.disk.into(),
            late: config.health.task_delay.as_duration(),
        };
        let health = Arc::new(HealthChecker::new(parts, &monitor)?);
        let notifying = Notifying::new(&config, &data_dir, &monitor, &events)?;
        let watch = Watch::new(Arc::clone(&health), Arc::clone(&notifying.alerts), monitor.clone());
        scheduler.schedule_task(watch.task(config.health.every.as_duration()))?;
        let catalog = Mutex::new(catalog);
        let new_buckets = config.new_buckets.clone();
        Ok(Self {
            config: Mutex::new(config),
            new_buckets,
            data_dir,
            runtime,
            monitor,
            scheduler,
            audit,
            ageing_metrics,
            plugins,
            stores,
            health,
            events,
            alerts: Arc::clone(&notifying.alerts),
            notifying: Mutex::new(Some(notifying)),
            catalog,
        })
    }

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
        let layers = store
            .layers()
            .map_err(|message| HostError::Store { store: name.clone(), error: Error::invalid_input(message) })?;
        Ok(layers.encryption)
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

    /// The folder that the host keeps everything in.
    pub fn data_dir(&self) -> &DataDir {
        &self.data_dir
    }

    /// The host's metrics.
    pub fn monitor(&self) -> &StorageMonitor {
        &self.monitor
    }

    /// What is done again and again.
    pub fn tasks(&self) -> &Arc<TaskScheduler> {
        &self.scheduler
    }

    /// The plugins at work.
    pub fn plugins(&self) -> &[PluginUse] {
        &self.plugins
    }

    /// The store of this name, unless it is internal.
    pub fn store(&self, name: &str) -> Option<StorageManager> {
        self.stores.served(name).map(|store| store.manager)
    }

    /// What lets the objects of a store age, if they do and the store is not internal.
    pub fn lifecycle(&self, name: &str) -> Option<Arc<LifecycleManager>> {
        self.stores.served(name).and_then(|store| store.lifecycle)
    }

    /// Takes a step in the ageing of an object because an operator asked for it.
    ///
    /// # Errors
    /// Those of [`StorageManager::age_data`]; [`Error::InvalidInput`] if there is no such store.
    pub async fn age_object(&self, store: &str, key: &Key, step: AgeingStep) -> Result<()> {
        let manager = self.store(store);
        let manager = manager.ok_or_else(|| Error::invalid_input(format!("there is no store {store:?}")))?;
        let record = AuditRecord::new(manager.name(), key, &step, OPERATOR.to_owned(), now());
        on_record(&*self.audit, record, manager.age_data(key, step)).await
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

    /// The stores that front doors serve, in order of name, each with the moment since when it is there.
    pub fn stores(&self) -> Vec<(StorageManager, Timestamp)> {
        let stores = self.stores.0.read();
        let served = stores.values().filter(|store| !store.internal);
        served.map(|store| (store.manager.clone(), store.created_at)).collect()
    }

    /// All stores, in order of name, also those that no front door serves.
    pub fn all_stores(&self) -> Vec<HostedStore> {
        self.stores.all()
    }

    /// Makes a store as the configuration's `new_buckets` says.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the configuration says nothing of them; [`Error::PreconditionFailed`] if there is a
    /// store of that name; whatever keeps it from being made.
    pub async fn create_store(&self, name: &StoreName) -> Result<()> {
        let Some(template) = &self.new_buckets else {
            return Err(Error::unsupported("no store can be made here: the configuration has no `new_buckets`"));
        };
        let mut catalog = self.catalog.lock().await;
        if self.stores.0.read().contains_key(name) {
            return Err(Error::precondition_failed(format!("there is a store {name} already")));
        }
        let config = template.to_storage();
        let made = async {
            let at_work = self.config.lock().await.clone();
            let mut assembly =
                Assembly::new(&at_work, self.data_dir.path(), &self.runtime, &self.monitor).with_events(&self.events);
            let store = assembly.make(name, &config).await?;
            assembly.stores.insert(name.clone(), store.clone());
            let mut ages = None;
            if let Some(lifecycle) = &config.lifecycle {
                let manager = lifecycle::manager(&mut assembly, name, lifecycle, Arc::new(store.clone())).await?;
                let manager = store.reads().cloned().into_iter().fold(manager, LifecycleManager::with_reads);
                let manager = manager.with_audit(self.audit.clone()).with_metrics(self.ageing_metrics.clone());
                ages = Some(Arc::new(manager));
            }
            let folders = backup::Folders::default();
            tasks::schedule(&mut assembly, &self.scheduler, &folders, name, &config, ages.as_ref()).await?;
            self.scheduler.schedule_task(UsageSampler::task(store.clone(), is_native(&config.provider_type)))?;
            catalog.add(name)?;
            Ok::<_, HostError>((store, ages))
        };
        let (manager, lifecycle) = made.await.map_err(|error| Error::unavailable(error.to_string()))?;
        let (provider, probe) = (config.provider_type, probe_of(config.probe));
        let store = HostedStore { manager, provider, created_at: now(), internal: false, lifecycle, probe };
        self.stores.0.write().insert(name.clone(), store);
        Ok(())
    }

    /// Removes a store that [`create_store`](Self::create_store) made, if it is empty.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`] if the configuration names it; [`Error::PreconditionFailed`] if it is not empty.
    pub async fn remove_store(&self, name: &StoreName) -> Result<()> {
        let mut catalog = self.catalog.lock().await;
        if self.config.lock().await.stores.contains_key(name) {
            return Err(Error::permission_denied(format!("the configuration names the store {name}; remove it there")));
        }
        let Some(store) = self.store(name.as_str()) else {
            return Err(Error::invalid_input(format!("there is no store {name}")));
        };
        let first = ListQuery { limit: 1, ..ListQuery::all() };
        let page = match Arc::new(store.clone()).ageing() {
            // What is in the trash can be taken out again.
            Some(ages) => ages.list_with_trash(&first).await?,
            None => store.list_data(&first).await?,
        };
        if !page.objects.is_empty() {
            return Err(Error::precondition_failed(format!("the store {name} is not empty")));
        }
        catalog.remove(name).map_err(|error| Error::unavailable(error.to_string()))?;
        for kind in tasks::KINDS {
            self.scheduler.cancel_task(&tasks::name(kind, name));
        }
        self.stores.0.write().remove(name);
        self.monitor.forget(name);
        Ok(())
    }

    /// How every part is, as [`HealthChecker::check`].
    pub async fn health(&self) -> Arc<HealthReport> {
        self.health.check().await
    }

    /// What happens in this host.
    pub fn events(&self) -> &EventStream {
        &self.events
    }

    /// What needs a person.
    pub fn alerts(&self) -> &Arc<AlertManager> {
        &self.alerts
    }

    /// Runs policies and samples figures as they are due, and tells others of alerts and events, until `stop` is cancelled
    /// and what runs has ended.
    pub async fn run_tasks(&self, stop: CancellationToken) {
        let notifying = self.notifying.lock().await.take();
        // What tasks still do at the end is told too.
        let ended = CancellationToken::new();
        let tasks = async {
            self.scheduler.execute_tasks(stop, GRACE).await;
            ended.cancel();
        };
        match notifying {
            Some(notifying) => {
                tokio::join!(tasks, notifying.run(ended.clone()));
            }
            None => tasks.await,
        }
    }
}

/// The plugins that something in the configuration uses.
fn used_plugins(config: &Config) -> impl Iterator<Item = &PluginName> {
    config.plugins.keys().filter(|plugin| !config.users_of(plugin).is_empty())
}

/// What a store is like that a client made. If the configuration does not say any more, it is what it was by default.
fn client_store(config: &Config) -> StorageConfig {
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

fn probe_of(configured: config::Probe) -> Probe {
    match configured {
        config::Probe::Write => Probe::Write,
        config::Probe::Read => Probe::Read,
    }
}

/// The folders that the host keeps something in, by what that is.
fn disks(config: &Config) -> impl Iterator<Item = (String, PathBuf)> {
    let of_stores = config.stores.iter().filter(|(_, store)| store.provider_type == StorageType::File);
    let of_stores = of_stores.map(|(name, store)| (name.to_string(), store.folder(name, &config.data_dir)));
    std::iter::once(("data_dir".to_owned(), config.data_dir.clone())).chain(of_stores)
}

fn is_native(provider: &StorageType) -> bool {
    !matches!(provider, StorageType::Custom(_))
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
