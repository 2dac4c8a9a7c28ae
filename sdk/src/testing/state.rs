use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Bound;

use super::executor::step;
use crate::error::{Error, Result};
use crate::state::{Entry, Expected, KeyPage, Version};

/// Entries in memory: what [`grant_state`](super::grant_state) grants.
#[derive(Debug, Default)]
pub(crate) struct MemoryState {
    entries: RefCell<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    by_key: BTreeMap<String, Entry>,
    writes: u64,
}

fn check(key: &str, found: Option<&Entry>, expected: &Expected) -> Result<()> {
    let as_expected = match (expected, found) {
        (Expected::Anything, _) | (Expected::Absent, None) => true,
        (Expected::Version(version), Some(found)) => *version == found.version,
        _ => false,
    };
    let otherwise = || Error::precondition_failed(format!("\u{2018}{key}\u{2019} is not as it was expected"));
    if as_expected { Ok(()) } else { Err(otherwise()) }
}

fn check_key(key: &str) -> Result<()> {
    if (1..=1024).contains(&key.len()) && !key.contains('\0') {
        return Ok(());
    }
    Err(Error::invalid_input(format!("{key:?} is no key: those have 1 to 1024 bytes, without NUL")))
}

impl MemoryState {
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Entry>> {
        step().await;
        check_key(key)?;
        Ok(self.entries.borrow().by_key.get(key).cloned())
    }

    pub(crate) async fn put(&self, key: &str, value: Vec<u8>, expected: Expected) -> Result<Version> {
        step().await;
        check_key(key)?;
        if value.len() > 1 << 20 {
            let len = value.len();
            return Err(Error::too_large(format!("a value in the state has at most 1 MiB, and this has {len} bytes")));
        }
        let mut entries = self.entries.borrow_mut();
        check(key, entries.by_key.get(key), &expected)?;
        entries.writes += 1;
        let version = Version(format!("write-{}", entries.writes));
        entries.by_key.insert(key.to_owned(), Entry { value, version: version.clone() });
        Ok(version)
    }

    pub(crate) async fn delete(&self, key: &str, expected: Option<&Version>) -> Result<()> {
        step().await;
        let mut entries = self.entries.borrow_mut();
        let found = entries.by_key.get(key).ok_or_else(|| Error::not_found(key))?;
        check(key, Some(found), &expected.cloned().map_or(Expected::Anything, Expected::Version))?;
        entries.by_key.remove(key);
        Ok(())
    }

    pub(crate) async fn list_keys(&self, prefix: &str, start_after: Option<&str>, limit: u32) -> Result<KeyPage> {
        step().await;
        if !(1..=1000).contains(&limit) {
            return Err(Error::invalid_input(format!("a page has 1 to 1000 keys, and {limit} are asked for")));
        }
        let start = match start_after {
            Some(key) if key >= prefix => Bound::Excluded(key),
            _ => Bound::Included(prefix),
        };
        let entries = self.entries.borrow();
        let behind = entries.by_key.range::<str, _>((start, Bound::Unbounded)).map(|(key, _)| key);
        let mut found = behind.take_while(|key| key.starts_with(prefix));
        let keys = found.by_ref().take(limit as usize).cloned().collect();
        Ok(KeyPage { keys, more: found.next().is_some() })
    }
}

#[cfg(test)]
mod tests {
    use crate::error::ErrorKind;
    use crate::state::{self, Expected};
    use crate::testing;

    #[test]
    fn the_twin_keeps_what_the_host_promises() {
        let refused = testing::run(state::get("a")).unwrap_err();
        assert!(refused.is(ErrorKind::PermissionDenied), "{refused}");
        testing::grant_state();
        testing::run(async {
            let first = state::put("a/1", "x", Expected::Absent).await.unwrap();
            assert!(state::put("a/1", "y", Expected::Absent).await.unwrap_err().is(ErrorKind::PreconditionFailed));
            let second = state::put("a/1", "y", Expected::Version(first.clone())).await.unwrap();
            assert!(state::delete("a/1", Some(&first)).await.unwrap_err().is(ErrorKind::PreconditionFailed));
            assert_eq!(state::get("a/1").await.unwrap().unwrap().value, b"y");
            for key in ["a/2", "a/3", "b"] {
                state::put(key, "", Expected::Anything).await.unwrap();
            }
            let page = state::list_keys("a/", None, 2).await.unwrap();
            assert_eq!((page.keys, page.more), (vec!["a/1".to_owned(), "a/2".to_owned()], true));
            let page = state::list_keys("a/", Some("a/2"), 2).await.unwrap();
            assert_eq!((page.keys, page.more), (vec!["a/3".to_owned()], false));
            state::delete("a/1", Some(&second)).await.unwrap();
            assert!(state::delete("a/1", None).await.unwrap_err().is(ErrorKind::NotFound));
            assert!(state::put("", "", Expected::Anything).await.unwrap_err().is(ErrorKind::InvalidInput));
        });
    }
}
