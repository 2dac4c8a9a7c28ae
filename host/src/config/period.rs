use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::scalar::{Scalar, scalar_serde};

/// A span of time that is not zero: `90s`, `10m`, `1h 30m`, `7d`; from 1 ms to 100 years.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(Duration);

impl Period {
    const MAX: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

    /// So many seconds, which must not be 0.
    pub(crate) const fn seconds(count: u64) -> Self {
        assert!(count > 0);
        Self(Duration::from_secs(count))
    }

    /// So many milliseconds, which must not be 0.
    pub(super) const fn milliseconds(count: u64) -> Self {
        assert!(count > 0);
        Self(Duration::from_millis(count))
    }

    /// The same as what the standard library counts in.
    pub fn as_duration(self) -> Duration {
        self.0
    }
}

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let span = humantime::parse_duration(text).map_err(|_| {
            format!("{text:?} is no span of time; write numbers with units, such as 90s, 10m, 1h 30m or 7d")
        })?;
        if span < Duration::from_millis(1) || span > Self::MAX {
            return Err(format!("{text:?} is no span of time that serves here: it has to be 1ms to 100 years"));
        }
        Ok(Self(span))
    }
}

impl From<Period> for Duration {
    fn from(period: Period) -> Self {
        period.0
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl fmt::Debug for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Scalar for Period {
    const EXPECTED: &'static str = "a span of time, such as 90s, 10m, 1h 30m or 7d";
    const PATTERN: &'static str = concat!(
        r"^\s*([0-9]+(\.[0-9]+)?\s*(nanos|nsec|ns|usec|us|µs|millis|msec|ms|",
        r"seconds|second|secs|sec|s|minutes|minute|mins|min|m|",
        r"hours|hour|hrs|hr|h|days|day|d|weeks|week|wks|wk|w|months|month|M|years|year|yrs|yr|y)\s*)+$",
    );
}

scalar_serde!(Period);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_numbers_with_units() {
        for (text, seconds) in [("90s", 90), ("10m", 600), ("1h 30m", 5400), ("7d", 604_800)] {
            assert_eq!(text.parse::<Period>().unwrap().as_duration(), Duration::from_secs(seconds), "{text}");
        }
        for text in ["", "0s", "10", "-1s", "1ns", "101y", "soon"] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_shown_reads_back_as_the_same() {
        for text in ["1ms", "90s", "7d", "1h 30m", "100y"] {
            if let Ok(period) = text.parse::<Period>() {
                assert_eq!(period.to_string().parse::<Period>(), Ok(period), "{text}");
            }
        }
    }
}
