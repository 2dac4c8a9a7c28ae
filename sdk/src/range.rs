use std::ops::Range;

use crate::error::{Error, Result};

/// A part of an object, in bytes, not yet held against the object's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// From the first position up to, not including, the second, which is larger than the first.
    Between(u64, u64),
    /// From this position to the end.
    StartingAt(u64),
    /// The last so many bytes, or all if there are fewer; at least 1.
    Last(u64),
}

impl ByteRange {
    /// The positions that it covers in an object of `size` bytes: never empty, never behind the end.
    ///
    /// # Errors
    /// [`RangeNotSatisfiable`](crate::ErrorKind::RangeNotSatisfiable) if it begins at or behind the end.
    pub fn resolve(self, size: u64) -> Result<Range<u64>> {
        let range = match self {
            Self::Between(start, end) => start..end.min(size),
            Self::StartingAt(start) => start..size,
            Self::Last(count) => size.saturating_sub(count)..size,
        };
        if range.start < range.end {
            Ok(range)
        } else {
            Err(Error::range_not_satisfiable(format!(
                "the range begins at {}, behind the end of an object of {size} bytes",
                range.start
            )))
        }
    }

    /// The bytes of `data` that it covers.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn of(self, data: &[u8]) -> Result<&[u8]> {
        let range = self.resolve(data.len() as u64)?;
        // Within the slice, and so within usize.
        Ok(&data[range.start as usize..range.end as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn ranges_stop_at_the_end() {
        assert_eq!(ByteRange::Between(2, 5).resolve(10).unwrap(), 2..5);
        assert_eq!(ByteRange::Between(2, 50).resolve(10).unwrap(), 2..10);
        assert_eq!(ByteRange::StartingAt(9).resolve(10).unwrap(), 9..10);
        assert_eq!(ByteRange::Last(3).resolve(10).unwrap(), 7..10);
        assert_eq!(ByteRange::Last(30).resolve(10).unwrap(), 0..10);
        assert_eq!(ByteRange::Between(1, 3).of(b"abcd").unwrap(), b"bc");
    }

    #[test]
    fn a_range_behind_the_end_is_refused() {
        for range in [ByteRange::Between(10, 11), ByteRange::StartingAt(10)] {
            assert_eq!(range.resolve(10).unwrap_err().kind, ErrorKind::RangeNotSatisfiable);
        }
        assert!(ByteRange::Last(1).resolve(0).is_err());
    }
}
