use std::num::NonZeroU32;
use std::time::Duration;

/// When a plugin that fails is started again.
///
/// A first failure costs nothing: the next call has a fresh instance. When that one fails too before it was healthy, the
/// next is made only after [`backoff`](Self::backoff), then after twice as long, and so on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restart {
    /// How long no instance is made after the second failure in a row; twice as long after each further one. From that,
    /// up to half is taken away at random, so that plugins that failed together do not start together.
    pub backoff: Duration,
    /// The longest that no instance is made.
    pub max_backoff: Duration,
    /// An instance that lived for so long, or that answered [`HEALTHY_CALLS`](Self::HEALTHY_CALLS) calls, was healthy: its
    /// failure is a first one.
    pub healthy_after: Duration,
    /// After how many failures in a row the plugin is quarantined: no instance is made until it is reset or replaced.
    /// Absent: never.
    pub quarantine_after: Option<NonZeroU32>,
}

impl Restart {
    /// How many calls an instance answers before it counts as healthy: a plugin that fails at one request in a hundred
    /// serves the others better by going on than by standing still.
    pub const HEALTHY_CALLS: u64 = 100;

    /// How long no instance is made after so many failures in a row.
    pub(super) fn delay(&self, streak: u32) -> Option<Duration> {
        let doublings = streak.checked_sub(2)?;
        let longest = self.backoff.saturating_mul(2u32.saturating_pow(doublings)).min(self.max_backoff);
        // Without randomness there is no jitter, and nothing worse.
        let jitter = getrandom::u32().map_or(0.0, |random| f64::from(random) / f64::from(u32::MAX));
        Some(longest.mul_f64(1.0 - jitter / 2.0)).filter(|delay| !delay.is_zero())
    }
}

/// From 100 ms to 30 s, and quarantine at the tenth failure in a row, which is about half a minute after the first.
impl Default for Restart {
    fn default() -> Self {
        Self {
            backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(30),
            healthy_after: Duration::from_secs(10),
            quarantine_after: NonZeroU32::new(10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_a_limit_and_loses_at_most_half_to_chance() {
        let restart = Restart::default();
        assert_eq!(restart.delay(1), None);
        for (streak, longest) in [(2, 100), (3, 200), (5, 800), (9, 12_800), (12, 30_000), (4_000_000_000, 30_000)] {
            let (delay, longest) = (restart.delay(streak).unwrap(), Duration::from_millis(longest));
            assert!(delay <= longest && delay >= longest / 2, "{streak}: {delay:?}");
        }
    }

    #[test]
    fn no_backoff_is_no_wait() {
        let restart = Restart { backoff: Duration::ZERO, ..Restart::default() };
        assert_eq!(restart.delay(7), None);
    }
}
