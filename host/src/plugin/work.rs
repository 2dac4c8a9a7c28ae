//! What is asked of a provider: one call on its way to an instance.

use std::future::Future;

use futures::channel::oneshot;
use futures::future::BoxFuture;
use wasmtime::component::Accessor;

use super::bindings::provider::exports::larder::plugin::provider::Guest;
use super::bindings::provider::larder::plugin::types as wit;
use super::clock::CallClock;
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
        self,
        accessor: &'a Accessor<State>,
        guest: &'a Guest,
        answer: Answer<Self::Reply>,
    ) -> impl Future<Output = wasmtime::Result<()>> + Send + 'a;
}

/// Where a call gives what it came to.
pub(super) struct Answer<T> {
    pub(super) clock: CallClock,
    sender: oneshot::Sender<Result<T, wit::Error>>,
}

impl<T> Answer<T> {
    /// An answer, and where it is awaited.
    pub(super) fn new(clock: CallClock) -> (Self, oneshot::Receiver<Result<T, wit::Error>>) {
        let (sender, receiver) = oneshot::channel();
        (Self { clock, sender }, receiver)
    }

    /// The clock of the call.
    pub(super) fn clock(&self) -> &CallClock {
        &self.clock
    }

    /// Gives it. If the caller has gone, nobody takes it.
    pub(super) fn give(self, value: Result<T, wit::Error>) {
        let _ = self.sender.send(value);
    }
}

/// A call that is ready to run on any instance.
pub(super) trait Job: Send + 'static {
    /// The call's clock.
    fn clock(&self) -> &CallClock;

    /// Runs it.
    ///
    /// # Errors
    /// The instance failed.
    fn begin<'a>(
        self,
        accessor: &'a Accessor<State>,
        guest: &'a Guest,
    ) -> impl Future<Output = wasmtime::Result<()>> + Send + 'a;
}

/// The job of one call.
pub(super) struct Call<W: Work> {
    pub(super) work: W,
    pub(super) answer: Answer<W::Reply>,
}

impl<W: Work> Job for Call<W> {
    fn clock(&self) -> &CallClock {
        &self.answer.clock
    }

    fn begin<'a>(
        self,
        accessor: &'a Accessor<State>,
        guest: &'a Guest,
    ) -> impl Future<Output = wasmtime::Result<()>> + Send + 'a {
        self.work.run(accessor, guest, self.answer)
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
    fn clock(&self) -> &CallClock;

    fn begin<'a>(
        self: Box<Self>,
        accessor: &'a Accessor<State>,
        guest: &'a Guest,
    ) -> BoxFuture<'a, wasmtime::Result<()>>;
}

impl<W: Work> DynJob for Call<W> {
    fn clock(&self) -> &CallClock {
        Job::clock(self)
    }

    fn begin<'a>(
        self: Box<Self>,
        accessor: &'a Accessor<State>,
        guest: &'a Guest,
    ) -> BoxFuture<'a, wasmtime::Result<()>> {
        Box::pin(Job::begin(*self, accessor, guest))
    }
}

impl Job for AnyJob {
    fn clock(&self) -> &CallClock {
        self.0.clock()
    }

    fn begin<'a>(
        self,
        accessor: &'a Accessor<State>,
        guest: &'a Guest,
    ) -> impl Future<Output = wasmtime::Result<()>> + Send + 'a {
        self.0.begin(accessor, guest)
    }
}
