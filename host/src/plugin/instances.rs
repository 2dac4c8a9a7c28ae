//! The instances of a provider plugin: made when needed, shared by calls, dropped when they fail.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use futures::FutureExt;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::GrantedSecrets;
use super::bindings::provider::larder::plugin::types as wit;
use super::clock::CallClock;
use super::detached::Detached;
use super::fault::Fault;
use super::instance::{Bell, Instance, Template};
use super::metrics::{CallOutcome, Refusal};
use super::operation::Operation;
use super::supervisor::{Life, Supervisor};
use super::work::{self, AnyJob, Call, Job, Work};
use crate::error::{Error, Result};

/// The instances of one plugin.
///
/// A call whose instance is idle drives it: it runs the instance's event loop in its own task, which saves a hop between
/// tasks. Calls that come meanwhile join that event loop, and run while the others wait for something. When the driver has
/// its answer and goes, the loop is carried on by a task of its own until no call is left.
pub(super) struct Instances {
    template: Template,
    /// One for each call that there may be.
    permits: Semaphore,
    /// Locked to place a call and to take the next, never over an await.
    slots: Mutex<Slots>,
}

struct Slots {
    slots: Vec<Slot>,
    /// How many instances there were.
    made: u64,
}

/// A place for an instance.
struct Slot {
    state: SlotState,
    /// The number of the instance that is or was here last; no other one has it.
    instance: u64,
    life: Life,
    /// Calls that joined and are not yet run.
    joined: VecDeque<AnyJob>,
    /// How many calls there are, running ones included.
    calls: usize,
    bell: Arc<Bell>,
}

#[derive(Default)]
enum SlotState {
    #[default]
    Vacant,
    Idle(Box<Instance>),
    Driven,
    /// Driven, and to be dropped when its calls have ended: it broke a promise. None joins it any more.
    Condemned,
}

/// What a plugin returned, and the number of the instance that did.
pub(super) struct Reply<T> {
    pub(super) value: Result<T, wit::Error>,
    pub(super) instance: u64,
}

enum Placed<J> {
    /// To be driven by the caller, on an idle instance or one yet to be made.
    Driving { slot: usize, instance: Option<Box<Instance>>, job: J },
    /// With a call that drives already.
    Joined,
}

impl Instances {
    pub(super) fn new(template: Template) -> Self {
        let limits = &template.supervisor.limits;
        let slot = || Slot {
            state: SlotState::Vacant,
            instance: 0,
            life: Life::begin(),
            joined: VecDeque::new(),
            calls: 0,
            bell: Arc::default(),
        };
        let slots = (0..limits.instances).map(|_| slot()).collect();
        let permits = Semaphore::new(limits.instances.saturating_mul(limits.calls).min(Semaphore::MAX_PERMITS));
        Self { permits, slots: Mutex::new(Slots { slots, made: 0 }), template }
    }

    /// Who watches over them.
    pub(super) fn supervisor(&self) -> &Arc<Supervisor> {
        &self.template.supervisor
    }

    /// The secrets that the plugin may have been handed.
    pub(super) fn secrets(&self) -> &GrantedSecrets {
        &self.template.grants.secrets
    }

    /// Makes the first instance, which shows that the plugin starts and takes its settings.
    ///
    /// # Errors
    /// Why it does not.
    pub(super) async fn probe(&self) -> Result<()> {
        let mut instance = self.template.instantiate().await?;
        let mut slots = self.slots.lock();
        slots.moves_in(0, &mut instance);
        slots.slots[0].state = SlotState::Idle(instance);
        Ok(())
    }

    /// Runs a call, and returns what it answers. If the caller goes away before, the call goes on by itself.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if all instances stay busy, or if the plugin may not start again yet. The call itself
    /// fails with [`Error::Timeout`], [`Error::Exhausted`], [`Error::TooLarge`] or [`Error::Unavailable`] if the plugin
    /// does not answer, passes a limit, or traps; its instance is then dropped with all calls on it.
    pub(super) async fn call<W: Work>(self: &Arc<Self>, work: W) -> Result<Reply<W::Reply>> {
        let supervisor = self.supervisor();
        supervisor.admit_call()?;
        self.permit().await?;
        let (answer, mut answered) = work::call(W::OPERATION, supervisor.timeout());
        let placed =
            self.place(Call { work: Box::new(work), answer }, AnyJob::new).inspect_err(|_| self.permits.add_permits(1));
        let (answer, at) = match placed? {
            Placed::Joined => ((&mut answered).await, None),
            Placed::Driving { slot, instance, job } => {
                let mut driving = Detached::new(Box::pin(Arc::clone(self).drive(slot, instance, job)));
                poll_fn(|cx| match driving.poll_unpin(cx) {
                    Poll::Ready(at) => Poll::Ready((answered.take(), Some(at))),
                    Poll::Pending => answered.poll_unpin(cx).map(|answer| (answer, None)),
                })
                .await
            }
        };
        let outcome = match &answer {
            Some(Ok(_)) => CallOutcome::Ok,
            Some(Err(_)) => CallOutcome::Error,
            None => CallOutcome::Fault,
        };
        let clock = answered.clock();
        supervisor.meter.called(W::OPERATION, outcome, at.unwrap_or_else(Instant::now) - clock.started());
        match answer {
            Some(value) => Ok(Reply { value, instance: clock.instance() }),
            None => Err(clock.failure().cloned().unwrap_or_else(|| {
                let (plugin, operation) = (&supervisor.plugin, W::OPERATION.as_str());
                Error::unavailable(format!("the plugin {plugin} was stopped in the middle of {operation}"))
            })),
        }
    }

    /// Takes note that an instance answered what the contract rules out, and sees to it that it answers no other call.
    /// Returns the error for the caller.
    pub(super) fn condemn(&self, instance: u64, operation: Operation, what: String) -> Error {
        let (dropped, life) = {
            let mut slots = self.slots.lock();
            match slots.slots.iter_mut().find(|slot| slot.instance == instance) {
                None => (SlotState::Vacant, Life::begin()),
                Some(slot) => {
                    let dropped = match std::mem::take(&mut slot.state) {
                        idle @ SlotState::Idle(_) => idle,
                        SlotState::Vacant => SlotState::Vacant,
                        SlotState::Driven | SlotState::Condemned => {
                            slot.state = SlotState::Condemned;
                            SlotState::Vacant
                        }
                    };
                    (dropped, slot.life)
                }
            }
        };
        drop(dropped);
        self.supervisor().failed(Fault::Contract(what), operation, None, life)
    }

    /// Gives a call to an idle instance, or else to one yet to be made, or else to the one with the fewest calls.
    ///
    /// # Errors
    /// None is there, and none may be made now.
    fn place<J>(&self, job: J, boxed: impl FnOnce(J) -> AnyJob) -> Result<Placed<J>> {
        let mut slots = self.slots.lock();
        let idle = slots.slots.iter().position(|slot| matches!(slot.state, SlotState::Idle(_)));
        let chosen = match idle {
            Some(idle) => idle,
            None => self.without_idle(&slots.slots)?,
        };
        let slot = &mut slots.slots[chosen];
        slot.calls += 1;
        let instance = match std::mem::take(&mut slot.state) {
            SlotState::Idle(instance) => Some(instance),
            SlotState::Vacant => None,
            taken @ (SlotState::Driven | SlotState::Condemned) => {
                slot.state = taken;
                slot.joined.push_back(boxed(job));
                slot.bell.ring();
                return Ok(Placed::Joined);
            }
        };
        slot.state = SlotState::Driven;
        Ok(Placed::Driving { slot: chosen, instance, job })
    }

    /// Where a call goes when no instance is idle.
    fn without_idle(&self, slots: &[Slot]) -> Result<usize> {
        let vacant = slots.iter().position(|slot| matches!(slot.state, SlotState::Vacant));
        let refusal = match vacant.map(|vacant| self.supervisor().admit_start().map(|()| vacant)) {
            Some(Ok(vacant)) => return Ok(vacant),
            Some(Err(refusal)) => Some(refusal),
            None => None,
        };
        let order = |slot: &Slot| match slot.state {
            SlotState::Driven => Some(slot.calls),
            // Its calls end before these begin.
            SlotState::Condemned => Some(usize::MAX),
            SlotState::Idle(_) | SlotState::Vacant => None,
        };
        let taken = slots.iter().enumerate().filter_map(|(index, slot)| Some((order(slot)?, index))).min();
        match (taken, refusal) {
            (Some((_, index)), _) => Ok(index),
            (None, Some(refusal)) => Err(refusal),
            (None, None) => Err(Error::internal("a plugin has no place for an instance")),
        }
    }

    /// Runs calls on an instance, and on fresh ones after it if it fails, until none is left. Returns when that was.
    async fn drive<J: Job>(self: Arc<Self>, slot: usize, instance: Option<Box<Instance>>, first: J) -> Instant {
        let begun = if instance.is_some() { first.clock().started() } else { Instant::now() };
        let (mut at, mut instance) = self.serve(slot, instance, begun, first).await;
        while let Some(job) = self.next_or_rest(slot, &mut instance) {
            (at, instance) = Box::pin(self.serve(slot, instance.take(), Instant::now(), job)).await;
        }
        at
    }

    /// Runs a call, which `begun` now, and all that join it, on an instance that is there or else on a fresh one. Returns
    /// when that was done, and the instance if it is still good.
    async fn serve<J: Job>(
        &self,
        slot: usize,
        instance: Option<Box<Instance>>,
        begun: Instant,
        job: J,
    ) -> (Instant, Option<Box<Instance>>) {
        let mut instance = match instance {
            Some(instance) => instance,
            None => match Box::pin(self.make(slot)).await {
                Ok(instance) => instance,
                Err(error) => {
                    job.clock().fail(error);
                    return (Instant::now(), None);
                }
            },
        };
        let number = instance.number;
        job.clock().run_on(number);
        let joined = || {
            let job = self.slots.lock().slots[slot].next()?;
            job.clock().run_on(number);
            Some(job)
        };
        let left = || self.leave(slot, 1);
        let ended = {
            let running = pin!(instance.run(self.supervisor(), begun, job, joined, left));
            AssertUnwindSafe(running).catch_unwind().await
        };
        let panicked = |_| (Instant::now(), Err(Fault::Trap(wasmtime::Error::msg("a host function panicked"))));
        match ended.unwrap_or_else(panicked) {
            (at, Ok(())) => (at, Some(instance)),
            (at, Err(fault)) => {
                self.fail(fault, slot, &instance);
                (at, None)
            }
        }
    }

    async fn make(&self, slot: usize) -> Result<Box<Instance>> {
        self.supervisor().admit_start()?;
        let mut instance = self.template.instantiate().await?;
        self.slots.lock().moves_in(slot, &mut instance);
        Ok(instance)
    }

    /// Tells the calls on a failed instance what became of them.
    fn fail(&self, fault: Fault, slot: usize, instance: &Instance) {
        let clocks = instance.interrupted();
        let life = self.slots.lock().slots[slot].life;
        // The last of them is taken off when the next one is looked for.
        self.leave(slot, clocks.len() - 1);
        let timeout = matches!(fault, Fault::Timeout);
        let is_at_fault = |clock: &CallClock| !timeout || clock.is_over();
        let operation =
            clocks.iter().find(|clock| is_at_fault(clock)).map_or(Operation::Open, |clock| clock.operation());
        let error = self.supervisor().failed(fault, operation, instance.state().limiter.breach(), life);
        for clock in clocks {
            let plugin = &self.supervisor().plugin;
            clock.fail(if is_at_fault(&clock) {
                error.clone()
            } else {
                Error::unavailable(format!("the plugin {plugin} was restarted, since another call did not end in time"))
            });
        }
    }

    fn leave(&self, slot: usize, calls: usize) {
        let mut slots = self.slots.lock();
        slots.slots[slot].leave(calls);
        drop(slots);
        self.permits.add_permits(calls);
    }

    /// Takes off the last call that ended. Returns the next one, or else lets the instance rest until one comes.
    fn next_or_rest(&self, slot: usize, instance: &mut Option<Box<Instance>>) -> Option<AnyJob> {
        let mut slots = self.slots.lock();
        let slot = &mut slots.slots[slot];
        slot.leave(1);
        if matches!(slot.state, SlotState::Condemned) {
            slot.state = SlotState::Driven;
            *instance = None;
        }
        let next = slot.joined.pop_front();
        if next.is_none() {
            let kept = instance.take().filter(|instance| !self.has_outgrown(instance));
            slot.state = kept.map_or(SlotState::Vacant, SlotState::Idle);
        }
        self.permits.add_permits(1);
        next
    }

    /// The memory of a guest never shrinks. Where instances keep nothing between calls, one that grew to more than half of
    /// what it may have makes room for a fresh one.
    fn has_outgrown(&self, instance: &Instance) -> bool {
        let limits = &self.supervisor().limits;
        limits.instances > 1 && instance.state().limiter.memory() > limits.memory / 2
    }

    /// Waits until there is room for a call.
    async fn permit(&self) -> Result<()> {
        if let Ok(permit) = self.permits.try_acquire() {
            permit.forget();
            return Ok(());
        }
        let patience = self.supervisor().timeout();
        let free = pin!(self.permits.acquire());
        if let Ok(Ok(permit)) = tokio::time::timeout(patience, free).await {
            permit.forget();
            return Ok(());
        }
        let Supervisor { plugin, limits, meter, .. } = &**self.supervisor();
        meter.refused(Refusal::Busy);
        let (instances, calls) = (limits.instances, limits.calls);
        Err(Error::Unavailable {
            message: format!(
                "the plugin {plugin} is busy: each of its instances ({instances}, limits.instances) has as many calls as it \
                 may ({calls}, limits.calls)"
            ),
            retry_after: Some(patience),
        })
    }
}

impl Slots {
    /// A fresh instance comes to a slot, and is driven.
    fn moves_in(&mut self, slot: usize, instance: &mut Instance) {
        self.made += 1;
        let slot = &mut self.slots[slot];
        (instance.number, instance.bell) = (self.made, Arc::clone(&slot.bell));
        (slot.state, slot.instance, slot.life) = (SlotState::Driven, self.made, Life::begin());
    }
}

impl Slot {
    /// The next call that runs beside the others, unless none may.
    fn next(&mut self) -> Option<AnyJob> {
        if matches!(self.state, SlotState::Condemned) { None } else { self.joined.pop_front() }
    }

    fn leave(&mut self, calls: usize) {
        self.calls -= calls;
        self.life.answered(calls as u64);
    }
}
