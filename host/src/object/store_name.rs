use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The name of a store: what S3 allows as the name of a bucket, but for dots.
///
/// 3 to 63 characters, lower-case letters, digits and hyphens; the first and the last are no hyphens. So a name is safe
/// as a folder, in a URL and as the value of a metric's label.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct StoreName(Arc<str>);

impl StoreName {
    /// Takes `text` as a name.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if it is none.
    pub fn new(text: impl Into<Arc<str>>) -> Result<Self> {
        let text = text.into();
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = (3..=63).contains(&text.len()) && text.bytes().all(allowed);
        if fits && !text.starts_with('-') && !text.ends_with('-') {
            Ok(Self(text))
        } else {
            Err(Error::invalid_input(format!(
                "the name of a store is 3 to 63 lower-case letters, digits and inner hyphens, not {text:?}"
            )))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl std::borrow::Borrow<str> for StoreName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for StoreName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl From<StoreName> for String {
    fn from(name: StoreName) -> Self {
        name.as_str().to_owned()
    }
}

impl TryFrom<String> for StoreName {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_safe_everywhere() {
        for name in ["abc", "a-1", "0123", &"x".repeat(63)] {
            assert!(StoreName::new(name).is_ok(), "{name}");
        }
        for name in ["", "ab", "-ab", "ab-", "Abc", "a.b", "a/b", "..", "äbc", &"x".repeat(64)] {
            assert!(StoreName::new(name).is_err(), "{name}");
        }
    }
}
