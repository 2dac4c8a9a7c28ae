//! How much time a call has used.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

/// The time that one call may take. It stands still while the plugin waits for its caller to send or to take bytes, and
/// begins anew with each piece of a body, since a large body takes long without anything being wrong.
#[derive(Clone, Debug)]
pub(super) struct CallClock {
    limit: Duration,
    reading: Arc<Mutex<Reading>>,
}

#[derive(Debug)]
enum Reading {
    Running { deadline: Instant },
    Paused,
}

/// A call took longer than it may.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elapsed;

impl CallClock {
    pub(super) fn start(limit: Duration) -> Self {
        Self { limit, reading: Arc::new(Mutex::new(Reading::Running { deadline: Instant::now() + limit })) }
    }

    /// The plugin waits for its caller.
    pub(super) fn pause(&self) {
        *self.reading.lock() = Reading::Paused;
    }

    /// The plugin has the word, and all of its time.
    pub(super) fn restart(&self) {
        *self.reading.lock() = Reading::Running { deadline: Instant::now() + self.limit };
    }

    /// When the call is over, as far as can be said now.
    fn deadline(&self) -> Instant {
        match *self.reading.lock() {
            Reading::Running { deadline } => deadline,
            Reading::Paused => Instant::now() + self.limit,
        }
    }

    /// Runs `future` for as long as the clock allows.
    ///
    /// # Errors
    /// [`Elapsed`] if that was too short; the future is then dropped.
    pub(super) async fn within<F: Future>(&self, future: F) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        let mut alarm = pin!(sleep(self.limit));
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            while alarm.as_mut().poll(cx).is_ready() {
                let deadline = self.deadline();
                if deadline <= Instant::now() {
                    return Poll::Ready(Err(Elapsed));
                }
                alarm.as_mut().reset(deadline);
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn time_is_up_when_nothing_happens() {
        let start = Instant::now();
        assert!(CallClock::start(LIMIT).within(pending::<()>()).await.is_err());
        assert_eq!(start.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_the_caller_does_not_count_and_each_piece_counts_alone() {
        let clock = CallClock::start(LIMIT);
        let script = async {
            sleep(Duration::from_secs(9)).await;
            clock.pause();
            sleep(Duration::from_secs(1000)).await;
            clock.restart();
            sleep(Duration::from_secs(9)).await;
            "done"
        };
        assert_eq!(clock.within(script).await.unwrap(), "done");
        clock.restart();
        assert!(clock.within(pending::<()>()).await.is_err());
    }
}
