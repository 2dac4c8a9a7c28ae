//! How much time calls have used.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::error::Error;

/// The time that one call may take, and what it came to if it failed.
///
/// It stands still while the plugin waits for its caller to send or to take bytes, and begins anew with each piece of a
/// body, since a large body takes long without anything being wrong.
#[derive(Clone, Debug)]
pub(super) struct CallClock(Arc<Call>);

#[derive(Debug)]
struct Call {
    operation: &'static str,
    limit: Duration,
    reading: Mutex<Reading>,
    failure: OnceLock<Error>,
}

#[derive(Clone, Copy, Debug)]
enum Reading {
    Running { deadline: Instant },
    Paused,
}

/// A call took longer than it may.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elapsed;

impl CallClock {
    pub(super) fn start(operation: &'static str, limit: Duration) -> Self {
        let reading = Mutex::new(Reading::Running { deadline: Instant::now() + limit });
        Self(Arc::new(Call { operation, limit, reading, failure: OnceLock::new() }))
    }

    /// What the call does.
    pub(super) fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// The plugin waits for its caller.
    pub(super) fn pause(&self) {
        *self.0.reading.lock() = Reading::Paused;
    }

    /// The plugin has the word, and all of its time.
    pub(super) fn restart(&self) {
        *self.0.reading.lock() = Reading::Running { deadline: Instant::now() + self.0.limit };
    }

    /// Whether the call's time is over.
    pub(super) fn is_over(&self) -> bool {
        matches!(*self.0.reading.lock(), Reading::Running { deadline } if deadline <= Instant::now())
    }

    /// The call failed with its instance. What is said first holds.
    pub(super) fn fail(&self, error: Error) {
        let _ = self.0.failure.set(error);
    }

    /// What the call failed with, if its instance failed.
    pub(super) fn failure(&self) -> Option<&Error> {
        self.0.failure.get()
    }

    /// When the call's time is over, as far as can be said now.
    fn deadline(&self) -> Instant {
        match *self.0.reading.lock() {
            Reading::Running { deadline } => deadline,
            Reading::Paused => Instant::now() + self.0.limit,
        }
    }
}

/// The clocks of the calls that run on one instance.
#[derive(Clone, Debug, Default)]
pub(super) struct Clocks(Arc<Mutex<Vec<CallClock>>>);

impl Clocks {
    pub(super) fn add(&self, clock: CallClock) {
        self.0.lock().push(clock);
    }

    pub(super) fn remove(&self, clock: &CallClock) {
        self.0.lock().retain(|other| !Arc::ptr_eq(&other.0, &clock.0));
    }

    /// The calls that ran when the instance failed.
    pub(super) fn take(&self) -> Vec<CallClock> {
        std::mem::take(&mut *self.0.lock())
    }

    /// Something moved, and it can not be said for which of the calls.
    pub(super) fn restart(&self) {
        for clock in &*self.0.lock() {
            clock.restart();
        }
    }

    /// Runs `future` for as long as all calls have time.
    ///
    /// # Errors
    /// [`Elapsed`] if one has none left; the future is then dropped.
    pub(super) async fn within<F: Future>(&self, future: F) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        // Most calls are done when they are first looked at, and need no alarm.
        let mut alarm = pin!(None::<Sleep>);
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            loop {
                if let Some(alarm) = alarm.as_mut().as_pin_mut() {
                    if alarm.poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    if self.0.lock().iter().any(CallClock::is_over) {
                        return Poll::Ready(Err(Elapsed));
                    }
                }
                alarm.set(Some(sleep_until(self.first_deadline())));
            }
        })
        .await
    }

    /// When the first call's time is over. Calls that begin later have the same limit, and so a later deadline.
    fn first_deadline(&self) -> Instant {
        let first = self.0.lock().iter().map(CallClock::deadline).min();
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

    /// The stream moved.
    pub(super) fn advance(&self) {
        match self {
            Self::Call(clock) => clock.restart(),
            Self::Instance(clocks) => clocks.restart(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::sleep;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn one_call() -> (Clocks, CallClock) {
        let (clocks, clock) = (Clocks::default(), CallClock::start("test", LIMIT));
        clocks.add(clock.clone());
        (clocks, clock)
    }

    #[tokio::test(start_paused = true)]
    async fn time_is_up_when_nothing_happens() {
        let start = Instant::now();
        let (clocks, clock) = one_call();
        assert!(clocks.within(pending::<()>()).await.is_err());
        assert!(clock.is_over());
        assert_eq!(start.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_the_caller_does_not_count_and_each_piece_counts_alone() {
        let (clocks, clock) = one_call();
        let script = async {
            sleep(Duration::from_secs(9)).await;
            clock.pause();
            sleep(Duration::from_secs(1000)).await;
            clock.restart();
            sleep(Duration::from_secs(9)).await;
            "done"
        };
        assert_eq!(clocks.within(script).await.unwrap(), "done");
        clock.restart();
        assert!(clocks.within(pending::<()>()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_joins_is_held_to_its_own_time() {
        let (clocks, first) = one_call();
        let script = async {
            sleep(Duration::from_secs(5)).await;
            clocks.add(CallClock::start("joined", LIMIT));
            clocks.remove(&first);
            pending::<()>().await;
        };
        let start = Instant::now();
        assert!(clocks.within(script).await.is_err());
        assert_eq!(start.elapsed().as_secs(), 15);
        assert_eq!(clocks.take().len(), 1);
    }
}
