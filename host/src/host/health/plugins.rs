use super::Finding;
use crate::host::PluginUse;
use crate::manager::StorageManager;
use crate::monitor::HealthState;
use crate::plugin::{Kind, PluginState};

/// How a plugin is in one of its uses: by what came of its work. Without its provider a store does nothing; where an
/// eviction strategy or a policy is away, the host does without.
pub(super) fn look(plugin: &PluginUse, stores: &[StorageManager]) -> Finding {
    let finding = Finding::new("plugin", &plugin.name, "component").of_one(plugin.store.as_str());
    let kind = plugin.plugin.interface().kind;
    let state = if kind == Kind::Provider { HealthState::Failed } else { HealthState::Degraded };
    let status = plugin.plugin.status();
    let why =
        || status.last_failure.as_ref().map_or(String::new(), |failure| format!("; its last: {}", failure.message));
    match status.state {
        PluginState::BackingOff { .. } => {
            finding.in_trouble(state, format!("it is backing off after failures{}", why()))
        }
        PluginState::Quarantined { since } => {
            let since = since.format("%FT%TZ");
            finding.in_trouble(state, format!("it is quarantined since {since}, after failing too often{}", why()))
        }
        PluginState::Running => {
            let store = stores.iter().find(|store| *store.name() == plugin.store).filter(|_| kind == Kind::Eviction);
            match store.and_then(|store| store.cache()).map_or(0, |cache| cache.stats().failed_strategies) {
                0 => finding,
                count => {
                    let why = format!("{count} shards of the cache go on with a native strategy");
                    finding.in_trouble(HealthState::Degraded, why)
                }
            }
        }
    }
}
