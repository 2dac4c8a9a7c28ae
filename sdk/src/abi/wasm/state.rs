use super::bindings::larder::plugin::state as host;
use super::convert::error;
use crate::error::Result;
use crate::state::{Entry, Expected, KeyPage, Version};

pub(crate) async fn get(key: &str) -> Result<Option<Entry>> {
    let found = host::get(key.to_owned()).await.map_err(error)?;
    Ok(found.map(|host::Entry { value, version }| Entry { value, version: Version(version) }))
}

pub(crate) async fn put(key: &str, value: Vec<u8>, expected: Expected) -> Result<Version> {
    let expected = match expected {
        Expected::Anything => None,
        Expected::Absent => Some(host::Expectation::Absent),
        Expected::Version(Version(version)) => Some(host::Expectation::Version(version)),
    };
    host::put(key.to_owned(), value, expected).await.map(Version).map_err(error)
}

pub(crate) async fn delete(key: &str, expected: Option<&Version>) -> Result<()> {
    host::delete(key.to_owned(), expected.map(|version| version.0.clone())).await.map_err(error)
}

pub(crate) async fn list_keys(prefix: &str, start_after: Option<&str>, limit: u32) -> Result<KeyPage> {
    let page = host::list_keys(prefix.to_owned(), start_after.map(str::to_owned), limit).await.map_err(error)?;
    Ok(KeyPage { keys: page.keys, more: page.more })
}
