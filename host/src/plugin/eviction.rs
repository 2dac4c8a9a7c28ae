//! The second seam over a component: an instance for each shard.

use std::fmt;
use std::sync::Arc;

use wasmtime::Store;

use super::bindings::eviction::exports::larder::plugin::eviction::Batch as PluginBatch;
use super::bindings::eviction::{EvictionStrategy as Component, EvictionStrategyPre};
use super::state::State;
use super::synchronous::Synchronous;
use crate::cache::{Batch, EntryId, EvictionStrategy, EvictionStrategyFactory};
use crate::error::{Error, Result};

/// Makes a strategy that is a component, for each shard one.
pub(super) struct PluginEvictionFactory {
    pub(super) plugin: Arc<Synchronous>,
    pub(super) pre: EvictionStrategyPre<State>,
}

impl fmt::Debug for PluginEvictionFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PluginEvictionFactory").field(&self.plugin.plugin).finish()
    }
}

impl EvictionStrategyFactory for PluginEvictionFactory {
    fn open(&self, capacity: u64) -> Result<Box<dyn EvictionStrategy>> {
        let plugin = Arc::clone(&self.plugin);
        let mut store = plugin.new_store();
        let component = plugin.call(&mut store, "instantiate", |store| self.pre.instantiate(store))?;
        let opened = plugin.call(&mut store, "open", |store| {
            component.larder_plugin_eviction().call_open(store, &plugin.settings, capacity)
        })?;
        match opened {
            Ok(()) => Ok(Box::new(PluginEviction { plugin, store, component })),
            Err(error) => Err(Error::invalid_input(error.message)),
        }
    }
}

/// A strategy that is an instance of a component.
struct PluginEviction {
    plugin: Arc<Synchronous>,
    store: Store<State>,
    component: Component,
}

impl fmt::Debug for PluginEviction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PluginEviction").field(&self.plugin.plugin).finish()
    }
}

impl EvictionStrategy for PluginEviction {
    fn step(&mut self, batch: &Batch, wanted: u64, max_victims: usize, victims: &mut Vec<EntryId>) -> Result<()> {
        let Self { plugin, store, component } = self;
        let Batch { inserted, hashes, weights, accessed, removed } = batch;
        let events = PluginBatch { inserted, hashes, weights, accessed, removed };
        let max_victims = u32::try_from(max_victims).unwrap_or(u32::MAX);
        let chosen = plugin.call(store, "step", |store| {
            component.larder_plugin_eviction().call_step(store, events, wanted, max_victims)
        })?;
        victims.extend(chosen.into_iter().map(EntryId));
        Ok(())
    }
}
