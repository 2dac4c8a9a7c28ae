//! What is asked of a provider: one call on its way to an instance.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use wasmtime::component::Accessor;

use super::bindings::provider::larder::plugin::types as wit;
use super::clock::{CallClock, Clock, HasClock};
use super::exports::Exports;
use super::operation::Operation;
use super::state::State;

/// A call of a function that a provider exports.
pub(super) trait Work: Send + 'static {
    /// What the plugin returns if it returns no error.
    type Reply: Send + 'static;

    /// The function.
    const OPERATION: Operation;

    /// Calls it, and gives the answer as soon as it is there. It may go on after that, to send a body.
    ///
    /// # Errors
    /// The instance failed.
    fn run<'a>(
        self: Box<Self>,
        accessor: &'a Accessor<State>,
        exports: &'a Exports,
        answer: Answer<Self::Reply>,
    ) -> impl Future<Output = wasmtime::Result<()>> + Send + 'a;
}

/// A call's two ends: where it gives its answer, and where that is awaited.
pub(super) fn call<T>(operation: Operation, limit: Duration) -> (Answer<T>, Answered<T>) {
    let shared = Arc::new(Shared { clock: Clock::start(operation, limit), place: Mutex::new(Place::Empty(None)) });
    (Answer { shared: Arc::clone(&shared), is_given: false }, Answered(shared))
}

/// What the ends share.
struct Shared<T> {
    clock: Clock,
    place: Mutex<Place<T>>,
}

/// The place of the answer.
enum Place<T> {
    /// With whoever waits for it.
    Empty(Option<Waker>),
    Given(Result<T, wit::Error>),
    /// None is there, and none will come.
    Closed,
}

impl<T: Send> HasClock for Shared<T> {
    fn clock(&self) -> &Clock {
        &self.clock
    }
}

impl<T> Shared<T> {
    /// Fills the place, which is empty.
    fn fill(&self, place: Place<T>) {
        let previous = std::mem::replace(&mut *self.place.lock(), place);
        if let Place::Empty(Some(waker)) = previous {
            waker.wake();
        }
    }
}

/// Where a call gives what it came to.
pub(super) struct Answer<T> {
    shared: Arc<Shared<T>>,
    is_given: bool,
}

impl<T: Send + 'static> Answer<T> {
    /// The clock of the call.
    pub(super) fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// The clock of the call, to be kept.
    pub(super) fn shared_clock(&self) -> CallClock {
        CallClock::shared(Arc::clone(&self.shared) as Arc<dyn HasClock>)
    }

    /// Gives it. If the caller has gone, nobody takes it.
    pub(super) fn give(mut self, value: Result<T, wit::Error>) {
        self.is_given = true;
        self.shared.fill(Place::Given(value));
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        if !self.is_given {
            self.shared.fill(Place::Closed);
        }
    }
}

/// Where a call's answer is awaited: `None` if there will be none, since its instance failed.
pub(super) struct Answered<T>(Arc<Shared<T>>);

impl<T> Answered<T> {
    /// The clock of the call.
    pub(super) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Takes the answer, if it was given.
    pub(super) fn take(&self) -> Option<Result<T, wit::Error>> {
        match std::mem::replace(&mut *self.0.place.lock(), Place::Closed) {
            Place::Given(value) => Some(value),
            Place::Empty(_) | Place::Closed => None,
        }
    }
}

impl<T> Future for Answered<T> {
    type Output = Option<Result<T, wit::Error>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut place = self.0.place.lock();
        if let Place::Empty(waker) = &mut *place {
            match waker {
                Some(waker) => waker.clone_from(cx.waker()),
                None => *waker = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        drop(place);
        Poll::Ready(self.take())
    }
}

/// A call that is ready to run on any instance.
pub(super) trait Job: Send + 'static {
    /// The call's clock.
    fn clock(&self) -> &Clock;

    /// The call's clock, to be kept.
    fn shared_clock(&self) -> CallClock;

    /// Runs it.
    ///
    /// # Errors
    /// The instance failed.
    fn begin<'a>(
        self,
        accessor: &'a Accessor<State>,
        exports: &'a Exports,
    ) -> impl Future<Output = wasmtime::Result<()>> + Send + 'a;
}

/// The job of one call. What it works on is behind a pointer: it is handed from one future to the next.
pub(super) struct Call<W: Work> {
    pub(super) work: Box<W>,
    pub(super) answer: Answer<W::Reply>,
}

impl<W: Work> Job for Call<W> {
    fn clock(&self) -> &Clock {
        self.answer.clock()
    }

    fn shared_clock(&self) -> CallClock {
        self.answer.shared_clock()
    }

    fn begin<'a>(
        self,
        accessor: &'a Accessor<State>,
        exports: &'a Exports,
    ) -> impl Future<Output = wasmtime::Result<()>> + Send + 'a {
        self.work.run(accessor, exports, self.answer)
    }
}

/// A job of whatever call, for the calls that wait for an instance that others drive.
pub(super) struct AnyJob(Box<dyn DynJob>);

impl AnyJob {
    pub(super) fn new<W: Work>(call: Call<W>) -> Self {
        Self(Box::new(call))
    }
}

/// [`Job`], behind a pointer.
trait DynJob: Send {
    fn clock(&self) -> &Clock;

    fn shared_clock(&self) -> CallClock;

    fn begin<'a>(
        self: Box<Self>,
        accessor: &'a Accessor<State>,
        exports: &'a Exports,
    ) -> BoxFuture<'a, wasmtime::Result<()>>;
}

impl<W: Work> DynJob for Call<W> {
    fn clock(&self) -> &Clock {
        Job::clock(self)
    }

    fn shared_clock(&self) -> CallClock {
        Job::shared_clock(self)
    }

    fn begin<'a>(
        self: Box<Self>,
        accessor: &'a Accessor<State>,
        exports: &'a Exports,
    ) -> BoxFuture<'a, wasmtime::Result<()>> {
        Box::pin(Job::begin(*self, accessor, exports))
    }
}

impl Job for AnyJob {
    fn clock(&self) -> &Clock {
        self.0.clock()
    }

    fn shared_clock(&self) -> CallClock {
        self.0.shared_clock()
    }

    fn begin<'a>(
        self,
        accessor: &'a Accessor<State>,
        exports: &'a Exports,
    ) -> impl Future<Output = wasmtime::Result<()>> + Send + 'a {
        self.0.begin(accessor, exports)
    }
}
