//! How commands reach the data: through the host that runs on it, or, if none does, by themselves; or they work on stores
//! that are open already.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::Mutex;

use super::context::Context;
use super::failure::{Exit, Failure};
use super::output::Output;
use crate::client::RemoteHost;
use crate::config::Config;
use crate::error::Error;
use crate::host::{DataDir, Host, HostError, OPERATOR, RunFile};
use crate::lifecycle::{AgeingStep, AgeingStore, Audit, AuditRecord, ReadLog, on_record};
use crate::object::{Key, StoreName, now};
use crate::provider::StorageProvider;

/// How long a command waits for another one to be done with the data.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// Stores that are open, whatever the configuration says.
pub(super) type GivenStores = BTreeMap<StoreName, Arc<dyn StorageProvider>>;

/// The stores that a configuration describes, and those that clients made; or given ones.
#[derive(Debug)]
pub(super) struct Data(Reached);

#[derive(Debug)]
enum Reached {
    /// No host runs: this process has the data for itself.
    Alone {
        config: Config,
        output: Arc<Output>,
        /// A store is opened once, however often it is asked for. Locked while one is opened, which may take a build.
        opened: Mutex<BTreeMap<StoreName, Arc<dyn StorageProvider>>>,
        lock: DataDir,
    },
    /// A host runs, and does what it is asked.
    ThroughHost { config: Config, host: RemoteHost },
    /// There is nothing to be reached.
    Given(GivenStores),
}

/// A line of the list of stores.
#[derive(Debug, Serialize)]
pub(super) struct StoreSummary {
    pub(super) store: StoreName,
    /// Where its bytes live, in the configuration's words; absent if the configuration does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) provider: Option<String>,
}

impl Data {
    /// Works on these stores.
    pub(super) fn given(stores: GivenStores) -> Self {
        Self(Reached::Given(stores))
    }

    /// Takes the data, or finds the host that has it. If another command has it, waits for that.
    pub(super) async fn reach(config: Config, output: Arc<Output>) -> Result<Self, Failure> {
        let begun = Instant::now();
        loop {
            if let Some(lock) = DataDir::lock(&config.data_dir).map_err(not_opened)? {
                // What is published there is by a host that was killed; the next command is not to look for it.
                lock.unpublish();
                return Ok(Self(Reached::Alone { config, output, opened: Mutex::default(), lock }));
            }
            if let Some(run) = RunFile::read(&config.data_dir) {
                let host = RemoteHost::new(run.admin, run.token);
                return Ok(Self(Reached::ThroughHost { config, host }));
            }
            if begun.elapsed() > PATIENCE {
                let message = format!("another larder command is at work in {}", config.data_dir.display());
                return Err(Failure::new(Exit::Unavailable, "unavailable", message)
                    .with_hint("while larder serve runs, any number of commands work at the same time"));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// One of the stores.
    pub(super) async fn store(&self, name: &StoreName) -> Result<Arc<dyn StorageProvider>, Failure> {
        if !self.names().await?.contains(name) {
            return Err(Failure::not_found(format!("there is no store {name}"))
                .with_hint("larder ls shows the stores; those that are internal are for plugins alone"));
        }
        match &self.0 {
            Reached::Given(stores) => Ok(stores[name].clone()),
            Reached::ThroughHost { host, .. } => Ok(Arc::new(host.store(name))),
            Reached::Alone { config, output, opened, lock } => {
                let mut opened = opened.lock().await;
                if let Some(provider) = opened.get(name) {
                    return Ok(provider.clone());
                }
                let mut progress = |line: &str| output.remark(line);
                let opening = Host::open_store(config, lock, name, &mut progress).await;
                let provider = opening.map_err(not_opened)?;
                opened.insert(name.clone(), provider.clone());
                Ok(provider)
            }
        }
    }

    /// One of the stores, as one whose objects age.
    pub(super) async fn ageing(&self, name: &StoreName) -> Result<Arc<dyn AgeingStore>, Failure> {
        let ages = self.store(name).await?.ageing();
        ages.ok_or_else(|| {
            Failure::new(Exit::Failed, "unsupported", format!("the objects of the store {name} do not age"))
                .with_hint(format!("give it a `lifecycle` in the configuration: stores.{name}.lifecycle"))
        })
    }

    /// Takes a step in the ageing of an object, which goes on record.
    pub(super) async fn age(&self, name: &StoreName, key: &Key, step: AgeingStep) -> Result<(), Failure> {
        let record = AuditRecord::new(name, key, &step, OPERATOR.to_owned(), now());
        let store = self.ageing(name).await?;
        let step = store.age(key, step);
        match self.audit()? {
            Some(audit) => on_record(&*audit, record, step).await?,
            None => step.await?,
        }
        Ok(())
    }

    /// Where what this process does is put on record; a host that runs does so itself.
    pub(super) fn audit(&self) -> Result<Option<Arc<dyn Audit>>, Failure> {
        match &self.0 {
            Reached::Alone { lock, .. } => Ok(Some(Host::audit_log(lock).map_err(not_opened)?)),
            Reached::ThroughHost { .. } | Reached::Given(_) => Ok(None),
        }
    }

    /// The log of what was read in a store, for this process alone; a host that runs has it open itself.
    pub(super) fn reads(&self, name: &StoreName) -> Result<Option<Arc<ReadLog>>, Failure> {
        match &self.0 {
            Reached::Alone { config, lock, .. } => Host::read_log(config, lock, name).map_err(not_opened),
            Reached::ThroughHost { .. } | Reached::Given(_) => Ok(None),
        }
    }

    /// All stores, in order of name.
    pub(super) async fn stores(&self) -> Result<Vec<StoreSummary>, Failure> {
        let names = self.names().await?.into_iter();
        let config = match &self.0 {
            Reached::Alone { config, .. } | Reached::ThroughHost { config, .. } => Some(config),
            Reached::Given(_) => None,
        };
        let provider = |name: &StoreName| config?.stores.get(name).map(|store| store.provider_type.to_string());
        Ok(names.map(|store| StoreSummary { provider: provider(&store), store }).collect())
    }

    async fn names(&self) -> Result<Vec<StoreName>, Failure> {
        match &self.0 {
            Reached::Given(stores) => Ok(stores.keys().cloned().collect()),
            Reached::ThroughHost { host, .. } => Ok(host.stores().await?.into_iter().map(|(name, _)| name).collect()),
            Reached::Alone { config, lock, .. } => Host::visible_stores(config, lock).map_err(not_opened),
        }
    }
}

/// The host that runs on the configuration's data, if one does.
pub(super) fn running_host(config: &Config) -> Result<Option<RemoteHost>, Failure> {
    if !config.data_dir.exists() || DataDir::lock(&config.data_dir).map_err(not_opened)?.is_some() {
        return Ok(None);
    }
    Ok(RunFile::read(&config.data_dir).map(|run| RemoteHost::new(run.admin, run.token)))
}

/// The host that runs on the configuration's data, or that there is none.
pub(super) fn host_at_work(context: &Context) -> Result<RemoteHost, Failure> {
    running_host(&context.config()?)?.ok_or_else(|| {
        Failure::new(Exit::Unavailable, "unavailable", "no host runs on this configuration's data")
            .with_hint("larder serve starts one, and loads what is there")
    })
}

fn not_opened(error: HostError) -> Failure {
    let hint = match &error {
        HostError::Store { error: Error::Unavailable { .. }, .. } => Some("start a host with larder serve"),
        _ => None,
    };
    let failure = Failure::new(Exit::Unavailable, "unavailable", error.to_string());
    hint.into_iter().fold(failure, Failure::with_hint)
}
