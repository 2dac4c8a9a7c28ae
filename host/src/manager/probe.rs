//! Whether a store does what it is for, found out by doing it with an object that nobody else sees.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::StorageManager;
use crate::error::{Error, Result};
use crate::object::{Body, Key};
use crate::provider::{ListQuery, Page, StoreOptions};

/// How a store is probed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Probe {
    /// An object is written, read back and deleted. A store that only reads is asked as with [`Probe::Read`].
    #[default]
    Write,
    /// A listing of one object is asked for: for stores where a write leaves something behind, or costs money.
    Read,
}

impl StorageManager {
    /// Has the provider show that it works, beside the cache and the metrics, and returns how long that took. One probe of a
    /// store runs at a time.
    ///
    /// # Errors
    /// What the provider answered; [`Error::Corrupt`] if it hands out other bytes than it was given.
    pub async fn probe(&self, probe: Probe) -> Result<Duration> {
        let started = Instant::now();
        let written = match probe {
            Probe::Write => self.write_and_read().await,
            Probe::Read => Err(Error::unsupported("it is not to be written to")),
        };
        match written {
            Err(Error::Unsupported { .. }) => {
                let first = ListQuery { limit: 1, ..ListQuery::all() };
                self.owned.provider.list(&first).await?;
            }
            written => written?,
        }
        Ok(started.elapsed())
    }

    async fn write_and_read(&self) -> Result<()> {
        let (provider, key) = (&self.owned.provider, Key::new(Key::HEALTH_PROBE)?);
        let options = StoreOptions::default();
        // No two probes write the same, so that an answer can not be of an earlier one.
        let bytes = Bytes::from(options.stamp.etag.to_string());
        let stored = provider.store(&key, Body::Bytes(bytes.clone()), options).await?;
        let read = provider.retrieve(&key, None).await?;
        let read = read.body.collect(bytes.len() as u64).await;
        // What was written goes, whatever was read.
        provider.delete(&key, Some(&stored.etag)).await?;
        if read? != bytes {
            return Err(Error::corrupt("what was written to probe the store reads as something else"));
        }
        Ok(())
    }
}

/// Takes what the store is probed with out of a page of a listing. If nothing is left of the page but others follow, returns
/// what to ask for in its place.
pub(super) fn hide(page: &mut Page, query: &ListQuery) -> Option<ListQuery> {
    let found = page.objects.binary_search_by(|object| object.key.as_str().cmp(Key::HEALTH_PROBE));
    page.objects.remove(found.ok()?);
    let behind = || ListQuery { start_after: Some(Key::HEALTH_PROBE.to_owned()), ..query.clone() };
    (page.objects.is_empty() && page.more).then(behind)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::monitor::StorageMonitor;
    use crate::object::StoreName;
    use crate::provider::StorageProvider;
    use crate::provider::memory::MemoryStorageProvider;

    #[tokio::test]
    async fn a_probe_leaves_nothing_and_nobody_sees_it() {
        let name = StoreName::new("documents").unwrap();
        let (provider, monitor) = (Arc::new(MemoryStorageProvider::new()), StorageMonitor::new().unwrap());
        let store = StorageManager::new(name.clone(), provider.clone(), None, monitor.store(&name));
        for probe in [Probe::Write, Probe::Read] {
            store.probe(probe).await.unwrap();
        }
        assert_eq!(provider.usage().await.unwrap().objects, 0);
        assert_eq!(store.monitor().snapshot().writes, 0, "a probe is no write of anybody's");

        // One that was cut off.
        let key = Key::new(Key::HEALTH_PROBE).unwrap();
        provider.store(&key, Body::from("left"), StoreOptions::default()).await.unwrap();
        for other in [".a", "z"] {
            store.store_data(&Key::new(other).unwrap(), Body::from("x"), StoreOptions::default()).await.unwrap();
        }
        for limit in 1..4 {
            let mut query = ListQuery { limit, ..ListQuery::all() };
            let mut keys = Vec::new();
            loop {
                let page = store.list_data(&query).await.unwrap();
                assert!(!page.objects.is_empty());
                keys.extend(page.objects.iter().map(|object| object.key.to_string()));
                match page.next() {
                    Some(last) => query.start_after = Some(last.to_string()),
                    None => break,
                }
            }
            assert_eq!(keys, [".a", "z"]);
        }
        assert!(matches!(store.retrieve_data(&key, None).await, Err(Error::NotFound { .. })));
        assert!(matches!(store.metadata(&key).await, Err(Error::NotFound { .. })));
        assert!(matches!(store.delete_data(&key, None).await, Err(Error::NotFound { .. })));
        let stored = store.store_data(&key, Body::from("mine"), StoreOptions::default()).await;
        assert!(matches!(stored, Err(Error::InvalidInput { .. })));
        store.probe(Probe::Write).await.unwrap();
        assert_eq!(provider.usage().await.unwrap().objects, 2);
    }
}
