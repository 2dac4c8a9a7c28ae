//! Makes what lets the objects of a store age.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::HostError;
use super::assembly::Assembly;
use crate::config::{LifecycleConfig, PluginMode};
use crate::lifecycle::{AgeingStore, LifecycleManager};
use crate::object::StoreName;

/// Where runs keep how far they are, and reads are noted, in the data folder.
const FOLDER: &str = "lifecycle";

/// Where what is read in a store is noted, if it is.
pub(super) fn read_log(data_dir: &Path, store: &StoreName) -> PathBuf {
    data_dir.join(FOLDER).join(format!("{store}.reads"))
}

/// The policies of a store, at work on it.
///
/// # Errors
/// Why a policy can not be made.
pub(super) async fn manager(
    assembly: &mut Assembly<'_>,
    name: &StoreName,
    config: &LifecycleConfig,
    store: Arc<dyn AgeingStore>,
) -> Result<LifecycleManager, HostError> {
    let mut manager = LifecycleManager::new(name.clone(), store);
    for (rule, policy) in config.rules() {
        manager = manager.with_policy(rule, Arc::new(policy));
    }
    for plugin in &config.policies {
        let policy = assembly.policy(plugin, name).await?;
        manager = match assembly.mode(plugin) {
            PluginMode::Enforce => manager.with_policy(plugin.as_str(), policy),
            PluginMode::Monitor => manager.with_monitored_policy(plugin.as_str(), policy),
        };
    }
    if let Some(keep) = config.trash {
        manager = manager.with_trash(keep.as_duration());
    }
    if let Some(rate) = config.max_rate {
        manager = manager.with_max_rate(rate);
    }
    Ok(manager.with_progress(assembly.data_dir().join(FOLDER).join(format!("{name}.json"))))
}
