//! The instances of a provider plugin: made when needed, shared by calls, dropped when they fail.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::channel::oneshot;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use wasmtime::component::Accessor;
use wasmtime::{Engine, Store};

use super::bindings::provider::exports::larder::plugin::provider::Guest;
use super::bindings::provider::{StorageProvider, StorageProviderPre};
use super::clock::CallClock;
use super::convert::error_from_plugin;
use super::detached::Detached;
use super::fault::{self, Fault};
use super::limits::Limits;
use super::log::RateLimit;
use super::state::State;
use super::{Grants, Kind};
use crate::error::{Error, Result};

/// How many calls one instance has at a time, running and waiting to run.
const CALLS_PER_INSTANCE: usize = 64;

/// The instances of one plugin.
///
/// A call whose instance is idle drives it: it runs the instance's event loop in its own task, which saves a hop between
/// tasks. Calls that come meanwhile join that event loop, and run while the others wait for something. When the driver has
/// its answer and goes, the loop is carried on by a task of its own until no call is left.
pub(super) struct Instances {
    pub(super) plugin: Arc<str>,
    limits: Limits,
    engine: Engine,
    pre: StorageProviderPre<State>,
    settings: String,
    grants: Arc<Grants>,
    log: Arc<RateLimit>,
    /// One for each call that there may be.
    permits: Arc<Semaphore>,
    /// One for each instance that there may be; locked to place a call and to take the next, never over an await.
    slots: Mutex<Vec<Slot>>,
}

/// A place for an instance.
#[derive(Default)]
struct Slot {
    state: SlotState,
    /// Calls that joined and are not yet run.
    joined: VecDeque<Job>,
    /// How many calls there are, running ones included.
    calls: usize,
    arrived: Arc<Notify>,
}

#[derive(Default)]
enum SlotState {
    #[default]
    Vacant,
    Idle(Box<Instance>),
    Driven,
}

/// An instance, opened.
struct Instance {
    store: Store<State>,
    provider: StorageProvider,
}

/// A call on its way to an instance.
struct Job {
    clock: CallClock,
    work: Work,
    _permit: OwnedSemaphorePermit,
}

type Work = Box<dyn for<'a> FnOnce(&'a Accessor<State>, &'a Guest) -> BoxFuture<'a, wasmtime::Result<()>> + Send>;

/// Where a call gives what it came to. It may go on after that, to send a body.
pub(super) struct Answer<T> {
    clock: CallClock,
    sender: oneshot::Sender<T>,
}

impl<T> Answer<T> {
    /// The clock of the call.
    pub(super) fn clock(&self) -> &CallClock {
        &self.clock
    }

    /// Gives it. If the caller has gone, nobody takes it.
    pub(super) fn give(self, value: T) {
        let _ = self.sender.send(value);
    }
}

enum Placed {
    /// To be driven by the caller, on an idle instance or one yet to be made.
    Driving { slot: usize, instance: Option<Box<Instance>>, job: Job },
    /// With a call that drives already.
    Joined,
}

impl Instances {
    pub(super) fn new(
        plugin: Arc<str>,
        limits: Limits,
        engine: Engine,
        pre: StorageProviderPre<State>,
        settings: String,
        grants: Grants,
        log: Arc<RateLimit>,
    ) -> Self {
        let permits = Arc::new(Semaphore::new(limits.instances * CALLS_PER_INSTANCE));
        let slots = Mutex::new((0..limits.instances).map(|_| Slot::default()).collect());
        Self { plugin, limits, engine, pre, settings, grants: Arc::new(grants), log, permits, slots }
    }

    /// What the plugin may use.
    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Makes the first instance, which shows that the plugin starts and takes its settings.
    ///
    /// # Errors
    /// Why it does not.
    pub(super) async fn probe(&self) -> Result<()> {
        let instance = self.instantiate().await?;
        self.slots.lock()[0].state = SlotState::Idle(instance);
        Ok(())
    }

    /// Runs a call, and returns what it answers. If the caller goes away before, the call goes on by itself.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if all instances stay busy. The call itself fails with [`Error::Timeout`],
    /// [`Error::Exhausted`] or [`Error::Unavailable`] if the plugin does not answer, passes a limit, or traps; its
    /// instance is then dropped with all calls on it, and the next call has a fresh one.
    pub(super) async fn call<T: Send + 'static>(
        self: &Arc<Self>,
        operation: &'static str,
        work: impl for<'a> FnOnce(&'a Accessor<State>, &'a Guest, Answer<T>) -> BoxFuture<'a, wasmtime::Result<()>>
        + Send
        + 'static,
    ) -> Result<T> {
        let permit = self.permit().await?;
        let clock = CallClock::start(operation, self.limits.timeout(Kind::Provider));
        let (sender, mut answered) = oneshot::channel();
        let answer = Answer { clock: clock.clone(), sender };
        let work: Work = Box::new(move |accessor, guest| work(accessor, guest, answer));
        let answer = match self.place(Job { clock: clock.clone(), work, _permit: permit }) {
            Placed::Joined => answered.await,
            Placed::Driving { slot, instance, job } => {
                let mut driving = Detached::new(Arc::clone(self).drive(slot, instance, job));
                tokio::select! {
                    biased;
                    answer = &mut answered => answer,
                    () = &mut driving => answered.await,
                }
            }
        };
        answer.map_err(|_| match clock.failure() {
            Some(error) => error.clone(),
            None => Error::unavailable(format!("the plugin {} was stopped in the middle of {operation}", self.plugin)),
        })
    }

    /// Gives a call to an idle instance, or else to one yet to be made, or else to the one with the fewest calls.
    fn place(&self, job: Job) -> Placed {
        let mut slots = self.slots.lock();
        let order = |slot: &Slot| match slot.state {
            SlotState::Idle(_) => 0,
            SlotState::Vacant => 1,
            SlotState::Driven => 2 + slot.calls,
        };
        // There is at least one instance, as `limits.instances` is at least 1.
        let chosen = slots.iter().enumerate().min_by_key(|(_, slot)| order(slot)).map_or(0, |(index, _)| index);
        let slot = &mut slots[chosen];
        slot.calls += 1;
        let instance = match std::mem::replace(&mut slot.state, SlotState::Driven) {
            SlotState::Idle(instance) => Some(instance),
            SlotState::Vacant => None,
            SlotState::Driven => {
                slot.joined.push_back(job);
                slot.arrived.notify_one();
                return Placed::Joined;
            }
        };
        Placed::Driving { slot: chosen, instance, job }
    }

    /// Runs calls on an instance, and on fresh ones after it if it fails, until none is left.
    async fn drive(self: Arc<Self>, slot: usize, mut instance: Option<Box<Instance>>, first: Job) {
        let mut next = Some(first);
        while let Some(job) = next {
            let made = match instance.take() {
                Some(instance) => Ok(instance),
                None => self.instantiate().await,
            };
            match made {
                Ok(mut running) => match self.run(slot, &mut running, job).await {
                    Ok(()) => instance = Some(running),
                    Err(fault) => self.fail(fault, slot, &running),
                },
                Err(error) => {
                    job.clock.fail(error);
                    self.leave(slot, 1);
                }
            }
            next = self.next_or_rest(slot, &mut instance);
        }
    }

    /// Runs a call, and all that join it, until none is left.
    async fn run(&self, slot: usize, instance: &mut Instance, first: Job) -> Result<(), Fault> {
        let Instance { store, provider } = instance;
        let guest = provider.larder_plugin_provider();
        let clocks = store.data().clocks.clone();
        let arrived = Arc::clone(&self.slots.lock()[slot].arrived);
        clocks.add(first.clock.clone());
        let loop_ended = store.run_concurrent(async |accessor| {
            let begin = |job: Job| async {
                let Job { clock, work, _permit } = job;
                let ended = work(accessor, guest).await;
                clocks.remove(&clock);
                self.leave(slot, 1);
                ended
            };
            let mut running = FuturesUnordered::new();
            running.push(begin(first));
            while !running.is_empty() {
                tokio::select! {
                    biased;
                    Some(ended) = running.next() => ended?,
                    () = arrived.notified() => {}
                }
                while let Some(job) = self.slots.lock()[slot].joined.pop_front() {
                    clocks.add(job.clock.clone());
                    running.push(begin(job));
                }
            }
            Ok(())
        });
        clocks.within(loop_ended).await?.and_then(|ended| ended).map_err(Fault::Trap)
    }

    /// Tells the calls on a failed instance what became of them.
    fn fail(&self, fault: Fault, slot: usize, instance: &Instance) {
        let clocks = instance.store.data().clocks.take();
        self.leave(slot, clocks.len());
        let timeout = matches!(fault, Fault::Timeout);
        let is_at_fault = |clock: &CallClock| !timeout || clock.is_over();
        let operation = clocks.iter().find(|clock| is_at_fault(clock)).map_or("a call", CallClock::operation);
        let error = self.report(fault, operation, &instance.store);
        for clock in clocks {
            clock.fail(if is_at_fault(&clock) { error.clone() } else { fault::interrupted(&self.plugin) });
        }
    }

    fn leave(&self, slot: usize, calls: usize) {
        self.slots.lock()[slot].calls -= calls;
    }

    /// The next call, or none; then the instance rests until the next one comes.
    fn next_or_rest(&self, slot: usize, instance: &mut Option<Box<Instance>>) -> Option<Job> {
        let mut slots = self.slots.lock();
        let slot = &mut slots[slot];
        let next = slot.joined.pop_front();
        if next.is_none() {
            slot.state = instance.take().map_or(SlotState::Vacant, SlotState::Idle);
        }
        next
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        let free = Arc::clone(&self.permits).acquire_owned();
        let patience = self.limits.timeout(Kind::Provider);
        match tokio::time::timeout(patience, free).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Error::Unavailable {
                message: format!(
                    "all {} instances of the plugin {} are busy (limits.instances)",
                    self.limits.instances, self.plugin
                ),
                retry_after: Some(patience),
            }),
        }
    }

    async fn instantiate(&self) -> Result<Box<Instance>> {
        let mut store = self.new_store();
        let clocks = store.data().clocks.clone();
        let clock = CallClock::start("open", self.limits.timeout(Kind::Provider));
        clocks.add(clock.clone());
        let instantiated = clocks.within(self.pre.instantiate_async(&mut store)).await;
        let provider = match instantiated.map_err(Fault::from).and_then(|made| made.map_err(Fault::Trap)) {
            Ok(provider) => provider,
            Err(fault) => return Err(self.report(fault, "instantiate", &store)),
        };
        let (guest, settings) = (provider.larder_plugin_provider(), self.settings.clone());
        let opening = store.run_concurrent(async |accessor| guest.call_open(accessor, settings).await);
        let opened = clocks.within(opening).await;
        clocks.remove(&clock);
        match opened.map_err(Fault::from).and_then(|ended| ended.and_then(|ended| ended).map_err(Fault::Trap)) {
            Ok(Ok(())) => Ok(Box::new(Instance { store, provider })),
            Ok(Err(error)) => Err(error_from_plugin(error, None)),
            Err(fault) => Err(self.report(fault, "open", &store)),
        }
    }

    fn new_store(&self) -> Store<State> {
        let state = State::new(Arc::clone(&self.plugin), &self.limits, Arc::clone(&self.grants), Arc::clone(&self.log));
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.limiter);
        // A guest that computes gives way at every other tick, so that others run and the clock is looked at.
        store.set_epoch_deadline(2);
        store.epoch_deadline_async_yield_and_update(2);
        store
    }

    fn report(&self, fault: Fault, operation: &str, store: &Store<State>) -> Error {
        fault.report(&self.plugin, operation, self.limits.timeout(Kind::Provider), &store.data().limiter)
    }
}
