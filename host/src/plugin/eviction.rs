//! The second seam over a component: an instance for each shard.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use wasmtime::Store;
use wasmtime::component::InstancePre;

use super::bindings::eviction::exports::larder::plugin::eviction::Batch as PluginBatch;
use super::bindings::eviction::{EvictionStrategy as Component, EvictionStrategyIndices};
use super::bindings::eviction_memory::{EvictionMemory, EvictionMemoryIndices};
use super::operation::Operation;
use super::state::State;
use super::supervisor::Supervisor;
use super::synchronous::{Guest, Synchronous};
use crate::cache::{Batch, EntryId, EvictionStrategy, EvictionStrategyFactory};
use crate::error::{Error, Result};

/// Makes a strategy that is a component, for each shard one.
pub(super) struct PluginEvictionFactory {
    name: Arc<str>,
    template: ArcSwap<EvictionTemplate>,
    /// How often the template was replaced or reset.
    generation: AtomicU64,
}

/// What the instances are made of.
pub(super) struct EvictionTemplate {
    pub(super) plugin: Synchronous,
    pub(super) pre: EvictionPre,
}

/// The interface that a strategy may export or not.
const MEMORY: &str = "larder:plugin/eviction-memory@0.1.0";

/// A component of which the functions were looked up, ready to be instantiated.
pub(super) struct EvictionPre {
    pre: InstancePre<State>,
    strategy: EvictionStrategyIndices,
    memory: Option<EvictionMemoryIndices>,
}

impl EvictionPre {
    /// Looks them up.
    ///
    /// # Errors
    /// One is missing, or of another type.
    pub(super) fn new(pre: InstancePre<State>) -> wasmtime::Result<Self> {
        let strategy = EvictionStrategyIndices::new(&pre)?;
        let memory = pre.component().get_export_index(None, MEMORY);
        let memory = memory.map(|_| EvictionMemoryIndices::new(&pre)).transpose()?;
        Ok(Self { pre, strategy, memory })
    }

    fn instantiate(&self, store: &mut Store<State>) -> wasmtime::Result<Exports> {
        let instance = self.pre.instantiate(&mut *store)?;
        let memory = self.memory.as_ref().map(|memory| memory.load(&mut *store, &instance)).transpose()?;
        Ok(Exports { strategy: self.strategy.load(store, &instance)?, memory })
    }
}

/// The functions of an instance.
struct Exports {
    strategy: Component,
    memory: Option<EvictionMemory>,
}

impl PluginEvictionFactory {
    pub(super) fn new(template: Arc<EvictionTemplate>) -> Self {
        let name = Arc::clone(&template.plugin.supervisor.plugin);
        Self { name, template: ArcSwap::new(template), generation: AtomicU64::new(0) }
    }

    /// Has shards go over to strategies made of another template.
    pub(super) fn replace(&self, template: Arc<EvictionTemplate>) {
        self.template.store(template);
        self.renew();
    }

    /// Has shards make their strategies anew.
    pub(super) fn renew(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Who watches over the plugin.
    pub(super) fn supervisor(&self) -> Arc<Supervisor> {
        Arc::clone(&self.template.load().plugin.supervisor)
    }
}

impl fmt::Debug for PluginEvictionFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PluginEvictionFactory").field(&self.supervisor()).finish()
    }
}

impl EvictionStrategyFactory for PluginEvictionFactory {
    fn name(&self) -> &str {
        &self.name
    }

    fn open(&self, capacity: u64) -> Result<Box<dyn EvictionStrategy>> {
        self.template.load_full().open(capacity).map(|strategy| Box::new(strategy) as _)
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }
}

impl EvictionTemplate {
    /// Makes an instance for a shard of this capacity.
    ///
    /// # Errors
    /// Why it does not start, or does not take its settings.
    pub(super) fn open(self: Arc<Self>, capacity: u64) -> Result<PluginEviction> {
        let mut guest = self.plugin.admit()?;
        let instantiate = |store: &mut _| self.pre.instantiate(store);
        let exports = self.plugin.call(&mut guest, Operation::Instantiate, instantiate, |_| false)?;
        let settings = &self.plugin.settings;
        let open = |store: &mut _| exports.strategy.larder_plugin_eviction().call_open(store, settings, capacity);
        match self.plugin.call(&mut guest, Operation::Open, open, Result::is_err)? {
            Ok(()) => {
                self.plugin.supervisor.meter.started();
                Ok(PluginEviction { template: self, guest, exports })
            }
            Err(error) => Err(Error::invalid_input(error.message)),
        }
    }
}

/// A strategy that is an instance of a component.
pub(super) struct PluginEviction {
    template: Arc<EvictionTemplate>,
    guest: Guest,
    exports: Exports,
}

impl fmt::Debug for PluginEviction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PluginEviction").field(&self.template.plugin.supervisor).finish()
    }
}

impl EvictionStrategy for PluginEviction {
    fn step(&mut self, batch: &Batch, wanted: u64, max_victims: usize, victims: &mut Vec<EntryId>) -> Result<()> {
        let Self { template, guest, exports } = self;
        let Batch { inserted, hashes, weights, accessed, removed } = batch;
        let events = PluginBatch { inserted, hashes, weights, accessed, removed };
        let max_victims = u32::try_from(max_victims).unwrap_or(u32::MAX);
        let strategy = exports.strategy.larder_plugin_eviction();
        let step = |store: &mut _| strategy.call_step(store, events, wanted, max_victims);
        let chosen = template.plugin.call(guest, Operation::Step, step, |_| false)?;
        victims.extend(chosen.into_iter().map(EntryId));
        Ok(())
    }

    fn snapshot(&mut self) -> Result<Vec<u8>> {
        let Self { template, guest, exports } = self;
        let Some(memory) = &exports.memory else { return Ok(Vec::new()) };
        let snapshot = |store: &mut _| memory.larder_plugin_eviction_memory().call_snapshot(store);
        template.plugin.call(guest, Operation::Snapshot, snapshot, |_| false)
    }

    fn restore(&mut self, remembered: &[u8]) -> Result<()> {
        let Self { template, guest, exports } = self;
        let Some(memory) = &exports.memory else { return Ok(()) };
        let restore = |store: &mut _| memory.larder_plugin_eviction_memory().call_restore(store, remembered);
        template.plugin.call(guest, Operation::Restore, restore, |_| false)
    }
}
