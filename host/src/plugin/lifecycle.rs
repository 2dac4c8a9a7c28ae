//! The third seam over a component.

use std::fmt;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use wasmtime::{Engine, Store};

use super::Kind;
use super::bindings::lifecycle::exports::larder::plugin::lifecycle::{Candidate as PluginCandidate, Guest};
use super::bindings::lifecycle::{LifecyclePolicy as Component, LifecyclePolicyPre};
use super::convert::error_from_plugin;
use super::engine::ticks;
use super::fault::{Fault, guard};
use super::limits::{Limits, SYNCHRONOUS_RESULT};
use super::log::RateLimit;
use super::state::State;
use crate::error::{Error, Result};
use crate::lifecycle::{Candidate, Decision, LifecyclePolicy};
use crate::object::{Timestamp, millis_from_timestamp};

/// A policy that is a component.
///
/// `idle` is held only to take an instance and to put it back; calls beyond one at a time have an instance each.
pub(super) struct PluginLifecyclePolicy {
    pub(super) plugin: Arc<str>,
    pub(super) limits: Limits,
    pub(super) engine: Engine,
    pub(super) pre: LifecyclePolicyPre<State>,
    pub(super) settings: String,
    pub(super) log: Arc<RateLimit>,
    pub(super) idle: Mutex<Option<Instance>>,
}

pub(super) struct Instance {
    store: Store<State>,
    component: Component,
}

impl fmt::Debug for PluginLifecyclePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PluginLifecyclePolicy").field(&self.plugin).finish()
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
        let state = State::new(Arc::clone(&self.plugin), &self.limits, Arc::default(), Arc::clone(&self.log));
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(SYNCHRONOUS_RESULT);
        store.set_epoch_deadline(ticks(self.limits.timeout(Kind::Lifecycle)));
        let component = match guard(|| self.pre.instantiate(&mut store)) {
            Ok(component) => component,
            Err(fault) => return Err(self.report(fault, "instantiate", &store)),
        };
        let mut instance = Instance { store, component };
        self.call(&mut instance, "open", |guest, store| guest.call_open(store, &self.settings))?
            .map_err(|error| error_from_plugin(error, None))?;
        Ok(instance)
    }

    fn call<T>(
        &self,
        instance: &mut Instance,
        operation: &str,
        call: impl FnOnce(&Guest, &mut Store<State>) -> wasmtime::Result<T>,
    ) -> Result<T> {
        let Instance { store, component } = instance;
        store.set_epoch_deadline(ticks(self.limits.timeout(Kind::Lifecycle)));
        guard(|| call(component.larder_plugin_lifecycle(), store)).map_err(|fault| self.report(fault, operation, store))
    }

    fn report(&self, fault: Fault, operation: &str, store: &Store<State>) -> Error {
        fault.report(&self.plugin, operation, self.limits.timeout(Kind::Lifecycle), &store.data().limiter)
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
        let decided = self.call(&mut instance, "decide", |guest, store| guest.call_decide(store, &judged, now))?;
        *self.idle.lock() = Some(instance);
        let decisions = decided.map_err(|error| error_from_plugin(error, None))?;
        if decisions.len() != candidates.len() {
            let (wanted, found, plugin) = (candidates.len(), decisions.len(), &self.plugin);
            let error = format!("the plugin {plugin} was to decide on {wanted} objects, and decided on {found}");
            tracing::error!(plugin = &**plugin, "{error}");
            return Err(Error::internal(error));
        }
        let decision = |decision: &super::bindings::lifecycle::exports::larder::plugin::lifecycle::Decision| Decision {
            archive: decision.archive,
            delete: decision.delete,
            retain: Duration::from_millis(decision.retain),
        };
        Ok(decisions.iter().map(decision).collect())
    }
}
