//! Puts changed components, and a changed configuration of plugins, to work while the host runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tracing::{error, info};

use super::assembly::Assembly;
use super::components::{self, Located};
use super::plugins::{self, PluginUse};
use super::{Host, HostError, used_plugins};
use crate::config::{Config, PluginConfig, PluginName, SupplyChain};
use crate::error::{Error, Result};
use crate::object::{Digest, StoreName};
use crate::plugin::{GrantedStores, PluginOptions};
use crate::provider::StorageProvider;

/// What came of a reload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadReport {
    /// Every plugin at work, for each store that it works for.
    pub plugins: Vec<Reloaded>,
    /// Keys of the configuration that changed, and that only a restart puts to work.
    pub needs_restart: Vec<String>,
}

/// What came of reloading a plugin for one store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// The plugin.
    pub plugin: PluginName,
    /// The store.
    pub store: StoreName,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: ReloadOutcome,
}

/// What came of reloading one plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum ReloadOutcome {
    /// Neither its component nor its configuration is another one.
    Unchanged,
    /// It is made of this component now, or works with another configuration.
    Replaced {
        /// The digest of the component.
        digest: String,
    },
    /// What is new does not load; the old one goes on.
    Kept {
        /// Why.
        error: String,
    },
}

impl Host {
    /// Puts to work what changed since the host started or was reloaded last: the components of plugins, those built from
    /// source included, and their configuration. Each is compiled and started aside; when that works it takes the place of
    /// the old one, on which calls in flight end. If it does not, the old one goes on.
    pub async fn reload(&self, new: &Config) -> ReloadReport {
        let mut current = self.config.lock().await;
        let needs_restart = needs_restart(&current, new);
        let built = Assembly::build_stale(new, used_plugins(&current), &mut |line| info!("{line}")).await;
        let build_error = built.err().map(|error| error.to_string());
        let mut reloaded = Vec::new();
        for plugin in &self.plugins {
            let outcome = match (new.plugins.get(&plugin.name), &build_error) {
                (None, _) => Err(Error::invalid_input("it is not configured any more, and at work until a restart")),
                (Some(config), Some(error)) if config.component.is_built() => Err(Error::unavailable(error.clone())),
                (Some(config), _) => {
                    self.reload_plugin(plugin, &new.supply_chain, &current.plugins[&plugin.name], config).await
                }
            };
            let outcome = tell(plugin, outcome);
            reloaded.push(Reloaded { plugin: plugin.name.clone(), store: plugin.store.clone(), outcome });
        }
        let kept = |name: &PluginName| {
            let of_name = |reloaded: &&Reloaded| reloaded.plugin == *name;
            reloaded.iter().filter(of_name).any(|reloaded| matches!(reloaded.outcome, ReloadOutcome::Kept { .. }))
        };
        let plugins: BTreeMap<PluginName, PluginConfig> = current
            .plugins
            .iter()
            .filter_map(|(name, old)| {
                let config = if kept(name) { old } else { new.plugins.get(name)? };
                Some((name.clone(), config.clone()))
            })
            .collect();
        current.plugins = plugins;
        current.supply_chain = new.supply_chain.clone();
        ReloadReport { plugins: reloaded, needs_restart }
    }

    /// Has a plugin start again that was not to be started for a while, or not at all, for every store that it works for.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if no such plugin is at work.
    pub fn reset_plugin(&self, name: &str) -> Result<()> {
        let mut uses = self.plugins.iter().filter(|plugin| plugin.name.as_str() == name).peekable();
        if uses.peek().is_none() {
            return Err(Error::invalid_input(format!("no plugin {name} is at work: see `larder plugin list`")));
        }
        uses.for_each(|plugin| plugin.plugin.reset());
        Ok(())
    }

    async fn reload_plugin(
        &self,
        plugin: &PluginUse,
        supply_chain: &SupplyChain,
        old: &PluginConfig,
        new: &PluginConfig,
    ) -> Result<Option<Digest>> {
        let (name, data_dir) = (&plugin.name, self.data_dir.path());
        let refused = |error: HostError| Error::invalid_input(error.to_string());
        let located = components::locate(supply_chain, data_dir, name, new).await.map_err(refused)?;
        let Located { path: component, digest: pinned } = located;
        if old == new && digest(&component).await.is_some_and(|digest| digest == plugin.plugin.digest()) {
            return Ok(None);
        }
        let stores = self.granted(new)?;
        let grants = plugins::grants(&self.runtime, data_dir, name, new, stores).await.map_err(refused)?;
        let options = PluginOptions { digest: pinned, ..plugins::options(name, &plugin.store, new, grants) };
        let reloaded = self.runtime.reload(&plugin.plugin, &component, options).await;
        reloaded.map_err(|error| Error::invalid_input(error.to_string()))?;
        Ok(Some(plugin.plugin.digest()))
    }

    fn granted(&self, config: &PluginConfig) -> Result<GrantedStores> {
        let stores = self.stores.0.read();
        let granted = config.grants.stores.iter().map(|(word, name)| {
            let store = stores.get(name).ok_or_else(|| {
                Error::invalid_input(format!("it is granted the store {name}, which is there only after a restart"))
            })?;
            Ok((word.as_str().to_owned(), Arc::new(store.manager.clone()) as Arc<dyn StorageProvider>))
        });
        granted.collect()
    }
}

async fn digest(component: &Path) -> Option<Digest> {
    // A component that can not be read is found out when it is loaded.
    tokio::fs::read(component).await.ok().map(|wasm| Digest::of(&wasm))
}

fn tell(plugin: &PluginUse, outcome: Result<Option<Digest>>) -> ReloadOutcome {
    let (name, store) = (plugin.name.as_str(), plugin.store.as_str());
    match outcome {
        Ok(None) => ReloadOutcome::Unchanged,
        Ok(Some(digest)) => {
            info!(plugin = name, store, %digest, "the plugin was replaced");
            ReloadOutcome::Replaced { digest: digest.to_string() }
        }
        Err(error) => {
            error!(plugin = name, store, "the plugin is not replaced, and goes on as it is: {error}");
            ReloadOutcome::Kept { error: error.to_string() }
        }
    }
}

/// What changed beside the plugins.
fn needs_restart(old: &Config, new: &Config) -> Vec<String> {
    let changed = [
        ("data_dir", old.data_dir != new.data_dir),
        ("server", old.server != new.server),
        ("health", old.health != new.health),
        ("alerts", old.alerts != new.alerts),
        ("webhooks", old.webhooks != new.webhooks),
        ("plugin_memory", old.plugin_memory != new.plugin_memory),
        ("cache", old.cache != new.cache),
        ("stores", old.stores != new.stores),
        ("new_buckets", old.new_buckets != new.new_buckets),
    ];
    changed.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key.to_owned()).collect()
}
