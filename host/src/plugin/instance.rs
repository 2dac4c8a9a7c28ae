//! One instance of a provider.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{AcqRel, Release},
};
use std::task::{Context, Poll};

use futures::stream::{FuturesUnordered, StreamExt};
use futures::task::AtomicWaker;
use wasmtime::component::Accessor;
use wasmtime::{Engine, Store};

use super::Grants;
use super::bindings::provider::{StorageProvider, StorageProviderPre};
use super::clock::CallClock;
use super::convert::error_from_plugin;
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
    pub(super) pre: StorageProviderPre<State>,
    pub(super) settings: String,
    pub(super) grants: Arc<Grants>,
}

/// An instance, opened.
pub(super) struct Instance {
    store: Store<State>,
    provider: StorageProvider,
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
        if self.rung.swap(false, AcqRel) {
            return true;
        }
        self.waker.register(cx.waker());
        self.rung.swap(false, AcqRel)
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
        clocks.add(clock.clone());
        let instantiated = clocks.within(meter, self.pre.instantiate_async(&mut store)).await;
        let provider = match instantiated.map_err(Fault::from).and_then(|made| made.map_err(Fault::Trap)) {
            Ok(provider) => provider,
            Err(fault) => return Err(self.failed(fault, Operation::Instantiate, &store, Life::begin())),
        };
        let (guest, settings) = (provider.larder_plugin_provider(), self.settings.clone());
        let opening = store.run_concurrent(async |accessor| guest.call_open(accessor, settings).await);
        let opened = clocks.within(meter, opening).await;
        clocks.remove(&clock);
        match opened.map_err(Fault::from).and_then(|ended| ended.and_then(|ended| ended).map_err(Fault::Trap)) {
            Ok(Ok(())) => {
                meter.started();
                Ok(Box::new(Instance { store, provider }))
            }
            Ok(Err(error)) => Err(error_from_plugin(error, None, &self.grants.secrets)),
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
    /// Runs a call, and all that `joined` returns when the bell rings, until none is left. `left` is told of each that
    /// ends while others go on.
    ///
    /// # Errors
    /// What ended the instance, and all calls on it.
    pub(super) async fn run<J: Job>(
        &mut self,
        supervisor: &Supervisor,
        first: J,
        bell: &Bell,
        joined: impl Fn() -> Option<AnyJob> + Sync,
        left: impl Fn() + Sync,
    ) -> Result<(), Fault> {
        let Self { store, provider } = self;
        let guest = provider.larder_plugin_provider();
        let clocks = store.data().clocks.clone();
        clocks.add(first.clock().clone());
        let (joined, left, running_clocks) = (&joined, &left, &clocks);
        let ended = store.run_concurrent(async |accessor: &Accessor<State>| {
            let first_clock = first.clock().clone();
            let mut first = pin!(first.begin(accessor, guest));
            let mut first_runs = true;
            // Made when a call joins: most are alone.
            let mut others: Option<FuturesUnordered<_>> = None;
            poll_fn(|cx| {
                if first_runs && let Poll::Ready(ended) = first.as_mut().poll(cx) {
                    ended?;
                    running_clocks.remove(&first_clock);
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
                        return Poll::Ready(wasmtime::error::Ok(()));
                    }
                    if !bell.poll(cx) {
                        return Poll::Pending;
                    }
                    while let Some(job) = joined() {
                        let clock = job.clock().clone();
                        running_clocks.add(clock.clone());
                        others.get_or_insert_default().push(async move {
                            Job::begin(job, accessor, guest).await?;
                            running_clocks.remove(&clock);
                            wasmtime::error::Ok(())
                        });
                    }
                }
            })
            .await
        });
        clocks.within(&supervisor.meter, ended).await?.and_then(|ended| ended).map_err(Fault::Trap)
    }

    /// The clocks of the calls that ran when it failed.
    pub(super) fn interrupted(&self) -> Vec<CallClock> {
        self.store.data().clocks.take()
    }

    /// What its host keeps for it.
    pub(super) fn state(&self) -> &State {
        self.store.data()
    }
}
