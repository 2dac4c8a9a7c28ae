use std::fmt;
use std::str::FromStr;

use bytesize::ByteSize;

use super::Trace;

/// How much a simulated cache holds, as a user asks for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Capacity {
    /// So many entries, whatever their sizes: `687`.
    Entries(u64),
    /// So many bytes, of which each entry takes its size: `64MiB`.
    Bytes(u64),
    /// A share of what the trace touches: `10%`. Of its bytes if it has sizes, and of its keys if not.
    Percent(f64),
}

/// How much a simulated cache holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// So many entries: each weighs 1.
    Entries(u64),
    /// So many bytes: each entry weighs its size, and at least 1.
    Bytes(u64),
}

/// A capacity that says nothing for a trace.
#[derive(Debug, thiserror::Error)]
#[error("the capacity {capacity} is in bytes, and the trace has no sizes; write entries, such as 1000, or 10%")]
pub struct CapacityError {
    capacity: Capacity,
}

impl Capacity {
    /// What it comes to for a trace; at least 1.
    ///
    /// # Errors
    /// [`CapacityError`]: bytes, for a trace without sizes.
    pub fn of(self, trace: &Trace) -> Result<Limit, CapacityError> {
        let share = |percent: f64, whole: u64| ((whole as f64 * percent / 100.0) as u64).max(1);
        match self {
            Self::Entries(entries) => Ok(Limit::Entries(entries)),
            Self::Bytes(bytes) if trace.has_sizes() => Ok(Limit::Bytes(bytes)),
            Self::Bytes(_) => Err(CapacityError { capacity: self }),
            Self::Percent(percent) if trace.has_sizes() => Ok(Limit::Bytes(share(percent, trace.distinct_bytes()))),
            Self::Percent(percent) => Ok(Limit::Entries(share(percent, trace.distinct()))),
        }
    }
}

impl Limit {
    /// The weights that it holds together.
    pub fn weight(self) -> u64 {
        match self {
            Self::Entries(weight) | Self::Bytes(weight) => weight,
        }
    }
}

impl FromStr for Capacity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || {
            format!("{text:?} is no capacity; write entries, such as 1000, bytes with a unit, such as 64MiB, or 10%")
        };
        if let Some(percent) = text.strip_suffix('%') {
            let percent: f64 = percent.trim().parse().map_err(|_| refuse())?;
            let fits = percent > 0.0 && percent <= 100.0;
            return fits.then_some(Self::Percent(percent)).ok_or_else(|| format!("{text:?} is not within 0% and 100%"));
        }
        let capacity = match text.parse() {
            Ok(entries) => Self::Entries(entries),
            // `10k` could be meant either way.
            Err(_) if !text.ends_with(['b', 'B']) => return Err(refuse()),
            Err(_) => Self::Bytes(text.parse::<ByteSize>().map_err(|_| refuse())?.as_u64()),
        };
        match capacity {
            Self::Entries(0) | Self::Bytes(0) => Err(format!("{text:?} is no capacity: a cache holds at least 1")),
            capacity => Ok(capacity),
        }
    }
}

impl fmt::Display for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Entries(entries) => Limit::Entries(*entries).fmt(f),
            Self::Bytes(bytes) => Limit::Bytes(*bytes).fmt(f),
        }
    }
}

/// `687`, or bytes to a digit behind the point: `64.0 MiB`.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entries(entries) => write!(f, "{entries}"),
            Self::Bytes(bytes) => ByteSize(*bytes).display().iec().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::trace::Recorder;

    #[test]
    fn a_capacity_is_entries_bytes_or_a_share() {
        for (text, capacity, shown) in [
            ("687", Capacity::Entries(687), "687"),
            ("64MiB", Capacity::Bytes(64 << 20), "64.0 MiB"),
            ("10 kB", Capacity::Bytes(10_000), "9.8 KiB"),
            ("100B", Capacity::Bytes(100), "100 B"),
            ("10%", Capacity::Percent(10.0), "10%"),
            ("0.1%", Capacity::Percent(0.1), "0.1%"),
        ] {
            assert_eq!((text.parse(), capacity.to_string().as_str()), (Ok(capacity), shown), "{text}");
        }
        for (text, says) in [
            ("", "no capacity"),
            ("0", "at least 1"),
            ("0MiB", "at least 1"),
            ("10k", "bytes with a unit"),
            ("-5", "no capacity"),
            ("many", "no capacity"),
            ("0%", "not within"),
            ("101%", "not within"),
            ("NaN%", "not within"),
            ("%", "no capacity"),
        ] {
            let error = text.parse::<Capacity>().unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_share_is_of_bytes_where_there_are_sizes_and_of_keys_where_not() {
        let trace = |size: Option<u64>| {
            let mut recorder = Recorder::new(None, true);
            [1, 2, 3, 1, 4].into_iter().for_each(|key| recorder.number(key, size).unwrap());
            recorder.finish().unwrap()
        };
        let (plain, sized) = (trace(None), trace(Some(100)));
        let half = Capacity::Percent(50.0);
        assert_eq!(half.of(&plain).unwrap(), Limit::Entries(2));
        assert_eq!(half.of(&sized).unwrap(), Limit::Bytes(200));
        assert_eq!(Capacity::Percent(0.1).of(&plain).unwrap(), Limit::Entries(1), "a cache holds at least 1");
        assert_eq!(Capacity::Entries(3).of(&sized).unwrap(), Limit::Entries(3));
        assert_eq!(Capacity::Bytes(150).of(&sized).unwrap(), Limit::Bytes(150));
        let error = Capacity::Bytes(150).of(&plain).unwrap_err().to_string();
        assert_eq!(
            error,
            "the capacity 150 B is in bytes, and the trace has no sizes; write entries, such as 1000, or 10%"
        );
    }
}
