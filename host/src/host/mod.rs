//! A host: the stores that a configuration describes, made and kept going.
//!
//! [`Host::start`] makes everything, or nothing; [`Host::run_tasks`] does what is to be done again and again. Front doors
//! ask the host for [stores](Host::store) and know nothing of how they were made.

mod assembly;
mod audit;
mod backup;
mod buckets;
mod catalog;
mod closed;
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
mod stores;
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
pub use stores::HostedStore;

use assembly::Assembly;
use audit::AuditLog;
use catalog::Catalog;
use closed::client_store;
use notifying::Notifying;
use samples::Sampler;
use stores::Stores;
use usage::UsageSampler;
use watch::Watch;

use crate::alerts::AlertManager;
use crate::config::{self, Config, PluginName, StorageType, StoreTemplate};
use crate::error::{Error, Result};
use crate::events::EventStream;
use crate::lifecycle::{AgeingStep, AuditRecord, LifecycleManager, LifecycleMetrics, on_record};
use crate::manager::{Probe, StorageManager};
use crate::monitor::{HealthReport, StorageMonitor};
use crate::object::{Key, StoreName, Timestamp, now};
use crate::plugin::PluginRuntime;
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
        let targets = backup::Targets::default();
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
            tasks::schedule(&mut assembly, &scheduler, &targets, name, store, lifecycles.get(name)).await?;
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
