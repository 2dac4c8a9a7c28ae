use std::num::NonZeroU64;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// A point in time, in nanoseconds since the first one was asked for. With the room for none it takes 8 bytes, where an
/// [`Instant`] takes 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cache) struct Moment(NonZeroU64);

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Moment {
    pub(in crate::cache) fn now() -> Self {
        let since = u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Self(NonZeroU64::MIN.saturating_add(since))
    }

    /// The moment so much later, unless that is some five hundred years away.
    pub(in crate::cache) fn checked_add(self, span: Duration) -> Option<Self> {
        self.0.checked_add(u64::try_from(span.as_nanos()).ok()?).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_and_forever_is_never() {
        let now = Moment::now();
        assert_eq!(now.checked_add(Duration::ZERO), Some(now));
        assert!(now.checked_add(Duration::from_nanos(1)) > Some(now));
        assert!(Moment::now() >= now);
        assert_eq!(now.checked_add(Duration::MAX), None);
        assert_eq!(now.checked_add(Duration::from_secs(u64::MAX / 1_000_000_000 + 1)), None);
    }
}
