//! The third seam over a component.

use std::fmt;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::GrantedSecrets;
use super::bindings::lifecycle::exports::larder::plugin::lifecycle::{
    Candidate as PluginCandidate, Decision as PluginDecision,
};
use super::bindings::lifecycle::{LifecyclePolicy as Component, LifecyclePolicyPre};
use super::convert::error_from_plugin;
use super::operation::Operation;
use super::state::State;
use super::supervisor::Supervisor;
use super::synchronous::{Guest, Synchronous};
use crate::error::Result;
use crate::lifecycle::{Candidate, Decision, LifecyclePolicy};
use crate::object::{Digest, Tags, Timestamp, millis_from_timestamp};

/// A policy that is a component.
pub(super) struct PluginLifecyclePolicy {
    template: ArcSwap<LifecycleTemplate>,
}

/// What the instances are made of.
///
/// `idle` is held only to take an instance and to put it back; calls beyond one at a time have an instance each.
pub(super) struct LifecycleTemplate {
    plugin: Synchronous,
    pre: LifecyclePolicyPre<State>,
    digest: Digest,
    idle: Mutex<Option<Instance>>,
}

struct Instance {
    guest: Guest,
    component: Component,
}

impl PluginLifecyclePolicy {
    pub(super) fn new(template: LifecycleTemplate) -> Self {
        Self { template: ArcSwap::from_pointee(template) }
    }

    /// Has calls from now on go to instances of another template.
    pub(super) fn replace(&self, template: LifecycleTemplate) {
        self.template.store(Arc::new(template));
    }

    /// Who watches over the plugin.
    pub(super) fn supervisor(&self) -> Arc<Supervisor> {
        Arc::clone(&self.template.load().plugin.supervisor)
    }

    fn decide_one(&self, candidate: &Candidate, now: Timestamp) -> Decision {
        let decisions = self.decide(slice::from_ref(candidate), now);
        decisions.ok().and_then(|decisions| decisions.first().cloned()).unwrap_or(Decision::KEEP)
    }
}

impl fmt::Debug for PluginLifecyclePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PluginLifecyclePolicy").field(&self.supervisor()).finish()
    }
}

impl LifecycleTemplate {
    /// Makes the first instance, which shows that the plugin starts and takes its settings.
    ///
    /// # Errors
    /// Why it does not.
    pub(super) fn probed(plugin: Synchronous, pre: LifecyclePolicyPre<State>, digest: Digest) -> Result<Self> {
        let template = Self { plugin, pre, digest, idle: Mutex::default() };
        let instance = template.instantiate()?;
        *template.idle.lock() = Some(instance);
        Ok(template)
    }

    fn instantiate(&self) -> Result<Instance> {
        let mut guest = self.plugin.admit()?;
        let instantiate = |store: &mut _| self.pre.instantiate(store);
        let component = self.plugin.call(&mut guest, Operation::Instantiate, instantiate, |_| false)?;
        let settings = &self.plugin.settings;
        let open = |store: &mut _| component.larder_plugin_lifecycle().call_open(store, settings);
        let opened = self.plugin.call(&mut guest, Operation::Open, open, Result::is_err)?;
        opened.map_err(|error| error_from_plugin(error, None, &GrantedSecrets::default()))?;
        self.plugin.supervisor.meter.started();
        Ok(Instance { guest, component })
    }

    fn decide(&self, candidates: &[Candidate], now: Timestamp) -> Result<Vec<Decision>> {
        self.plugin.supervisor.admit_call()?;
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
        let Instance { guest, component } = &mut instance;
        let decide = |store: &mut _| component.larder_plugin_lifecycle().call_decide(store, &judged, now);
        let decided = self.plugin.call(guest, Operation::Decide, decide, Result::is_err)?;
        if let Ok(decisions) = &decided
            && decisions.len() != candidates.len()
        {
            let what = format!("it was to decide on {} objects, and decided on {}", candidates.len(), decisions.len());
            return Err(self.plugin.broken(guest, Operation::Decide, what));
        }
        *self.idle.lock() = Some(instance);
        let decision = |decision: PluginDecision| Decision {
            archive: decision.archive,
            delete: decision.delete,
            retain: Duration::from_millis(decision.retain),
            tags: Tags::new(),
        };
        let decisions = decided.map_err(|error| error_from_plugin(error, None, &GrantedSecrets::default()))?;
        Ok(decisions.into_iter().map(decision).collect())
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
        self.template.load_full().decide(candidates, now)
    }

    fn fingerprint(&self) -> String {
        let template = self.template.load();
        format!("{} {}", template.digest, template.plugin.settings)
    }
}
