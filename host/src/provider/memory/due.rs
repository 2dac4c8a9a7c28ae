use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use async_trait::async_trait;
use chrono::DateTime;

use super::MemoryStorageProvider;
use crate::error::Result;
use crate::object::{Key, Timestamp};
use crate::provider::{Due, DueIndex, DueState, ListQuery, NextLook, Serial, Version};

/// When what is due at once has been due.
const AT_ONCE: Timestamp = DateTime::UNIX_EPOCH;

/// When objects are due, both ways.
pub(super) struct DueTable {
    state: DueState,
    of: BTreeMap<Key, Timestamp>,
    order: BTreeSet<(Timestamp, Key)>,
}

impl DueTable {
    /// Takes note that an object is due at once.
    pub(super) fn is_due(&mut self, key: &Key) {
        self.set(key, AT_ONCE);
    }

    pub(super) fn remove(&mut self, key: &Key) {
        if let Some((key, at)) = self.of.remove_entry(key) {
            self.order.remove(&(at, key));
        }
    }

    fn set(&mut self, key: &Key, at: Timestamp) {
        if let Some(before) = self.of.insert(key.clone(), at) {
            self.order.remove(&(before, key.clone()));
        }
        self.order.insert((at, key.clone()));
    }
}

#[async_trait]
impl DueIndex for MemoryStorageProvider {
    async fn state(&self) -> Result<Option<DueState>> {
        Ok(self.shelf.read().due.as_ref().map(|due| due.state.clone()))
    }

    async fn begin(&self, purpose: &str) -> Result<Serial> {
        let mut shelf = self.shelf.write();
        shelf.indexes += 1;
        let serial = Serial(shelf.indexes);
        let state = DueState { purpose: purpose.to_owned(), complete: false, serial };
        shelf.due = Some(DueTable { state, of: BTreeMap::new(), order: BTreeSet::new() });
        Ok(serial)
    }

    async fn complete(&self, index: Serial) -> Result<()> {
        let mut shelf = self.shelf.write();
        if let Some(due) = shelf.due.as_mut().filter(|due| due.state.serial == index) {
            due.state.complete = true;
        }
        Ok(())
    }

    async fn end(&self) -> Result<()> {
        self.shelf.write().due = None;
        Ok(())
    }

    async fn versions(&self, query: &ListQuery) -> Result<Vec<(Key, Version)>> {
        let limit = query.limit.clamp(1, ListQuery::MAX_LIMIT);
        let shelf = self.shelf.read();
        let behind = shelf.objects.range::<str, _>((query.start(), Bound::Unbounded));
        let page = behind.take_while(|(key, _)| key.as_str().starts_with(&query.prefix)).take(limit);
        Ok(page.map(|(key, entry)| (key.clone(), entry.version)).collect())
    }

    async fn due(&self, not_after: Timestamp, after: Option<&Due>, limit: usize) -> Result<Vec<Due>> {
        let shelf = self.shelf.read();
        let Some(table) = &shelf.due else { return Ok(Vec::new()) };
        let from = match after {
            Some(due) => Bound::Excluded((due.at, due.key.clone())),
            None => Bound::Unbounded,
        };
        let due = table.order.range((from, Bound::Unbounded)).take_while(|(at, _)| *at <= not_after).take(limit);
        let with_version = |(at, key): &(Timestamp, Key)| {
            let version = shelf.objects.get(key)?.version;
            Some(Due { key: key.clone(), at: *at, version })
        };
        Ok(due.filter_map(with_version).collect())
    }

    async fn set(&self, index: Serial, looks: Vec<(Key, NextLook)>) -> Result<()> {
        let mut shelf = self.shelf.write();
        let shelf = &mut *shelf;
        let Some(due) = shelf.due.as_mut().filter(|due| due.state.serial == index) else { return Ok(()) };
        for (key, look) in looks {
            let Some(entry) = shelf.objects.get(&key) else { continue };
            match look {
                NextLook::Now => due.is_due(&key),
                NextLook::At(version, at) if version == entry.version => due.set(&key, at),
                NextLook::WhenChanged(version) if version == entry.version => due.remove(&key),
                NextLook::At(..) | NextLook::WhenChanged(_) => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{AttributeChanges, Body, timestamp_from_millis};
    use crate::provider::{StorageProvider, StoreOptions};

    fn key(text: &str) -> Key {
        Key::new(text).unwrap()
    }

    async fn put(store: &MemoryStorageProvider, name: &str) {
        store.store(&key(name), Body::from("bytes"), StoreOptions::default()).await.unwrap();
    }

    async fn due(store: &MemoryStorageProvider, not_after: u64) -> Vec<Due> {
        store.due(timestamp_from_millis(not_after), None, 100).await.unwrap()
    }

    async fn version(store: &MemoryStorageProvider, name: &str) -> Version {
        store.versions(&ListQuery::with_prefix(name)).await.unwrap()[0].1
    }

    #[tokio::test]
    async fn what_is_changed_is_due_at_once_and_what_is_deleted_never() {
        let store = MemoryStorageProvider::new();
        put(&store, "before").await;
        let index = store.begin("a rule").await.unwrap();
        for name in ["changed", "gone", "new"] {
            put(&store, name).await;
        }
        store.delete(&key("gone"), None).await.unwrap();
        let stale = version(&store, "changed").await;
        store.update(&key("changed"), AttributeChanges::default(), None).await.unwrap();
        let looks = vec![
            (key("before"), NextLook::At(version(&store, "before").await, timestamp_from_millis(500))),
            (key("changed"), NextLook::WhenChanged(stale)),
            (key("new"), NextLook::WhenChanged(version(&store, "new").await)),
            (key("none"), NextLook::Now),
        ];
        store.set(index, looks).await.unwrap();
        let names = |due: Vec<Due>| due.into_iter().map(|due| due.key.to_string()).collect::<Vec<_>>();
        assert_eq!(names(due(&store, 499).await), ["changed"], "it was changed after it was judged");
        let both = due(&store, 500).await;
        let behind = store.due(timestamp_from_millis(500), Some(&both[0]), 100).await.unwrap();
        assert_eq!((names(both), names(behind)), (vec!["changed".into(), "before".into()], vec!["before".to_owned()]));

        store.complete(index).await.unwrap();
        assert!(store.state().await.unwrap().unwrap().complete);
        store.begin("another").await.unwrap();
        store.set(index, vec![(key("new"), NextLook::Now)]).await.unwrap();
        store.complete(index).await.unwrap();
        assert!(due(&store, 1000).await.is_empty() && !store.state().await.unwrap().unwrap().complete);
        store.end().await.unwrap();
        assert_eq!(store.state().await.unwrap(), None);
    }
}
