use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::error::{Error, Result};

/// Names one write of one object: no other write ever has the same.
///
/// Opaque: 1 to [`ETag::MAX_LEN`] characters of printable ASCII without quotes. Those made here are ULIDs, 48 bits of
/// time before 80 bits of randomness, and so can not be taken for the MD5 that some S3 clients look for in an etag.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ETag(Arc<str>);

impl ETag {
    /// The longest etag, in bytes.
    pub const MAX_LEN: usize = 64;

    /// Makes one that was never there before.
    pub fn generate() -> Self {
        let mut buffer = [0; ulid::ULID_LEN];
        Self(Arc::from(&*Ulid::generate().array_to_str(&mut buffer)))
    }

    /// Takes `text` as an etag.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if it is empty, longer than [`ETag::MAX_LEN`], or holds anything but printable ASCII
    /// without quotes.
    pub fn new(text: impl Into<Arc<str>>) -> Result<Self> {
        let text = text.into();
        let fits = (1..=Self::MAX_LEN).contains(&text.len());
        // Every byte is looked at, even after one that does not fit: so the compiler can look at many at a time.
        if fits && text.bytes().fold(true, |fits, byte| fits & byte.is_ascii_graphic() & (byte != b'"')) {
            Ok(Self(text))
        } else {
            let max = Self::MAX_LEN;
            Err(Error::invalid_input(format!(
                "an etag is 1 to {max} characters of printable ASCII without quotes, not {text:?}"
            )))
        }
    }

    /// The etag as text, without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The etag as text, shared.
    pub(crate) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl From<ETag> for String {
    fn from(etag: ETag) -> Self {
        etag.0.as_ref().to_owned()
    }
}

impl TryFrom<String> for ETag {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_the_same() {
        let etags: std::collections::HashSet<_> = (0..1000).map(|_| ETag::generate()).collect();
        assert_eq!(etags.len(), 1000);
    }

    #[test]
    fn only_what_fits_into_a_header_is_an_etag() {
        assert!(ETag::new("01ARZ3NDEKTSV4RRFFQ69G5FAV").is_ok());
        for text in ["", "a\"b", "a b", "é", &"x".repeat(65)] {
            assert!(ETag::new(text).is_err(), "{text}");
        }
    }
}
