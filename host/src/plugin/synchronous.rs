//! Plain calls, on the engine without concurrency support.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use wasmtime::{Engine, Store};

use super::engine::ticks;
use super::fault::Fault;
use super::metrics::CallOutcome;
use super::operation::Operation;
use super::state::State;
use super::supervisor::{Life, Supervisor};
use crate::error::Result;

/// What the instances of one plugin have in common.
pub(super) struct Synchronous {
    pub(super) supervisor: Arc<Supervisor>,
    pub(super) engine: Engine,
    pub(super) settings: String,
}

/// One instance, on the host's side.
pub(super) struct Guest {
    store: Store<State>,
    life: Life,
}

impl Synchronous {
    /// A place for a fresh instance, under the plugin's limits.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::error::Error::Unavailable) if none may be made now.
    pub(super) fn admit(&self) -> Result<Guest> {
        self.supervisor.admit_call()?;
        self.supervisor.admit_start()?;
        let state = State::new(Arc::clone(&self.supervisor), Arc::default());
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(self.supervisor.limits.returned);
        Ok(Guest { store, life: Life::begin() })
    }

    /// Runs a call within the plugin's time. A panic of a host function on its way is a fault of the call, and ends
    /// nothing else. `is_error` says of what the plugin returned whether it is an error of its own.
    ///
    /// # Errors
    /// What the fault means to the caller. The guest is then of no more use.
    pub(super) fn call<T>(
        &self,
        guest: &mut Guest,
        operation: Operation,
        call: impl FnOnce(&mut Store<State>) -> wasmtime::Result<T>,
        is_error: impl FnOnce(&T) -> bool,
    ) -> Result<T> {
        let Guest { store, life } = guest;
        let begun = Instant::now();
        store.set_epoch_deadline(ticks(self.supervisor.timeout_of(operation)));
        let result = catch_unwind(AssertUnwindSafe(|| call(store)))
            .unwrap_or_else(|_| Err(wasmtime::Error::msg("a host function panicked")));
        let took = begun.elapsed();
        let outcome = match &result {
            Ok(returned) if is_error(returned) => CallOutcome::Error,
            Ok(_) => CallOutcome::Ok,
            Err(_) => CallOutcome::Fault,
        };
        self.supervisor.meter.called(operation, outcome, took);
        self.supervisor.meter.was_busy(took);
        life.answered(1);
        result
            .map_err(|trap| self.supervisor.failed(Fault::Trap(trap), operation, store.data().limiter.breach(), *life))
    }

    /// Takes note that the plugin answered what the contract rules out. The guest is then of no more use.
    pub(super) fn broken(&self, guest: &Guest, operation: Operation, what: String) -> crate::error::Error {
        self.supervisor.failed(Fault::Contract(what), operation, None, guest.life)
    }
}
