//! How much time calls have used.

use std::fmt;
use std::future::{Future, poll_fn};
use std::ops::Deref;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, Sleep, sleep_until};

use super::metrics::Meter;
use super::operation::Operation;
use crate::error::Error;

/// The least that a plugin must move of a body, in bytes a second: what it may take beyond the time of a call.
const BODY_RATE: u32 = 16 << 10;

/// The time that one call may take, and what it came to if it failed.
///
/// It stands still while the plugin waits for its caller to send or to take bytes. Bytes that move give time back, up to
/// all of it: a large body takes long without anything being wrong, but a trickle does not keep a call alive.
#[derive(Debug)]
pub(super) struct Clock {
    operation: Operation,
    started: Instant,
    limit: Duration,
    reading: Mutex<Reading>,
    /// The instance that the call is on.
    instance: AtomicU64,
    failure: OnceLock<Error>,
}

/// Something with a clock: a call has one allocation for it and all else that its two ends share.
pub(super) trait HasClock: Send + Sync {
    /// The clock.
    fn clock(&self) -> &Clock;
}

impl HasClock for Clock {
    fn clock(&self) -> &Clock {
        self
    }
}

/// The clock of a call, shared.
#[derive(Clone)]
pub(super) struct CallClock(Arc<dyn HasClock>);

impl CallClock {
    /// The clock of something that has one.
    pub(super) fn shared(shared: Arc<dyn HasClock>) -> Self {
        Self(shared)
    }

    /// One by itself, that starts now.
    pub(super) fn start(operation: Operation, limit: Duration) -> Self {
        Self(Arc::new(Clock::start(operation, limit)))
    }
}

impl Deref for CallClock {
    type Target = Clock;

    fn deref(&self) -> &Clock {
        self.0.clock()
    }
}

impl fmt::Debug for CallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[derive(Clone, Copy, Debug)]
enum Reading {
    Running { deadline: Instant },
    Paused { remaining: Duration },
}

/// A call took longer than it may.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elapsed;

/// What something came to that ran against clocks, and when.
#[derive(Debug)]
pub(super) struct Ended<T> {
    pub(super) output: Result<T, Elapsed>,
    pub(super) at: Instant,
}

impl Clock {
    /// Starts now.
    pub(super) fn start(operation: Operation, limit: Duration) -> Self {
        let started = Instant::now();
        let reading = Mutex::new(Reading::Running { deadline: started + limit });
        Self { operation, started, limit, reading, instance: AtomicU64::new(0), failure: OnceLock::new() }
    }

    /// What the call does.
    pub(super) fn operation(&self) -> Operation {
        self.operation
    }

    /// When it began.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// The plugin waits for its caller.
    pub(super) fn pause(&self) {
        let mut reading = self.reading.lock();
        if let Reading::Running { deadline } = *reading {
            *reading = Reading::Paused { remaining: deadline.saturating_duration_since(Instant::now()) };
        }
    }

    /// The plugin has the word again, and so many bytes of a body moved.
    pub(super) fn advance(&self, bytes: usize) {
        let mut reading = self.reading.lock();
        let now = Instant::now();
        let remaining = match *reading {
            Reading::Running { deadline } => deadline.saturating_duration_since(now),
            Reading::Paused { remaining } => remaining,
        };
        let earned = Duration::from_secs(bytes as u64) / BODY_RATE;
        *reading = Reading::Running { deadline: now + (remaining + earned).min(self.limit) };
    }

    /// Whether the call's time is over.
    pub(super) fn is_over(&self) -> bool {
        matches!(*self.reading.lock(), Reading::Running { deadline } if deadline <= Instant::now())
    }

    /// It is run on the instance of this number.
    pub(super) fn run_on(&self, instance: u64) {
        self.instance.store(instance, Relaxed);
    }

    /// The instance that it was run on, or 0.
    pub(super) fn instance(&self) -> u64 {
        self.instance.load(Relaxed)
    }

    /// The call failed with its instance. What is said first holds.
    pub(super) fn fail(&self, error: Error) {
        let _ = self.failure.set(error);
    }

    /// What the call failed with, if its instance failed.
    pub(super) fn failure(&self) -> Option<&Error> {
        self.failure.get()
    }

    /// When the call's time is over, as far as can be said now.
    fn deadline(&self) -> Instant {
        match *self.reading.lock() {
            Reading::Running { deadline } => deadline,
            Reading::Paused { remaining } => Instant::now() + remaining.max(RECHECK),
        }
    }
}

/// How soon a call is looked at again whose clock stands still.
const RECHECK: Duration = Duration::from_millis(100);

/// One of the clocks of an instance: its address, which no other has for as long as it is listed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listed(usize);

/// The clocks of the calls that run on one instance.
#[derive(Clone, Debug, Default)]
pub(super) struct Clocks(Arc<Mutex<Vec<CallClock>>>);

impl Clocks {
    /// A call begins.
    pub(super) fn add(&self, clock: CallClock) -> Listed {
        let listed = Listed(std::ptr::from_ref::<Clock>(&clock).addr());
        self.0.lock().push(clock);
        listed
    }

    /// A call has ended.
    pub(super) fn remove(&self, listed: Listed) {
        self.0.lock().retain(|other| std::ptr::from_ref::<Clock>(other).addr() != listed.0);
    }

    /// The calls that ran when the instance failed.
    pub(super) fn take(&self) -> Vec<CallClock> {
        std::mem::take(&mut *self.0.lock())
    }

    /// What the only call that runs does; nothing if there are several.
    pub(super) fn only_operation(&self) -> Option<Operation> {
        match &self.0.lock()[..] {
            [only] => Some(only.operation()),
            _ => None,
        }
    }

    /// So many bytes moved, and it can not be said for which of the calls.
    pub(super) fn advance(&self, bytes: usize) {
        for clock in &*self.0.lock() {
            clock.advance(bytes);
        }
    }

    /// Runs `future`, which `begun` now, for as long as all calls have time, and measures how long threads were busy with
    /// it. Returns [`Elapsed`] if a call has no time left; the future is then dropped.
    ///
    /// To look at a clock takes as long as to copy several KiB, so this is told when it begins, and tells when it ended;
    /// and what a future may come to hold is copied whenever it is moved, so it is pinned already.
    pub(super) async fn within<F: Future>(
        &self,
        meter: &Meter,
        begun: Instant,
        mut future: Pin<&mut F>,
    ) -> Ended<F::Output> {
        // Most calls are done when they are first looked at, and need no alarm.
        let mut alarm = pin!(None::<Sleep>);
        let mut begun = Some(begun);
        poll_fn(|cx| {
            let resumed = begun.take().unwrap_or_else(Instant::now);
            let poll = future.as_mut().poll(cx);
            let at = Instant::now();
            meter.was_busy(at - resumed);
            if let Poll::Ready(output) = poll {
                return Poll::Ready(Ended { output: Ok(output), at });
            }
            loop {
                if let Some(alarm) = alarm.as_mut().as_pin_mut() {
                    if alarm.poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    if self.0.lock().iter().any(|clock| clock.is_over()) {
                        return Poll::Ready(Ended { output: Err(Elapsed), at });
                    }
                }
                alarm.set(Some(sleep_until(self.first_deadline())));
            }
        })
        .await
    }

    /// When the first call's time is over. Calls that begin later have the same limit, and so a later deadline.
    fn first_deadline(&self) -> Instant {
        let first = self.0.lock().iter().map(|clock| clock.deadline()).min();
        first.unwrap_or_else(|| Instant::now() + Duration::from_millis(1))
    }
}

/// Whose clock a stream of bytes drives.
#[derive(Clone, Debug)]
pub(super) enum Pace {
    /// That of the call whose body it is: it stands still while the caller is waited for.
    Call(CallClock),
    /// Those of all calls on the instance: the stream is between the plugin and a store of the host's.
    Instance(Clocks),
}

impl Pace {
    /// The plugin waits for the other end.
    pub(super) fn wait(&self) {
        match self {
            Self::Call(clock) => clock.pause(),
            Self::Instance(_) => {}
        }
    }

    /// So many bytes moved.
    pub(super) fn advance(&self, bytes: usize) {
        match self {
            Self::Call(clock) => clock.advance(bytes),
            Self::Instance(clocks) => clocks.advance(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::sleep;

    use super::super::metrics::Metrics;
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn one_call() -> (Clocks, CallClock, Listed) {
        let (clocks, clock) = (Clocks::default(), CallClock::start(Operation::Store, LIMIT));
        let listed = clocks.add(clock.clone());
        (clocks, clock, listed)
    }

    fn meter() -> Meter {
        Metrics::new().unwrap().meter(&"plugin".into(), &"store".into())
    }

    #[tokio::test(start_paused = true)]
    async fn time_is_up_when_nothing_happens() {
        let start = Instant::now();
        let (clocks, clock, _) = one_call();
        assert!(clocks.within(&meter(), Instant::now(), pin!(pending::<()>())).await.output.is_err());
        assert!(clock.is_over());
        assert_eq!(start.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_the_caller_does_not_count_and_bytes_give_time_back() {
        let (clocks, clock, _) = one_call();
        let script = async {
            sleep(Duration::from_secs(9)).await;
            clock.pause();
            sleep(Duration::from_secs(1000)).await;
            clock.advance(1 << 20);
            sleep(Duration::from_secs(9)).await;
            "done"
        };
        assert_eq!(clocks.within(&meter(), Instant::now(), pin!(script)).await.output.unwrap(), "done");
        clock.advance(1 << 20);
        assert!(clocks.within(&meter(), Instant::now(), pin!(pending::<()>())).await.output.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickle_of_bytes_does_not_keep_a_call_alive() {
        let start = Instant::now();
        let (clocks, clock, _) = one_call();
        let trickle = async {
            loop {
                sleep(Duration::from_secs(1)).await;
                clock.advance(1);
            }
        };
        assert!(clocks.within(&meter(), Instant::now(), pin!(trickle)).await.output.is_err());
        assert!(start.elapsed() < LIMIT + Duration::from_secs(2), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_joins_is_held_to_its_own_time() {
        let (clocks, _, first) = one_call();
        let script = async {
            sleep(Duration::from_secs(5)).await;
            clocks.add(CallClock::start(Operation::List, LIMIT));
            clocks.remove(first);
            pending::<()>().await;
        };
        let start = Instant::now();
        assert!(clocks.within(&meter(), Instant::now(), pin!(script)).await.output.is_err());
        assert_eq!(start.elapsed().as_secs(), 15);
        assert_eq!(clocks.take().len(), 1);
    }
}
