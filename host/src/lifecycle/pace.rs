use std::num::NonZeroU32;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Lets so many through in a second, evenly: who comes earlier waits.
#[derive(Debug)]
pub(super) struct Pace {
    every: Duration,
    /// When the next may go; never held over an await.
    next: Mutex<Option<Instant>>,
}

impl Pace {
    pub(super) fn new(per_second: NonZeroU32) -> Self {
        Self { every: Duration::from_secs(1) / per_second.get(), next: Mutex::default() }
    }

    /// Waits for its turn.
    pub(super) async fn turn(&self) {
        let at = {
            let mut next = self.next.lock();
            let now = Instant::now();
            let at = next.map_or(now, |next| next.max(now));
            *next = Some(at + self.every);
            at
        };
        tokio::time::sleep_until(at).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn so_many_go_in_a_second_and_none_in_advance() {
        let pace = Pace::new(NonZeroU32::new(10).unwrap());
        let begun = Instant::now();
        for _ in 0..21 {
            pace.turn().await;
        }
        assert_eq!(begun.elapsed().as_millis() / 10, 200);
        tokio::time::sleep(Duration::from_secs(60)).await;
        let begun = Instant::now();
        for _ in 0..11 {
            pace.turn().await;
        }
        assert_eq!(begun.elapsed().as_millis() / 10, 100, "what was not used is not made up for");
    }
}
