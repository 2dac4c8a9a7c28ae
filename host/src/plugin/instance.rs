//! One instance of a provider.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{AcqRel, Acquire, Release},
};
use std::task::{Context, Poll};

use futures::stream::{FuturesUnordered, StreamExt};
use futures::task::AtomicWaker;
use tokio::time::Instant;
use wasmtime::component::Accessor;
use wasmtime::{Engine, Store};

use super::Grants;
use super::clock::{CallClock, Clocks, Ended, Listed};
use super::convert::error_from_plugin;
use super::exports::{Exports, ProviderPre};
use super::fault::Fault;
use super::operation::Operation;
use super::state::State;
use super::supervisor::{Life, Supervisor};
use super::work::{AnyJob, Job};
use crate::error::{Error, Result};

/// What the instances of one plugin are made of.
pub(super) struct Template {
    pub(super) supervisor: Arc<Supervisor>,
    pub(super) engine: Engine,
    pub(super) pre: ProviderPre,
    pub(super) settings: Arc<str>,
    pub(super) grants: Arc<Grants>,
}

/// An instance, opened.
pub(super) struct Instance {
    store: Store<State>,
    exports: Exports,
    /// Of the calls that run on it; the same as in its state, but at hand while they run.
    clocks: Clocks,
    /// No other instance of the plugin has it.
    pub(super) number: u64,
    pub(super) bell: Arc<Bell>,
}

/// Rings when a call joins those of an instance.
#[derive(Default)]
pub(super) struct Bell {
    rung: AtomicBool,
    waker: AtomicWaker,
}

impl Bell {
    pub(super) fn ring(&self) {
        self.rung.store(true, Release);
        self.waker.wake();
    }

    /// Whether it has rung; if not, it wakes the task when it does.
    fn poll(&self, cx: &mut Context<'_>) -> bool {
        self.has_rung() || {
            self.waker.register(cx.waker());
            self.has_rung()
        }
    }

    fn has_rung(&self) -> bool {
        // It mostly has not, and to look costs less than to swap.
        self.rung.load(Acquire) && self.rung.swap(false, AcqRel)
    }
}

impl Template {
    /// Makes an instance, and lets it take its settings.
    ///
    /// # Errors
    /// Why it does not; a fault is reported and counted.
    pub(super) async fn instantiate(&self) -> Result<Box<Instance>> {
        let mut store = self.new_store();
        let (clocks, meter) = (store.data().clocks.clone(), &self.supervisor.meter);
        let clock = CallClock::start(Operation::Open, self.supervisor.timeout());
        let listed = clocks.add(clock.clone());
        let instantiated = clocks.within(meter, clock.started(), pin!(self.pre.instantiate(&mut store))).await;
        let exports = match instantiated.output.map_err(Fault::from).and_then(|made| made.map_err(Fault::Trap)) {
            Ok(exports) => exports,
            Err(fault) => return Err(self.failed(fault, Operation::Instantiate, &store, Life::begin())),
        };
        let (open, settings) = (exports.open, Arc::clone(&self.settings));
        let opened = {
            let opening = pin!(store.run_concurrent(async |host| open.call_concurrent(host, (settings,)).await));
            clocks.within(meter, instantiated.at, opening).await
        };
        clocks.remove(listed);
        match opened.output.map_err(Fault::from).and_then(|ended| ended.and_then(|ended| ended).map_err(Fault::Trap)) {
            Ok((Ok(()),)) => {
                meter.started();
                Ok(Box::new(Instance { store, exports, clocks, number: 0, bell: Arc::default() }))
            }
            Ok((Err(error),)) => Err(error_from_plugin(error, None, &self.grants.secrets)),
            Err(fault) => Err(self.failed(fault, Operation::Open, &store, Life::begin())),
        }
    }

    fn new_store(&self) -> Store<State> {
        let mut store = Store::new(&self.engine, State::new(Arc::clone(&self.supervisor), Arc::clone(&self.grants)));
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(self.supervisor.limits.returned);
        // A guest that computes gives way at every other tick, so that others run and the clock is looked at.
        store.set_epoch_deadline(2);
        store.epoch_deadline_async_yield_and_update(2);
        store
    }

    fn failed(&self, fault: Fault, operation: Operation, store: &Store<State>, life: Life) -> Error {
        self.supervisor.failed(fault, operation, store.data().limiter.breach(), life)
    }
}

impl Instance {
    /// Runs a call, which `begun` now, and all that `joined` returns when the bell rings, until none is left. `left` is
    /// told of each that ends while others go on. Returns when that was, and the fault that ended the instance if one
    /// did.
    pub(super) async fn run<J: Job>(
        &mut self,
        supervisor: &Supervisor,
        begun: Instant,
        first: J,
        joined: impl Fn() -> Option<AnyJob> + Sync,
        left: impl Fn() + Sync,
    ) -> (Instant, Result<(), Fault>) {
        let Self { store, exports, clocks, bell, .. } = self;
        let listed = clocks.add(first.shared_clock());
        // Each of wasmtime's futures around the closure has room for what that captures, twice: so it is one pointer.
        let calls = &mut Running { exports, clocks, bell, first: Some((listed, first)), joined, left };
        let running = pin!(store.run_concurrent(async |accessor: &Accessor<State>| calls.run(accessor).await));
        let Ended { output, at } = clocks.within(&supervisor.meter, begun, running).await;
        (at, output.map_err(Fault::from).and_then(|ended| ended.and_then(|ended| ended).map_err(Fault::Trap)))
    }

    /// The clocks of the calls that ran when it failed.
    pub(super) fn interrupted(&self) -> Vec<CallClock> {
        self.clocks.take()
    }

    /// What its host keeps for it.
    pub(super) fn state(&self) -> &State {
        self.store.data()
    }
}

/// The calls that run on an instance, from its own point of view.
struct Running<'i, J, F, G> {
    exports: &'i Exports,
    clocks: &'i Clocks,
    bell: &'i Bell,
    /// The call that drives, until it begins.
    first: Option<(Listed, J)>,
    joined: F,
    left: G,
}

impl<J: Job, F: Fn() -> Option<AnyJob> + Sync, G: Fn() + Sync> Running<'_, J, F, G> {
    /// Runs them until none is left.
    async fn run(&mut self, accessor: &Accessor<State>) -> wasmtime::Result<()> {
        let Some((first_listed, first)) = self.first.take() else { return Ok(()) };
        let &mut Self { exports, clocks, bell, ref joined, ref left, .. } = self;
        let mut first = pin!(first.begin(accessor, exports));
        let mut first_runs = true;
        // Made when a call joins: most are alone.
        let mut others: Option<FuturesUnordered<_>> = None;
        poll_fn(|cx| {
            if first_runs && let Poll::Ready(ended) = first.as_mut().poll(cx) {
                ended?;
                clocks.remove(first_listed);
                first_runs = false;
                if others.as_ref().is_some_and(|others| !others.is_empty()) {
                    left();
                }
            }
            loop {
                let mut others_run = false;
                if let Some(others) = &mut others {
                    while let Poll::Ready(Some(ended)) = others.poll_next_unpin(cx) {
                        ended?;
                        if first_runs || !others.is_empty() {
                            left();
                        }
                    }
                    others_run = !others.is_empty();
                }
                if !first_runs && !others_run {
                    return Poll::Ready(Ok(()));
                }
                if !bell.poll(cx) {
                    return Poll::Pending;
                }
                while let Some(job) = joined() {
                    let listed = clocks.add(job.shared_clock());
                    others.get_or_insert_default().push(async move {
                        Job::begin(job, accessor, exports).await?;
                        clocks.remove(listed);
                        wasmtime::error::Ok(())
                    });
                }
            }
        })
        .await
    }
}
