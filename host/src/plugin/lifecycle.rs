//! The third seam over a component.

use std::fmt;
use std::slice;
use std::time::Duration;

use parking_lot::Mutex;
use wasmtime::Store;

use super::bindings::lifecycle::exports::larder::plugin::lifecycle::{
    Candidate as PluginCandidate, Decision as PluginDecision,
};
use super::bindings::lifecycle::{LifecyclePolicy as Component, LifecyclePolicyPre};
use super::convert::error_from_plugin;
use super::state::State;
use super::synchronous::Synchronous;
use crate::error::{Error, Result};
use crate::lifecycle::{Candidate, Decision, LifecyclePolicy};
use crate::object::{Timestamp, millis_from_timestamp};

/// A policy that is a component.
///
/// `idle` is held only to take an instance and to put it back; calls beyond one at a time have an instance each.
pub(super) struct PluginLifecyclePolicy {
    pub(super) plugin: Synchronous,
    pub(super) pre: LifecyclePolicyPre<State>,
    pub(super) idle: Mutex<Option<Instance>>,
}

pub(super) struct Instance {
    store: Store<State>,
    component: Component,
}

impl fmt::Debug for PluginLifecyclePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PluginLifecyclePolicy").field(&self.plugin.plugin).finish()
    }
}

impl PluginLifecyclePolicy {
    /// Makes the first instance, which shows that the plugin starts and takes its settings.
    ///
    /// # Errors
    /// Why it does not.
    pub(super) fn probe(&self) -> Result<()> {
        let instance = self.instantiate()?;
        *self.idle.lock() = Some(instance);
        Ok(())
    }

    fn instantiate(&self) -> Result<Instance> {
        let mut store = self.plugin.new_store();
        let component = self.plugin.call(&mut store, "instantiate", |store| self.pre.instantiate(store))?;
        let opened = self.plugin.call(&mut store, "open", |store| {
            component.larder_plugin_lifecycle().call_open(store, &self.plugin.settings)
        })?;
        opened.map_err(|error| error_from_plugin(error, None))?;
        Ok(Instance { store, component })
    }

    fn decide_one(&self, candidate: &Candidate, now: Timestamp) -> Decision {
        let decisions = self.decide(slice::from_ref(candidate), now);
        decisions.ok().and_then(|decisions| decisions.first().copied()).unwrap_or(Decision::KEEP)
    }
}

impl LifecyclePolicy for PluginLifecyclePolicy {
    fn should_archive(&self, candidate: &Candidate, now: Timestamp) -> bool {
        self.decide_one(candidate, now).archive
    }

    fn should_delete(&self, candidate: &Candidate, now: Timestamp) -> bool {
        self.decide_one(candidate, now).delete
    }

    fn retention_period(&self, candidate: &Candidate) -> Duration {
        self.decide_one(candidate, candidate.metadata.updated_at).retain
    }

    fn decide(&self, candidates: &[Candidate], now: Timestamp) -> Result<Vec<Decision>> {
        let idle = self.idle.lock().take();
        let mut instance = match idle {
            Some(instance) => instance,
            None => self.instantiate()?,
        };
        let judged: Vec<PluginCandidate> = candidates
            .iter()
            .map(|candidate| PluginCandidate {
                metadata: (&candidate.metadata).into(),
                last_read_at: candidate.last_read_at.map(millis_from_timestamp),
            })
            .collect();
        let now = millis_from_timestamp(now);
        let Instance { store, component } = &mut instance;
        let decided = self
            .plugin
            .call(store, "decide", |store| component.larder_plugin_lifecycle().call_decide(store, &judged, now))?;
        *self.idle.lock() = Some(instance);
        let decisions = decided.map_err(|error| error_from_plugin(error, None))?;
        if decisions.len() != candidates.len() {
            let (wanted, found, plugin) = (candidates.len(), decisions.len(), &self.plugin.plugin);
            let error = format!("the plugin {plugin} was to decide on {wanted} objects, and decided on {found}");
            tracing::error!(plugin = &**plugin, "{error}");
            return Err(Error::internal(error));
        }
        let decision = |decision: PluginDecision| Decision {
            archive: decision.archive,
            delete: decision.delete,
            retain: Duration::from_millis(decision.retain),
        };
        Ok(decisions.into_iter().map(decision).collect())
    }
}
