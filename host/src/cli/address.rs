use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::object::{Key, StoreName};

const SCHEME: &str = "larder://";

/// An object on the command line: `STORE/KEY`, or `larder://STORE/KEY`. The key is all behind the first slash, as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ObjectAddress {
    pub(super) store: StoreName,
    pub(super) key: Key,
}

impl FromStr for ObjectAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let PrefixAddress { store, prefix } = text.parse()?;
        if prefix.is_empty() {
            return Err(Error::invalid_input(format!(
                "\u{2018}{text}\u{2019} names a store; an object is written {store}/KEY"
            )));
        }
        Ok(Self { store, key: Key::new(prefix)? })
    }
}

impl fmt::Display for ObjectAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.store, self.key)
    }
}

/// The objects of a store whose keys begin alike: `STORE` for all, or `STORE/PREFIX`, with or without `larder://`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PrefixAddress {
    pub(super) store: StoreName,
    pub(super) prefix: String,
}

impl PrefixAddress {
    /// The prefix that all keys in this folder have: ends with a slash, unless the folder is the whole store.
    pub(super) fn folder(&self) -> String {
        let prefix = &self.prefix;
        if prefix.is_empty() || prefix.ends_with('/') { prefix.clone() } else { format!("{prefix}/") }
    }
}

impl FromStr for PrefixAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let rest = text.strip_prefix(SCHEME).unwrap_or(text);
        let (store, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if prefix.contains('\0') {
            return Err(Error::invalid_input(format!("a key holds no NUL byte, and {prefix:?} does")));
        }
        Ok(Self { store: StoreName::new(store)?, prefix: prefix.to_owned() })
    }
}

impl fmt::Display for PrefixAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.store, self.prefix)
    }
}

/// One side of a copy: what begins with `larder://` is in a store, all else is a local path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Local(PathBuf),
    Store(PrefixAddress),
}

impl FromStr for Side {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "" => Err(Error::invalid_input("a path is not empty; the current folder is written .")),
            _ if text.starts_with(SCHEME) => Ok(Self::Store(text.parse()?)),
            _ => Ok(Self::Local(text.into())),
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => write!(f, "{}", path.display()),
            Self::Store(address) => write!(f, "{SCHEME}{address}"),
        }
    }
}

/// `NAME=VALUE`; the name ends at the first equals sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) name: String,
    pub(super) value: String,
}

impl FromStr for Pair {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| Error::invalid_input(format!("write NAME=VALUE; {text:?} has no equals sign")))?;
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }
}

impl From<Pair> for (String, String) {
    fn from(Pair { name, value }: Pair) -> Self {
        (name, value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn object(text: &str) -> (String, String) {
        let ObjectAddress { store, key } = text.parse().unwrap();
        (store.to_string(), key.to_string())
    }

    #[test]
    fn the_key_is_all_behind_the_first_slash() {
        for (text, key) in
            [("docs/a", "a"), ("docs//a", "/a"), ("docs/a/b/", "a/b/"), ("docs/..", ".."), ("docs/%2e", "%2e")]
        {
            assert_eq!(object(text), ("docs".into(), key.into()));
            assert_eq!(object(&format!("larder://{text}")), ("docs".into(), key.into()));
        }
    }

    #[test]
    fn an_object_has_a_store_and_a_key() {
        for text in ["", "docs", "docs/", "/docs/a", "Docs/a", "s3://docs/a", "larder:///a", "docs/a\0b"] {
            assert!(text.parse::<ObjectAddress>().is_err(), "{text:?}");
        }
        let error = "docs/".parse::<ObjectAddress>().unwrap_err().to_string();
        assert!(error.contains("docs/KEY"), "{error}");
        assert!(format!("docs/{}", "k".repeat(1025)).parse::<ObjectAddress>().is_err());
    }

    #[test]
    fn a_folder_is_the_whole_store_or_ends_with_a_slash() {
        for (text, folder) in [("docs", ""), ("docs/", ""), ("docs/a", "a/"), ("docs/a/", "a/"), ("docs//", "/")] {
            assert_eq!(text.parse::<PrefixAddress>().unwrap().folder(), folder, "{text}");
        }
    }

    #[test]
    fn only_the_scheme_makes_a_side_a_store() {
        assert_eq!("docs/a".parse::<Side>().unwrap(), Side::Local("docs/a".into()));
        assert_eq!("C:\\a".parse::<Side>().unwrap(), Side::Local("C:\\a".into()));
        assert!(matches!("larder://docs/a".parse::<Side>().unwrap(), Side::Store(_)));
        assert!("larder://".parse::<Side>().is_err());
    }

    #[test]
    fn a_value_may_hold_equals_signs() {
        assert_eq!("a=b=c".parse::<Pair>().unwrap(), Pair { name: "a".into(), value: "b=c".into() });
        assert!("a".parse::<Pair>().is_err());
    }

    proptest! {
        #[test]
        fn an_address_reads_back(key in "[^\0]{1,40}") {
            let address = ObjectAddress { store: StoreName::new("docs").unwrap(), key: Key::new(key).unwrap() };
            prop_assert_eq!(&address.to_string().parse::<ObjectAddress>().unwrap(), &address);
            prop_assert_eq!(&format!("larder://{address}").parse::<ObjectAddress>().unwrap(), &address);
        }
    }
}
