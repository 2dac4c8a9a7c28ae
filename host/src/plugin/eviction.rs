//! The second seam over a component: an instance for each shard.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::{Engine, Store};

use super::Kind;
use super::bindings::eviction::exports::larder::plugin::eviction::{Batch as PluginBatch, Guest};
use super::bindings::eviction::{EvictionStrategy as Component, EvictionStrategyPre};
use super::engine::ticks;
use super::fault::{Fault, guard};
use super::limits::{Limits, SYNCHRONOUS_RESULT};
use super::log::RateLimit;
use super::state::State;
use crate::cache::{Batch, EntryId, EvictionStrategy, EvictionStrategyFactory};
use crate::error::{Error, Result};

/// Makes a strategy that is a component, for each shard one.
pub(super) struct PluginEvictionFactory {
    pub(super) plugin: Arc<str>,
    pub(super) limits: Limits,
    pub(super) engine: Engine,
    pub(super) pre: EvictionStrategyPre<State>,
    pub(super) settings: String,
    pub(super) log: Arc<RateLimit>,
}

impl fmt::Debug for PluginEvictionFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PluginEvictionFactory").field(&self.plugin).finish()
    }
}

impl EvictionStrategyFactory for PluginEvictionFactory {
    fn open(&self, capacity: u64) -> Result<Box<dyn EvictionStrategy>> {
        let state = State::new(Arc::clone(&self.plugin), &self.limits, Arc::default(), Arc::clone(&self.log));
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(SYNCHRONOUS_RESULT);
        let timeout = self.limits.timeout(Kind::Eviction);
        store.set_epoch_deadline(ticks(timeout));
        let component = match guard(|| self.pre.instantiate(&mut store)) {
            Ok(component) => component,
            Err(fault) => return Err(fault.report(&self.plugin, "instantiate", timeout, &store.data().limiter)),
        };
        let mut strategy = PluginEviction { plugin: Arc::clone(&self.plugin), timeout, store, component };
        let opened = strategy.call("open", |guest, store| guest.call_open(store, &self.settings, capacity))?;
        match opened {
            Ok(()) => Ok(Box::new(strategy)),
            Err(error) => Err(Error::invalid_input(error.message)),
        }
    }
}

/// A strategy that is an instance of a component.
struct PluginEviction {
    plugin: Arc<str>,
    timeout: Duration,
    store: Store<State>,
    component: Component,
}

impl fmt::Debug for PluginEviction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PluginEviction").field(&self.plugin).finish()
    }
}

impl PluginEviction {
    fn call<T>(
        &mut self,
        operation: &str,
        call: impl FnOnce(&Guest, &mut Store<State>) -> wasmtime::Result<T>,
    ) -> Result<T> {
        let Self { plugin, timeout, store, component } = self;
        store.set_epoch_deadline(ticks(*timeout));
        guard(|| call(component.larder_plugin_eviction(), store))
            .map_err(|fault: Fault| fault.report(plugin, operation, *timeout, &store.data().limiter))
    }
}

impl EvictionStrategy for PluginEviction {
    fn step(&mut self, batch: &Batch, wanted: u64, max_victims: usize, victims: &mut Vec<EntryId>) -> Result<()> {
        let Batch { inserted, hashes, weights, accessed, removed } = batch;
        let events = PluginBatch { inserted, hashes, weights, accessed, removed };
        let max_victims = u32::try_from(max_victims).unwrap_or(u32::MAX);
        let chosen = self.call("step", |guest, store| guest.call_step(store, events, wanted, max_victims))?;
        victims.extend(chosen.into_iter().map(EntryId));
        Ok(())
    }
}
