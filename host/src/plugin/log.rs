//! A plugin's lines on their way to the operator's log.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing::warn;

/// The longest line; what is longer is cut.
const MAX_LINE: usize = 4096;
/// How many seconds' worth of lines may come at once.
const BURST_SECONDS: f64 = 5.0;
/// How often it is said that lines were dropped.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// Lets lines through at a bounded rate, counted over all instances of a plugin: a token bucket.
#[derive(Debug)]
pub(super) struct RateLimit {
    per_second: f64,
    bucket: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled_at: Instant,
    dropped: u64,
    reported_at: Instant,
}

impl RateLimit {
    pub(super) fn new(per_second: u32) -> Self {
        let per_second = f64::from(per_second);
        Self { per_second, bucket: Mutex::new(Bucket::full(per_second, Instant::now())) }
    }

    /// The line as it may be written, or nothing if there were too many.
    pub(super) fn admit<'a>(&self, plugin: &str, line: &'a str) -> Option<Cow<'a, str>> {
        let (admitted, dropped) = self.bucket.lock().take(self.per_second, Instant::now());
        if dropped > 0 {
            warn!(plugin, dropped, "log lines were dropped: they came too fast (limits.log_lines)");
        }
        admitted.then(|| on_one_line(line, MAX_LINE))
    }
}

impl Bucket {
    fn full(per_second: f64, now: Instant) -> Self {
        Self { tokens: per_second * BURST_SECONDS, filled_at: now, dropped: 0, reported_at: now }
    }

    /// Whether a line may pass, and how many dropped ones are due to be reported.
    fn take(&mut self, per_second: f64, now: Instant) -> (bool, u64) {
        let filled = self.tokens + (now - self.filled_at).as_secs_f64() * per_second;
        self.tokens = filled.min(per_second * BURST_SECONDS);
        self.filled_at = now;
        let admitted = self.tokens >= 1.0;
        if admitted {
            self.tokens -= 1.0;
        } else {
            self.dropped += 1;
        }
        let due = self.dropped > 0 && now - self.reported_at >= REPORT_EVERY;
        if due {
            self.reported_at = now;
        }
        (admitted, if due { std::mem::take(&mut self.dropped) } else { 0 })
    }
}

/// A plugin must not be able to forge lines of the log, or to flood it with one.
pub(super) fn on_one_line(line: &str, max: usize) -> Cow<'_, str> {
    let end = line.floor_char_boundary(max);
    let kept = &line[..end];
    if end == line.len() && !kept.contains(char::is_control) {
        return Cow::Borrowed(kept);
    }
    let mut clean: String = kept.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    if end < line.len() {
        clean.push('\u{2026}');
    }
    Cow::Owned(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_held_back_and_counted() {
        let start = Instant::now();
        let mut bucket = Bucket::full(20.0, start);
        let admitted = (0..1000).filter(|_| bucket.take(20.0, start).0).count();
        assert_eq!(admitted, 100);
        assert_eq!(bucket.take(20.0, start + Duration::from_secs(10)), (true, 900));
    }

    #[test]
    fn a_line_stays_one_line() {
        assert_eq!(on_one_line("plain", MAX_LINE), "plain");
        assert_eq!(on_one_line("a\nERROR forged\x1b[0m", MAX_LINE), "a ERROR forged [0m");
        let long = "é".repeat(4000);
        assert!(on_one_line(&long, MAX_LINE).len() <= MAX_LINE + 3);
    }
}
