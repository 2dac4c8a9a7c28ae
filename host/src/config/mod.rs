//! The configuration: YAML, read once into types that can not hold a wrong value, and checked as a whole.
//!
//! ```
//! # fn main() -> Result<(), larder::config::ConfigError> {
//! let config = larder::config::Config::embedded()?;
//! assert!(config.stores.contains_key("documents"));
//! # Ok(())
//! # }
//! ```

mod alerts;
mod backup;
mod cache;
mod check;
mod entries;
mod error;
mod grants;
mod graph;
mod health;
mod layers;
mod lifecycle;
mod limits;
mod locate;
mod name;
mod period;
mod plugin;
mod scalar;
mod schedule;
mod schema;
mod secret;
mod server;
mod size;
mod store;
mod summary;
mod supply_chain;
mod ttl;
mod url;
mod webhook;

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use alerts::{AlertRuleConfig, AlertmanagerConfig, AlertsConfig, TroubleState};
pub use backup::{BackupConfig, RepositoryAddress};
pub use cache::{CacheConfig, CacheDefaults, EvictionPolicy};
pub(crate) use error::nearest;
pub use error::{ConfigError, Position, Problem};
pub use grants::{FolderGrant, Grants, GuestPath, StateGrant};
pub use health::{DiskConfig, HealthConfig, Percentage, Probe};
pub use layers::{Compression, EncryptionConfig};
pub use lifecycle::{LifecycleConfig, RuleConfig, SinceConfig};
pub use limits::{PluginLimits, PluginRestart};
pub use name::{AccessKey, AlertName, GrantName, PluginName, Region, VariableName, WebhookName};
pub use period::Period;
pub use plugin::{ComponentSource, Cosign, PluginConfig, PluginMode, Verify};
pub use schedule::{ScheduleConfig, Start, TimeZone};
pub use secret::Secret;
pub use server::{AdminConfig, Credential, ListenAddress, S3Config, ServerConfig};
pub use size::Size;
pub use store::{StorageConfig, StorageType, StoreTemplate};
pub use summary::Summary;
pub use supply_chain::SupplyChain;
pub use ttl::Ttl;
pub use url::Url;
pub use webhook::WebhookConfig;

use crate::object::StoreName;

/// The configuration of a larder host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The folder that holds everything the host keeps.
    #[serde(default = "data_dir")]
    pub data_dir: PathBuf,
    /// Where the host listens.
    #[serde(default)]
    pub server: ServerConfig,
    /// The plugins, by name.
    #[serde(default, deserialize_with = "entries::deserialize")]
    pub plugins: BTreeMap<PluginName, PluginConfig>,
    /// How the host looks after itself.
    #[serde(default)]
    pub health: HealthConfig,
    /// What needs a person, and who is told of it.
    #[serde(default)]
    pub alerts: AlertsConfig,
    /// Who is told of what happens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<WebhookConfig>,
    /// What is asked of where plugins come from.
    #[serde(default)]
    pub supply_chain: SupplyChain,
    /// The memory that all plugins may have together.
    #[serde(default = "plugin_memory")]
    pub plugin_memory: Size,
    /// What holds for the caches of all stores.
    #[serde(default)]
    pub cache: CacheDefaults,
    /// The stores, by name.
    #[serde(default, deserialize_with = "entries::by_store")]
    pub stores: BTreeMap<StoreName, StorageConfig>,
    /// What a store is like that a client makes; absent: clients make none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_buckets: Option<StoreTemplate>,
}

fn note_users(users: &mut Vec<String>, name: &str, plugin: &PluginName, store: &StorageConfig) {
    if matches!(&store.provider_type, StorageType::Custom(custom) if custom == plugin) {
        users.push(format!("provider of {name}"));
    }
    if let Some(CacheConfig { eviction_policy: EvictionPolicy::Custom(custom), .. }) = &store.cache
        && custom == plugin
    {
        users.push(format!("cache of {name}"));
    }
    if store.lifecycle.as_ref().is_some_and(|lifecycle| lifecycle.policies.contains(plugin)) {
        users.push(format!("lifecycle of {name}"));
    }
}

fn plugin_memory() -> Size {
    Size::mebibytes(NonZeroU64::new(2 << 10).expect("2,048 is not 0"))
}

fn data_dir() -> PathBuf {
    PathBuf::from("larder-data")
}

impl Config {
    /// The text of the configuration that is compiled in.
    pub const EMBEDDED: &str = include_str!("../../../config/larder.yaml");

    /// Reads a file. Relative paths in it start from the folder that it is in.
    ///
    /// # Errors
    /// Everything wrong with it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let origin = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            ConfigError::whole(&origin, format!("can not be read: {error}; name a YAML file that larder may read"))
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::parse(&origin, &text, folder, folder)
    }

    /// The configuration that is compiled in. Its data is kept under the working directory, and its plugins are built
    /// from the source tree that the host was compiled from.
    ///
    /// # Errors
    /// Everything wrong with it: none, unless the code around it changed.
    pub fn embedded() -> Result<Self, ConfigError> {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/"));
        Self::parse("the embedded configuration", Self::EMBEDDED, Path::new(""), sources)
    }

    /// What a plugin is used for, such as `cache of documents`; empty if for nothing.
    pub fn users_of(&self, plugin: &PluginName) -> Vec<String> {
        let mut users = Vec::new();
        for (name, store) in &self.stores {
            note_users(&mut users, name.as_str(), plugin, store);
        }
        if let Some(template) = &self.new_buckets {
            note_users(&mut users, "new buckets", plugin, &template.to_storage());
        }
        users
    }

    /// The largest component that any of the plugins may have, in bytes; that of a plugin without limits of its own, if
    /// there are none.
    pub fn largest_component(&self) -> u64 {
        let sizes = self.plugins.values().map(|plugin| plugin.limits.component_size.bytes());
        sizes.chain([PluginLimits::default().component_size.bytes()]).max().unwrap_or(u64::MAX)
    }

    /// A use of the plugin for which it has to be pure, such as `eviction strategy of documents`, if there is one.
    fn pure_use_of(&self, plugin: &PluginName) -> Option<String> {
        let template = self.new_buckets.as_ref().map(|template| ("new buckets", template.to_storage()));
        let stores = self.stores.iter().map(|(name, store)| (name.as_str(), store.clone())).chain(template);
        stores.into_iter().find_map(|(name, store)| {
            let evicts = store.cache.is_some_and(
                |cache| matches!(cache.eviction_policy, EvictionPolicy::Custom(custom) if custom == *plugin),
            );
            let ages = store.lifecycle.is_some_and(|lifecycle| lifecycle.policies.contains(plugin));
            match (evicts, ages) {
                (true, _) => Some(format!("eviction strategy of {name}")),
                (_, true) => Some(format!("lifecycle policy of {name}")),
                _ => None,
            }
        })
    }

    /// Reads a document whose data and secrets are named from the folder `data` on, and its plugins from `components`
    /// on.
    fn parse(origin: &str, text: &str, data: &Path, components: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = serde_yaml::from_str(text).map_err(|error| ConfigError::parse(origin, &error))?;
        config.data_dir = data.join(&config.data_dir);
        for credential in &mut config.server.s3.credentials {
            credential.secret_key.rebase(data);
        }
        for plugin in config.plugins.values_mut() {
            plugin.rebase(data, components);
        }
        let of_stores = config.stores.values_mut().map(|store| &mut store.encryption);
        let of_template = config.new_buckets.iter_mut().map(|template| &mut template.encryption);
        for encryption in of_stores.chain(of_template).flatten() {
            encryption.rebase(data);
        }
        let of_webhooks =
            config.webhooks.iter_mut().flat_map(|webhook| [&mut webhook.secret, &mut webhook.authorization]);
        let of_alertmanagers = config.alerts.alertmanagers.iter_mut().map(|to| &mut to.authorization);
        for secret in of_webhooks.chain(of_alertmanagers).flatten() {
            secret.rebase(data);
        }
        for backup in config.stores.values_mut().filter_map(|store| store.backup.as_mut()) {
            backup.to.rebase(data);
        }
        let found = check::check(&config);
        if found.is_empty() { Ok(config) } else { Err(ConfigError::checks(origin, text, found)) }
    }
}

#[cfg(test)]
mod tests;
