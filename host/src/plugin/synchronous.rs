//! Plain calls, on the engine without concurrency support.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use wasmtime::{Engine, Store};

use super::engine::ticks;
use super::fault::Fault;
use super::limits::Limits;
use super::log::RateLimit;
use super::state::State;
use crate::error::Result;

/// The most bytes that one call may hand to the host: victims and decisions take a few bytes each.
const MAX_RESULT: usize = 16 << 20;

/// What the instances of one plugin have in common.
pub(super) struct Synchronous {
    pub(super) plugin: Arc<str>,
    pub(super) limits: Limits,
    pub(super) timeout: Duration,
    pub(super) engine: Engine,
    pub(super) settings: String,
    pub(super) log: Arc<RateLimit>,
}

impl Synchronous {
    /// A store for one instance, under the plugin's limits.
    pub(super) fn new_store(&self) -> Store<State> {
        let state = State::new(Arc::clone(&self.plugin), &self.limits, Arc::default(), Arc::clone(&self.log));
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(MAX_RESULT);
        store
    }

    /// Runs a call within the plugin's time. A panic of a host function on its way is a fault of the call, and ends
    /// nothing else.
    ///
    /// # Errors
    /// What the fault means to the caller. The store is then of no more use.
    pub(super) fn call<T>(
        &self,
        store: &mut Store<State>,
        operation: &str,
        call: impl FnOnce(&mut Store<State>) -> wasmtime::Result<T>,
    ) -> Result<T> {
        store.set_epoch_deadline(ticks(self.timeout));
        let result = catch_unwind(AssertUnwindSafe(|| call(store)))
            .unwrap_or_else(|_| Err(wasmtime::Error::msg("a host function panicked")));
        result.map_err(|trap| Fault::Trap(trap).report(&self.plugin, operation, self.timeout, &store.data().limiter))
    }
}
