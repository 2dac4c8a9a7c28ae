use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Names and values that policies and operators select objects by, ordered by name.
///
/// At most [`Tags::MAX_COUNT`]; names of 1 to 128 characters, values of up to 256, neither with control characters:
/// Amazon S3's limits, but for the count, which is 10 there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>")]
pub struct Tags(BTreeMap<String, String>);

impl Tags {
    /// The most tags that an object can have.
    pub const MAX_COUNT: usize = 50;
    const MAX_NAME: usize = 128;
    const MAX_VALUE: usize = 256;

    /// No tags.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Takes pairs of name and value as tags.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if a name comes twice, or a limit is passed.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self> {
        let mut tags = Self::new();
        for (name, value) in pairs {
            if tags.get(&name).is_some() {
                return Err(Error::invalid_input(format!("the tag {name:?} is given twice")));
            }
            tags.set(name, value)?;
        }
        Ok(tags)
    }

    /// Sets a tag, replacing its value if it is there.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if a limit is passed; the tags are then unchanged.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) -> Result<()> {
        let (name, value) = (name.into(), value.into());
        check("name of a tag", &name, 1, Self::MAX_NAME)?;
        check("value of a tag", &value, 0, Self::MAX_VALUE)?;
        if self.0.len() == Self::MAX_COUNT && !self.0.contains_key(&name) {
            let max = Self::MAX_COUNT;
            return Err(Error::invalid_input(format!("an object has at most {max} tags")));
        }
        self.0.insert(name, value);
        Ok(())
    }

    /// Removes a tag and returns its value, if it was there.
    pub fn remove(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// The value of a tag.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Names and values, ordered by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether all of other tags are among these, with the same values.
    pub fn contains(&self, others: &Self) -> bool {
        others.iter().all(|(name, value)| self.get(name) == Some(value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn check(what: &str, text: &str, min: usize, max: usize) -> Result<()> {
    let count = text.chars().count();
    if count < min || count > max {
        return Err(Error::invalid_input(format!(
            "the {what} has {min} to {max} characters, and {text:?} has {count}"
        )));
    }
    if text.chars().any(char::is_control) {
        return Err(Error::invalid_input(format!("the {what} holds no control characters, and {text:?} does")));
    }
    Ok(())
}

impl TryFrom<BTreeMap<String, String>> for Tags {
    type Error = Error;

    fn try_from(map: BTreeMap<String, String>) -> Result<Self> {
        Self::from_pairs(map)
    }
}

/// `name=value, name=value`.
impl fmt::Display for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{name}={value}")?;
        }
        Ok(())
    }
}

/// The writer's own names and values, opaque to larder, ordered by name.
///
/// Names are what an HTTP header name can be, in lower case, and values are of visible ASCII, spaces and text beyond
/// ASCII; together at most [`UserMetadata::MAX_SIZE`] bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>")]
pub struct UserMetadata(BTreeMap<String, String>);

impl UserMetadata {
    /// The most bytes that names and values have together.
    pub const MAX_SIZE: usize = 8 * 1024;

    /// No user metadata.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the names begin with that the host's layers use for themselves. They have [`UserMetadata::MAX_SIZE_OF_HOST`]
    /// bytes beside the writer's.
    pub const PREFIX_OF_HOST: &str = "larder-layer-";
    /// The most bytes that the host's own names and values have together.
    pub const MAX_SIZE_OF_HOST: usize = 1024;

    /// Takes pairs of name and value; names become lower case.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if a name comes twice or is none, a value holds control characters, or it is too much.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self> {
        let mut map = BTreeMap::new();
        let (mut size, mut size_of_host) = (0, 0);
        for (mut name, value) in pairs {
            name.make_ascii_lowercase();
            let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            if name.is_empty() || !name.bytes().all(token) {
                return Err(Error::invalid_input(format!(
                    "{name:?} is no name for user metadata: it must fit a header"
                )));
            }
            if value.chars().any(char::is_control) {
                return Err(Error::invalid_input(format!("the user metadata {name:?} holds control characters")));
            }
            let counted = if name.starts_with(Self::PREFIX_OF_HOST) { &mut size_of_host } else { &mut size };
            *counted += name.len() + value.len();
            if map.contains_key(&name) {
                return Err(Error::invalid_input(format!("the user metadata {name:?} is given twice")));
            }
            map.insert(name, value);
        }
        for (size, max, whose) in [
            (size, Self::MAX_SIZE, ""),
            (size_of_host, Self::MAX_SIZE_OF_HOST, " under names that begin with larder-layer-"),
        ] {
            if size > max {
                return Err(Error::invalid_input(format!(
                    "user metadata has at most {max} bytes{whose}, and this has {size}"
                )));
            }
        }
        Ok(Self(map))
    }

    /// Sets what a layer of the host keeps here.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if the layers' own would be too much; nothing is changed then.
    pub(crate) fn set_of_host(&mut self, name: &str, value: &str) -> Result<()> {
        let mut pairs = self.0.clone();
        pairs.insert(name.to_owned(), value.to_owned());
        *self = Self::from_pairs(pairs)?;
        Ok(())
    }

    /// Takes out the value under a name in lower case.
    pub(crate) fn remove(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// The value under a name in lower case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Names and values, ordered by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<BTreeMap<String, String>> for UserMetadata {
    type Error = Error;

    fn try_from(map: BTreeMap<String, String>) -> Result<Self> {
        Self::from_pairs(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn tags_are_ordered_and_distinct() {
        let tags = Tags::from_pairs([pair("z", "1"), pair("a", "2")]).unwrap();
        assert_eq!(tags.to_string(), "a=2, z=1");
        assert!(Tags::from_pairs([pair("a", "1"), pair("a", "2")]).is_err());
    }

    #[test]
    fn tags_have_limits() {
        let mut tags = Tags::new();
        assert!(tags.set("", "x").is_err());
        assert!(tags.set("é".repeat(129), "x").is_err());
        assert!(tags.set("é".repeat(128), "v".repeat(256)).is_ok());
        assert!(tags.set("a", "v".repeat(257)).is_err());
        assert!(tags.set("a\n", "v").is_err());
        for number in 1..Tags::MAX_COUNT {
            tags.set(number.to_string(), "").unwrap();
        }
        assert!(tags.set("one too many", "").is_err());
        assert!(tags.set("1", "replaced").is_ok());
    }

    #[test]
    fn user_metadata_has_names_that_fit_a_header() {
        let metadata = UserMetadata::from_pairs([pair("Owner-Id", "Zoë")]).unwrap();
        assert_eq!(metadata.get("owner-id"), Some("Zoë"));
        assert!(UserMetadata::from_pairs([pair("a b", "")]).is_err());
        assert!(UserMetadata::from_pairs([pair("a", "1"), pair("A", "2")]).is_err());
        assert!(UserMetadata::from_pairs([pair("a", "x\r\ny")]).is_err());
        assert!(UserMetadata::from_pairs([pair("a", &"x".repeat(8192))]).is_err());
        let with_own =
            |name: &str, size| UserMetadata::from_pairs([pair("a", &"x".repeat(8191)), pair(name, &"x".repeat(size))]);
        assert!(with_own("larder-layer-x", 1000).is_ok(), "the layers have room beside the writer");
        assert!(with_own("larder-layer-x", 1024).is_err() && with_own("larder-x", 1000).is_err());
        assert!(UserMetadata::from_pairs([pair("larder-versions-key", &"x".repeat(2000))]).is_ok());
    }
}
