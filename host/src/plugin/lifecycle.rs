//! The third seam over a component.

use std::fmt;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use wasmtime::Store;
use wasmtime::component::InstancePre;

use super::GrantedSecrets;
use super::bindings::lifecycle::exports::larder::plugin::lifecycle::Decision as PluginDecision;
use super::bindings::lifecycle::{LifecyclePolicy as Component, LifecyclePolicyIndices};
use super::bindings::lifecycle_foresight::{LifecycleForesight, LifecycleForesightIndices};
use super::bindings::provider::larder::plugin::types::{Candidate as PluginCandidate, Error as PluginFailure};
use super::convert::error_from_plugin;
use super::operation::Operation;
use super::state::State;
use super::supervisor::Supervisor;
use super::synchronous::{Guest, Synchronous};
use crate::error::Result;
use crate::lifecycle::{Candidate, Decision, LifecyclePolicy};
use crate::object::{Digest, Tags, Timestamp, millis_from_timestamp, timestamp_from_millis};

/// A policy that is a component.
pub(super) struct PluginLifecyclePolicy {
    template: ArcSwap<LifecycleTemplate>,
}

/// What the instances are made of.
///
/// `idle` is held only to take an instance and to put it back; calls beyond one at a time have an instance each.
pub(super) struct LifecycleTemplate {
    plugin: Synchronous,
    pre: LifecyclePre,
    digest: Digest,
    idle: Mutex<Option<Instance>>,
}

struct Instance {
    guest: Guest,
    exports: Exports,
}

/// The interface that a policy may export or not.
const FORESIGHT: &str = "larder:plugin/lifecycle-foresight@0.1.0";

/// A component of which the functions were looked up, ready to be instantiated.
pub(super) struct LifecyclePre {
    pre: InstancePre<State>,
    policy: LifecyclePolicyIndices,
    foresight: Option<LifecycleForesightIndices>,
}

impl LifecyclePre {
    /// Looks them up.
    ///
    /// # Errors
    /// One is missing, or of another type.
    pub(super) fn new(pre: InstancePre<State>) -> wasmtime::Result<Self> {
        let policy = LifecyclePolicyIndices::new(&pre)?;
        let foresight = pre.component().get_export_index(None, FORESIGHT);
        let foresight = foresight.map(|_| LifecycleForesightIndices::new(&pre)).transpose()?;
        Ok(Self { pre, policy, foresight })
    }

    fn instantiate(&self, store: &mut Store<State>) -> wasmtime::Result<Exports> {
        let instance = self.pre.instantiate(&mut *store)?;
        let foresight = self.foresight.as_ref().map(|foresight| foresight.load(&mut *store, &instance)).transpose()?;
        Ok(Exports { policy: self.policy.load(store, &instance)?, foresight })
    }
}

/// The functions of an instance.
struct Exports {
    policy: Component,
    foresight: Option<LifecycleForesight>,
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
    pub(super) fn probed(plugin: Synchronous, pre: LifecyclePre, digest: Digest) -> Result<Self> {
        let template = Self { plugin, pre, digest, idle: Mutex::default() };
        let instance = template.instantiate()?;
        *template.idle.lock() = Some(instance);
        Ok(template)
    }

    fn instantiate(&self) -> Result<Instance> {
        let mut guest = self.plugin.admit()?;
        let instantiate = |store: &mut _| self.pre.instantiate(store);
        let exports = self.plugin.call(&mut guest, Operation::Instantiate, instantiate, |_| false)?;
        let settings = &self.plugin.settings;
        let open = |store: &mut _| exports.policy.larder_plugin_lifecycle().call_open(store, settings);
        let opened = self.plugin.call(&mut guest, Operation::Open, open, Result::is_err)?;
        opened.map_err(|error| error_from_plugin(error, None, &GrantedSecrets::default()))?;
        self.plugin.supervisor.meter.started();
        Ok(Instance { guest, exports })
    }

    /// Asks about all of the candidates at once: there is an answer for each.
    fn ask<T>(
        &self,
        operation: Operation,
        candidates: &[Candidate],
        ask: impl FnOnce(&Exports, &mut Store<State>, &[PluginCandidate]) -> wasmtime::Result<Result<Vec<T>, PluginFailure>>,
    ) -> Result<Vec<T>> {
        self.plugin.supervisor.admit_call()?;
        let idle = self.idle.lock().take();
        let mut instance = match idle {
            Some(instance) => instance,
            None => self.instantiate()?,
        };
        let asked: Vec<PluginCandidate> = candidates.iter().map(Into::into).collect();
        let Instance { guest, exports } = &mut instance;
        let answers = self.plugin.call(guest, operation, |store| ask(exports, store, &asked), Result::is_err)?;
        if let Ok(answers) = &answers
            && answers.len() != candidates.len()
        {
            let what = format!("it was asked about {} objects, and answered about {}", candidates.len(), answers.len());
            return Err(self.plugin.broken(guest, operation, what));
        }
        *self.idle.lock() = Some(instance);
        answers.map_err(|error| error_from_plugin(error, None, &GrantedSecrets::default()))
    }

    fn decide(&self, candidates: &[Candidate], now: Timestamp) -> Result<Vec<Decision>> {
        let now = millis_from_timestamp(now);
        let decisions = self.ask(Operation::Decide, candidates, |exports, store, asked| {
            exports.policy.larder_plugin_lifecycle().call_decide(store, asked, now)
        })?;
        let decision = |decision: PluginDecision| Decision {
            archive: decision.archive,
            delete: decision.delete,
            retain: Duration::from_millis(decision.retain),
            tags: Tags::new(),
        };
        Ok(decisions.into_iter().map(decision).collect())
    }

    fn next_changes(&self, candidates: &[Candidate], now: Timestamp) -> Result<Vec<Option<Timestamp>>> {
        let at = millis_from_timestamp(now);
        let changes = self.ask(Operation::Foresee, candidates, |exports, store, asked| match &exports.foresight {
            Some(foresight) => foresight.larder_plugin_lifecycle_foresight().call_next_changes(store, asked, at),
            None => Ok(Ok(vec![Some(at); asked.len()])),
        })?;
        Ok(changes.into_iter().map(|change| change.map(timestamp_from_millis)).collect())
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

    fn foresees(&self) -> bool {
        self.template.load().pre.foresight.is_some()
    }

    fn next_changes(&self, candidates: &[Candidate], now: Timestamp) -> Result<Vec<Option<Timestamp>>> {
        self.template.load_full().next_changes(candidates, now)
    }

    fn fingerprint(&self) -> String {
        let template = self.template.load();
        format!("{} {}", template.digest, template.plugin.settings)
    }
}
