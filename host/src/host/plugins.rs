//! The plugins at work, and how a configuration has them loaded.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::HostError;
use crate::config::{self, PluginConfig, PluginLimits, PluginName, PluginRestart};
use crate::object::StoreName;
use crate::plugin::{
    GrantedFolder, GrantedSecrets, GrantedStores, Grants, Limits, Plugin, PluginOptions, PluginRuntime, PluginStatus,
    Restart, SecretSource,
};

/// The folder of what plugins keep, in the data folder, and in it for each plugin that of its state.
const PLUGINS: &str = "plugins";
const STATE: &str = "state";

/// A plugin at work for one store. Each use of a plugin has instances, and so a memory, of its own.
#[derive(Clone, Debug)]
pub struct PluginUse {
    /// Its name in the configuration.
    pub name: PluginName,
    /// The store that it works for.
    pub store: StoreName,
    /// The plugin.
    pub plugin: Plugin,
}

/// How a plugin at work is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PluginReport {
    /// Its name in the configuration.
    pub plugin: PluginName,
    /// The store that it works for.
    pub store: StoreName,
    /// What it is: `provider`, `eviction` or `lifecycle`.
    pub kind: String,
    /// The digest of its component.
    pub digest: String,
    /// How it is.
    #[serde(flatten)]
    pub status: PluginStatus,
}

impl PluginUse {
    /// How it is.
    pub fn report(&self) -> PluginReport {
        PluginReport {
            plugin: self.name.clone(),
            store: self.store.clone(),
            kind: self.plugin.interface().kind.as_str().to_owned(),
            digest: self.plugin.digest().to_string(),
            status: self.plugin.status(),
        }
    }
}

/// How a plugin is loaded for a store, given what it may reach.
pub(super) fn options(name: &PluginName, store: &StoreName, config: &PluginConfig, grants: Grants) -> PluginOptions {
    PluginOptions {
        store: store.as_str().into(),
        settings: config.config.clone(),
        grants,
        limits: limits(&config.limits),
        restart: restart(&config.restart),
        ..PluginOptions::new(name.as_str())
    }
}

/// What a configuration grants a plugin beside the stores, which are there, made ready.
///
/// # Errors
/// [`HostError::PluginState`] if its state can not be opened.
pub(super) async fn grants(
    runtime: &PluginRuntime,
    data_dir: &Path,
    name: &PluginName,
    config: &PluginConfig,
    stores: GrantedStores,
) -> Result<Grants, HostError> {
    let config::Grants { stores: _, state, secrets, http, files, clocks, random, env } = &config.grants;
    let state = match state.capacity() {
        Some(capacity) => {
            let folder = data_dir.join(PLUGINS).join(name.as_str()).join(STATE);
            let opened = runtime.state(&folder, capacity).await;
            Some(opened.map_err(|error| HostError::PluginState { plugin: name.clone(), folder, error })?)
        }
        None => None,
    };
    let source = |secret: &config::Secret| {
        let secret = secret.clone();
        Box::new(move || secret.expose()) as SecretSource
    };
    let secrets = secrets.iter().map(|(word, secret)| (word.as_str().to_owned(), source(secret)));
    let folder = |folder: &config::FolderGrant| GrantedFolder { path: folder.path.clone(), write: folder.write };
    Ok(Grants {
        stores,
        state,
        secrets: GrantedSecrets::new(secrets.collect()),
        http: http.clone(),
        files: files.iter().map(|(path, granted)| (path.as_str().to_owned(), folder(granted))).collect(),
        clocks: *clocks,
        random: *random,
        env: env.iter().map(|(variable, value)| (variable.as_str().to_owned(), value.clone())).collect(),
    })
}

fn limits(written: &PluginLimits) -> Limits {
    let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    Limits {
        memory: count(written.memory.bytes()),
        table_entries: count(written.table_entries.get().into()),
        call_timeout: written.call_timeout.map(|timeout| timeout.as_duration()),
        instances: count(written.instances.get().into()),
        calls: count(written.calls.get().into()),
        whole_body: count(written.whole_body.bytes()),
        object_size: written.object_size.map(|size| size.bytes()),
        returned: count(written.returned.bytes()),
        log_lines: written.log_lines.get(),
        component_size: written.component_size.bytes(),
        compile_time: written.compile_time.as_duration(),
    }
}

fn restart(written: &PluginRestart) -> Restart {
    Restart {
        backoff: written.backoff.as_duration(),
        max_backoff: written.max_backoff.as_duration(),
        healthy_after: written.healthy_after.as_duration(),
        quarantine_after: written.quarantine_after,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_of_the_configuration_are_those_of_the_runtime() {
        assert_eq!(limits(&PluginLimits::default()), Limits::default());
        assert_eq!(restart(&PluginRestart::default()), Restart::default());
    }
}
