//! Asks every part of a host how it is.

use std::time::Duration;

use futures::future::join_all;
use serde::Serialize;
use tokio::time::timeout;

use super::{PluginUse, tasks};
use crate::error::{Error, Result};
use crate::manager::StorageManager;
use crate::monitor::Health;
use crate::plugin::{Kind, PluginState};
use crate::provider::ListQuery;
use crate::scheduler::{Run, RunOutcome, TaskStatus};

/// How long a provider has to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How the parts of a host are.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Readiness {
    /// Every store.
    pub stores: Vec<PartHealth>,
    /// Every plugin, for each store that it works for.
    pub plugins: Vec<PartHealth>,
}

impl Readiness {
    /// Whether all parts are ready.
    pub fn is_ready(&self) -> bool {
        self.stores.iter().chain(&self.plugins).all(|part| part.ready)
    }
}

/// How one part is.
#[derive(Clone, Debug, Serialize)]
pub struct PartHealth {
    /// Its name in the configuration.
    pub name: String,
    /// Whether it works.
    pub ready: bool,
    /// What is wrong, if something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl PartHealth {
    fn of(name: String, result: Result<()>) -> Self {
        let message = result.err().map(|error| error.to_string());
        Self { name, ready: message.is_none(), message }
    }
}

/// Asks the providers of stores by listing one object each, and plugins by what came of their work.
#[derive(Debug)]
pub struct HealthChecker {
    pub(super) stores: Vec<StorageManager>,
    pub(super) plugins: Vec<PluginUse>,
    pub(super) tasks: Vec<TaskStatus>,
}

impl HealthChecker {
    /// Asks all at the same time, and writes the providers' answers into their metrics.
    pub async fn check(&self) -> Readiness {
        let asked = self.stores.iter().map(|store| async move {
            let answer = ask(store).await;
            store.monitor().record_health(if answer.is_ok() { Health::Up } else { Health::Down });
            answer
        });
        let answers = join_all(asked).await;
        let plugins = self.plugins.iter().map(|plugin| {
            let store = self.stores.iter().position(|store| *store.name() == plugin.store);
            let answer = supervised(plugin).and_then(|()| match (plugin.plugin.interface().kind, store) {
                (Kind::Provider, Some(store)) => answers[store].clone(),
                (Kind::Eviction, Some(store)) => strategies(&self.stores[store]),
                (Kind::Lifecycle, _) => self.last_run(plugin),
                (_, None) => Ok(()),
            });
            PartHealth::of(format!("{} for {}", plugin.name, plugin.store), answer)
        });
        let plugins = plugins.collect();
        let stores = self.stores.iter().zip(answers);
        let stores = stores.map(|(store, answer)| PartHealth::of(store.name().to_string(), answer)).collect();
        Readiness { stores, plugins }
    }

    fn last_run(&self, plugin: &PluginUse) -> Result<()> {
        let task = tasks::name(tasks::LIFECYCLE, &plugin.store);
        match self.tasks.iter().find(|status| status.name == task).and_then(|status| status.last_run.as_ref()) {
            Some(Run { outcome: RunOutcome::Failed | RunOutcome::TimedOut, message, .. }) => {
                Err(Error::internal(message.clone().unwrap_or_default()))
            }
            _ => Ok(()),
        }
    }
}

async fn ask(store: &StorageManager) -> Result<()> {
    let query = ListQuery { limit: 1, ..ListQuery::all() };
    match timeout(PATIENCE, store.list_data(&query)).await {
        Ok(page) => page.map(|_| ()),
        Err(_) => Err(Error::timeout(format!("its provider did not answer within {} s", PATIENCE.as_secs()))),
    }
}

/// A plugin that is not started again for now is not ready, whatever its last answer was.
fn supervised(plugin: &PluginUse) -> Result<()> {
    let status = plugin.plugin.status();
    let why =
        || status.last_failure.as_ref().map_or(String::new(), |failure| format!("; its last: {}", failure.message));
    match status.state {
        PluginState::Running => Ok(()),
        PluginState::BackingOff { .. } => Err(Error::unavailable(format!("it is backing off after failures{}", why()))),
        PluginState::Quarantined { since } => Err(Error::unavailable(format!(
            "it is quarantined since {}, after failing too often{}",
            since.format("%FT%TZ"),
            why()
        ))),
    }
}

fn strategies(store: &StorageManager) -> Result<()> {
    match store.cache().map_or(0, |cache| cache.stats().failed_strategies) {
        0 => Ok(()),
        count => Err(Error::internal(format!("{count} shards of the cache go on with a native strategy"))),
    }
}
