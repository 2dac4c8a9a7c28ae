use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use rustix::time::{ClockId, clock_gettime};

use crate::object::{Timestamp, now};

/// Where a scheduler takes the time from.
#[async_trait]
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time of day. Somebody may set it, forwards or backwards.
    fn wall(&self) -> Timestamp;

    /// The time since some moment that stays the same for this clock. It never goes back, and nobody sets it; whether it goes
    /// on while the machine sleeps is up to the system.
    fn steady(&self) -> Duration;

    /// Waits for so long at most. It may end early, and does soon after somebody has set the time of day.
    async fn sleep(&self, span: Duration);
}

/// A moment as both readings of a clock tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) wall: Timestamp,
    pub(super) steady: Duration,
}

impl Moment {
    pub(super) fn of(clock: &dyn Clock) -> Self {
        Self { wall: clock.wall(), steady: clock.steady() }
    }

    /// What the time of day will be after so long, if nobody sets it.
    pub(super) fn wall_after(self, span: Duration) -> Timestamp {
        let span = chrono::Duration::from_std(span).unwrap_or(chrono::Duration::MAX);
        self.wall.checked_add_signed(span).unwrap_or(Timestamp::MAX_UTC)
    }
}

/// Waits until a clock's steady reading is this.
pub(super) async fn sleep_until(clock: &dyn Clock, steady: Duration) {
    loop {
        let left = steady.saturating_sub(clock.steady());
        if left.is_zero() {
            return;
        }
        clock.sleep(left).await;
    }
}

/// The system's clock. On Linux its steady reading goes on while the machine sleeps: what should have been done meanwhile is
/// due when it wakes.
#[derive(Debug)]
pub struct SystemClock {
    begun: Duration,
}

impl SystemClock {
    /// The system does not say when somebody sets its clock: it is looked at as often as this.
    const LOOK_EVERY: Duration = Duration::from_secs(30);
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { begun: since_boot() }
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        now()
    }

    fn steady(&self) -> Duration {
        since_boot().saturating_sub(self.begun)
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span.min(Self::LOOK_EVERY)).await;
    }
}

fn since_boot() -> Duration {
    #[cfg(target_os = "linux")]
    const CLOCK: ClockId = ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: ClockId = ClockId::Monotonic;
    let reading = clock_gettime(CLOCK);
    let seconds = u64::try_from(reading.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(reading.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn the_steady_reading_is_the_time_since_the_machine_started() {
        let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
        let seconds: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
        assert!((since_boot().as_secs_f64() - seconds).abs() < 5.0);
        let clock = SystemClock::default();
        let before = clock.steady();
        assert!(clock.steady() >= before);
    }
}
