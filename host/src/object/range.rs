use std::fmt;
use std::ops::Range;

use crate::error::{Error, Result};

/// A part of an object, in bytes, not yet held against the object's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange(Form);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Between(u64, u64),
    StartingAt(u64),
    Last(u64),
}

impl ByteRange {
    /// From `start` up to, not including, `end`.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if that is nothing: `end` is not behind `start`.
    pub fn between(start: u64, end: u64) -> Result<Self> {
        if start < end {
            Ok(Self(Form::Between(start, end)))
        } else {
            Err(Error::invalid_input(format!("the range from {start} up to {end} holds no byte")))
        }
    }

    /// From `start` to the end.
    pub fn starting_at(start: u64) -> Self {
        Self(Form::StartingAt(start))
    }

    /// The last `count` bytes, or all if there are fewer.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if `count` is 0.
    pub fn last(count: u64) -> Result<Self> {
        match count {
            0 => Err(Error::invalid_input("the last 0 bytes are no range")),
            count => Ok(Self(Form::Last(count))),
        }
    }

    /// The positions that it covers in an object of `size` bytes: never empty, never behind the end.
    ///
    /// # Errors
    /// [`Error::RangeNotSatisfiable`] if it begins at or behind the end.
    pub fn resolve(self, size: u64) -> Result<Range<u64>> {
        let range = match self.0 {
            Form::Between(start, end) => start..end.min(size),
            Form::StartingAt(start) => start..size,
            Form::Last(count) => size.saturating_sub(count)..size,
        };
        if range.start < range.end { Ok(range) } else { Err(Error::RangeNotSatisfiable { range: self, size }) }
    }

    /// Calls the function for the form that this range has: between two positions, starting at one, or the last so many.
    pub fn fold<T>(
        self,
        between: impl FnOnce(u64, u64) -> T,
        starting_at: impl FnOnce(u64) -> T,
        last: impl FnOnce(u64) -> T,
    ) -> T {
        match self.0 {
            Form::Between(start, end) => between(start, end),
            Form::StartingAt(start) => starting_at(start),
            Form::Last(count) => last(count),
        }
    }
}

/// As in an HTTP header, without the unit: `0-99`, `100-`, `-5`.
impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Form::Between(start, end) => write!(f, "{start}-{}", end - 1),
            Form::StartingAt(start) => write!(f, "{start}-"),
            Form::Last(count) => write!(f, "-{count}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_stop_at_the_end() {
        assert_eq!(ByteRange::between(2, 5).unwrap().resolve(10).unwrap(), 2..5);
        assert_eq!(ByteRange::between(2, 50).unwrap().resolve(10).unwrap(), 2..10);
        assert_eq!(ByteRange::starting_at(9).resolve(10).unwrap(), 9..10);
        assert_eq!(ByteRange::last(3).unwrap().resolve(10).unwrap(), 7..10);
        assert_eq!(ByteRange::last(30).unwrap().resolve(10).unwrap(), 0..10);
    }

    #[test]
    fn a_range_behind_the_end_is_refused() {
        for range in [ByteRange::between(10, 11).unwrap(), ByteRange::starting_at(10)] {
            assert!(matches!(range.resolve(10), Err(Error::RangeNotSatisfiable { size: 10, .. })));
        }
        assert!(ByteRange::last(1).unwrap().resolve(0).is_err());
        assert!(ByteRange::between(3, 3).is_err());
        assert!(ByteRange::last(0).is_err());
    }
}
