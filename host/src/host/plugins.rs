//! The plugins at work, and how a configuration has them loaded.

use serde::{Deserialize, Serialize};

use crate::config::{PluginConfig, PluginLimits, PluginName, PluginRestart};
use crate::object::StoreName;
use crate::plugin::{Grants, Limits, Plugin, PluginOptions, PluginStatus, Restart};

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
