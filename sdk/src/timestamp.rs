use std::time::Duration;

/// A moment: milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
///
/// Plugins never read a clock: the host says what time it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment so many milliseconds after 1970 began.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// How many milliseconds after 1970 began.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is before.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The moment so long after this, in whole milliseconds, rounded up; `None` if that is after all time.
    pub fn after(self, span: Duration) -> Option<Self> {
        let millis = span.as_nanos().div_ceil(1_000_000);
        self.0.checked_add(u64::try_from(millis).ok()?).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_yet_to_come_has_no_age() {
        let (early, late) = (Timestamp::from_millis(1_000), Timestamp::from_millis(3_500));
        assert_eq!(late.since(early), Duration::from_millis(2_500));
        assert_eq!(early.since(late), Duration::ZERO);
    }

    #[test]
    fn what_comes_after_has_at_least_the_age() {
        let early = Timestamp::from_millis(1_000);
        assert_eq!(early.after(Duration::from_millis(2_500)), Some(Timestamp::from_millis(3_500)));
        assert_eq!(early.after(Duration::from_micros(1)), Some(Timestamp::from_millis(1_001)));
        assert_eq!(early.after(Duration::MAX), None);
        assert_eq!(Timestamp::from_millis(u64::MAX).after(Duration::from_millis(1)), None);
    }
}
