use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};

/// The name of an object in its store: UTF-8 of 1 to [`Key::MAX_LEN`] bytes, without NUL.
///
/// Keys are opaque. `a`, `a/b`, `a//b`, `..` and `%2e` name five different objects, and no Unicode normalization
/// applies. They order by their bytes. Cloning shares the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

impl Key {
    /// The longest key, in bytes.
    pub const MAX_LEN: usize = 1024;

    /// The one key of each store that is not its users': a host writes, reads and deletes it to see whether that works.
    pub const HEALTH_PROBE: &str = ".larder/health-probe";

    /// Takes `text` as a key.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if it is empty, longer than [`Key::MAX_LEN`] bytes, or holds a NUL.
    pub fn new(text: impl Into<Arc<str>>) -> Result<Self> {
        let text = text.into();
        match text.len() {
            0 => return Err(Error::invalid_input("a key has at least 1 byte, and this one is empty")),
            1..=Self::MAX_LEN => {}
            len => {
                let max = Self::MAX_LEN;
                let start: String = text.chars().take(32).collect();
                return Err(Error::invalid_input(format!(
                    "a key has at most {max} bytes, and \u{2018}{start}\u{2026}\u{2019} has {len}"
                )));
            }
        }
        if text.contains('\0') {
            return Err(Error::invalid_input(format!("a key holds no NUL byte, and {text:?} does")));
        }
        Ok(Self(text))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the host's own, [`Key::HEALTH_PROBE`].
    pub fn is_reserved(&self) -> bool {
        self.0.as_ref() == Self::HEALTH_PROBE
    }

    /// The key as text, shared.
    pub(crate) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// The greatest key that begins with `prefix`: listing after it passes over everything below the prefix in one step.
    ///
    /// ```
    /// # use larder::object::Key;
    /// let last = Key::last_with_prefix("a/").unwrap();
    /// assert!(last.as_str().starts_with("a/") && last.as_str() > "a/zzz" && last.as_str() < "a0");
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if no key begins with `prefix`.
    pub fn last_with_prefix(prefix: &str) -> Result<Self> {
        let mut text = String::from(prefix);
        for greatest in ['\u{10FFFF}', '\u{FFFF}', '\u{7FF}', '\u{7F}'] {
            while text.len() + greatest.len_utf8() <= Self::MAX_LEN {
                text.push(greatest);
            }
        }
        Self::new(text)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl AsRef<str> for Key {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Key {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl serde::Serialize for Key {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Key {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_1_to_1024_bytes_and_no_nul() {
        assert!(Key::new("").is_err());
        assert!(Key::new("k".repeat(1024)).is_ok());
        assert!(Key::new("é".repeat(512)).is_ok());
        let error = Key::new("k".repeat(1025)).unwrap_err().to_string();
        assert!(error.contains("1024") && error.contains("1025"), "{error}");
        assert!(Key::new("a\0b").is_err());
    }

    #[test]
    fn keys_order_by_bytes() {
        let mut keys = ["é", "z", "a/b", "a", "a//b", "Z"].map(|text| Key::new(text).unwrap());
        keys.sort();
        assert_eq!(keys.each_ref().map(Key::as_str), ["Z", "a", "a//b", "a/b", "z", "é"]);
    }

    #[test]
    fn the_last_key_with_a_prefix_has_room_for_no_greater_one() {
        for prefix in ["", "a", "ab", "abc", "a/é/"] {
            let last = Key::last_with_prefix(prefix).unwrap();
            assert!(last.as_str().starts_with(prefix));
            assert_eq!(last.as_str().len(), Key::MAX_LEN);
        }
    }
}
