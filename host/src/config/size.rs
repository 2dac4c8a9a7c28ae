use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use bytesize::ByteSize;

use super::scalar::{Scalar, scalar_serde};

/// A number of bytes, at least 1: `64MiB`, `1.5 GB`, `4096`. `KiB` counts by 1,024 and `kB` by 1,000.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(NonZeroU64);

impl Size {
    /// So many mebibytes (1,048,576 bytes).
    pub(super) const fn mebibytes(count: NonZeroU64) -> Self {
        Self(count.saturating_mul(NonZeroU64::new(1 << 20).expect("2^20 is not 0")))
    }

    /// So many bytes, unless that is none.
    pub fn from_bytes(bytes: u64) -> Option<Self> {
        NonZeroU64::new(bytes).map(Self)
    }

    /// How many bytes.
    pub fn bytes(self) -> u64 {
        self.0.get()
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("{text:?} is no size; write a number and a unit, such as 64MiB, 1.5GB or 4096");
        let size: ByteSize = text.parse().map_err(|_| refuse())?;
        Self::from_bytes(size.as_u64()).ok_or_else(|| format!("{text:?} is no size: it has to be at least 1 byte"))
    }
}

/// The largest binary unit that divides it, so that no byte is lost: `64MiB`, `1500B`.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
        let power = (self.bytes().trailing_zeros() / 10).min(5);
        write!(f, "{}{}", self.bytes() >> (10 * power), units[power as usize])
    }
}

impl fmt::Debug for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Scalar for Size {
    const EXPECTED: &'static str = "a size in bytes, such as 64MiB, 1.5GB or 4096";
    const PATTERN: &'static str = r"^[0-9]+(\.[0-9]+)?\s*([kKmMgGtTpPeE]([iI]?[bB])?|[kKmMgGtTpPeE][iI]|[bB])?$";
    const JSON_TYPES: &'static [&'static str] = &["string", "integer"];
}

scalar_serde!(Size);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_numbers_with_units() {
        for (text, bytes) in
            [("4096", 4096), ("64MiB", 64 << 20), ("64 MiB", 64 << 20), ("1.5GB", 1_500_000_000), ("1KiB", 1024)]
        {
            assert_eq!(text.parse::<Size>().unwrap().bytes(), bytes, "{text}");
        }
        for text in ["", "0", "0MiB", "-1", "64 apples", "MiB", "many"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_shown_reads_back_as_the_same() {
        for bytes in [1, 1000, 1024, 1500, 64 << 20, (1 << 30) + 1, u64::MAX] {
            let size = Size::from_bytes(bytes).unwrap();
            assert_eq!(size.to_string().parse::<Size>(), Ok(size), "{size}");
        }
        assert_eq!("64MiB".parse::<Size>().unwrap().to_string(), "64MiB");
    }
}
