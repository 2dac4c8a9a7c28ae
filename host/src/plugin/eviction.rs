//! The second seam over a component: an instance for each shard.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use super::bindings::eviction::exports::larder::plugin::eviction::Batch as PluginBatch;
use super::bindings::eviction::{EvictionStrategy as Component, EvictionStrategyPre};
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
    pub(super) pre: EvictionStrategyPre<State>,
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
        let component = self.plugin.call(&mut guest, Operation::Instantiate, instantiate, |_| false)?;
        let settings = &self.plugin.settings;
        let open = |store: &mut _| component.larder_plugin_eviction().call_open(store, settings, capacity);
        match self.plugin.call(&mut guest, Operation::Open, open, Result::is_err)? {
            Ok(()) => {
                self.plugin.supervisor.meter.started();
                Ok(PluginEviction { template: self, guest, component })
            }
            Err(error) => Err(Error::invalid_input(error.message)),
        }
    }
}

/// A strategy that is an instance of a component.
pub(super) struct PluginEviction {
    template: Arc<EvictionTemplate>,
    guest: Guest,
    component: Component,
}

impl fmt::Debug for PluginEviction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PluginEviction").field(&self.template.plugin.supervisor).finish()
    }
}

impl EvictionStrategy for PluginEviction {
    fn step(&mut self, batch: &Batch, wanted: u64, max_victims: usize, victims: &mut Vec<EntryId>) -> Result<()> {
        let Self { template, guest, component } = self;
        let Batch { inserted, hashes, weights, accessed, removed } = batch;
        let events = PluginBatch { inserted, hashes, weights, accessed, removed };
        let max_victims = u32::try_from(max_victims).unwrap_or(u32::MAX);
        let step = |store: &mut _| component.larder_plugin_eviction().call_step(store, events, wanted, max_victims);
        let chosen = template.plugin.call(guest, Operation::Step, step, |_| false)?;
        victims.extend(chosen.into_iter().map(EntryId));
        Ok(())
    }
}
