use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::object::{Body, ETag, Key, StorageMetadata};
use crate::provider::{Condition, ListQuery, Page, StorageProvider, StoreOptions};

/// The entries that a plugin keeps for itself, over a provider of its own: atomicity, order and durability are that
/// provider's. Clones share it.
#[derive(Clone, Debug)]
pub struct StateStore(pub(super) Arc<Entries>);

#[derive(Debug)]
pub(super) struct Entries {
    provider: Arc<dyn StorageProvider>,
    pub(super) capacity: AtomicU64,
    /// What all entries weigh, those on their way in included.
    used: AtomicU64,
}

/// What an entry takes of the capacity: its bytes, and what it costs to keep another row however small.
fn weight(key: &Key, value: u64) -> u64 {
    StateStore::ENTRY_WEIGHT.saturating_add(key.as_str().len() as u64).saturating_add(value)
}

fn weight_of(entry: &StorageMetadata) -> u64 {
    weight(&entry.key, entry.size)
}

impl StateStore {
    /// The largest value, in bytes.
    pub const MAX_VALUE: usize = 1 << 20;
    /// What each entry takes of the capacity beside the bytes of its key and its value.
    pub const ENTRY_WEIGHT: u64 = 256;
    /// The capacity, in bytes, if the operator says nothing else.
    pub const DEFAULT_CAPACITY: u64 = 16 << 20;

    /// State over a provider that nobody else writes to, for entries of up to `capacity` bytes all together.
    ///
    /// # Errors
    /// Those of listing what is there.
    pub async fn open(provider: Arc<dyn StorageProvider>, capacity: u64) -> Result<Self> {
        let mut used = 0u64;
        let mut query = ListQuery::all();
        loop {
            let page = provider.list(&query).await?;
            used = page.objects.iter().map(weight_of).fold(used, u64::saturating_add);
            match page.next() {
                Some(last) => query.start_after = Some(last.as_str().to_owned()),
                None => break,
            }
        }
        Ok(Self(Arc::new(Entries { provider, capacity: AtomicU64::new(capacity), used: AtomicU64::new(used) })))
    }

    /// What all entries weigh, in bytes.
    pub fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// The value under the key, and the version that names its write.
    ///
    /// # Errors
    /// Those of the provider.
    pub async fn get(&self, key: Key) -> Result<Option<(Bytes, ETag)>> {
        let entries = Arc::clone(&self.0);
        run_to_its_end(async move {
            let object = match entries.provider.retrieve(&key, None).await {
                Ok(object) => object,
                Err(Error::NotFound { .. }) => return Ok(None),
                Err(error) => return Err(error),
            };
            let value = object.body.collect(Self::MAX_VALUE as u64).await?;
            Ok(Some((value, object.metadata.etag.clone())))
        })
        .await
    }

    /// Stores a value, if what is there is what the condition says, and returns the version that names this write. It goes
    /// on if the caller does not wait for it.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`]; [`Error::TooLarge`] for a value beyond [`StateStore::MAX_VALUE`];
    /// [`Error::Exhausted`] beyond the capacity; those of the provider. Nothing was changed.
    pub async fn put(&self, key: Key, value: Bytes, expected: Condition) -> Result<ETag> {
        if value.len() > Self::MAX_VALUE {
            let (len, max) = (value.len(), Self::MAX_VALUE);
            return Err(Error::too_large(format!("a value in the state has at most {max} bytes, and this has {len}")));
        }
        let entries = Arc::clone(&self.0);
        run_to_its_end(async move { entries.put(&key, value, &expected).await }).await
    }

    /// Deletes an entry; with `expected`, only if it is that of this write. It goes on if the caller does not wait for it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PreconditionFailed`], those of the provider.
    pub async fn delete(&self, key: Key, expected: Option<ETag>) -> Result<()> {
        let entries = Arc::clone(&self.0);
        run_to_its_end(async move { entries.delete(&key, expected).await }).await
    }

    /// A page of the entries.
    ///
    /// # Errors
    /// Those of the provider.
    pub async fn list(&self, query: ListQuery) -> Result<Page> {
        let entries = Arc::clone(&self.0);
        run_to_its_end(async move { entries.provider.list(&query).await }).await
    }
}

/// Runs an operation in a task of its own: what was counted of it stays right only if it ends.
async fn run_to_its_end<T: Send + 'static>(operation: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let ended = tokio::spawn(operation).await;
    ended.unwrap_or_else(|failed| Err(Error::internal(format!("the operation on the state did not end: {failed}"))))
}

impl Entries {
    async fn find(&self, key: &Key) -> Result<Option<StorageMetadata>> {
        match self.provider.metadata(key).await {
            Ok(found) => Ok(Some(found)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Every write is conditional on what was found, so that the weight of what it replaces is known. A lost race begins
    /// anew; somebody else then won.
    async fn put(&self, key: &Key, value: Bytes, expected: &Condition) -> Result<ETag> {
        let wanted = weight(key, value.len() as u64);
        loop {
            let found = self.find(key).await?;
            expected.check(key, found.as_ref().map(|found| &found.etag))?;
            let freed = found.as_ref().map_or(0, weight_of);
            let condition = found.map_or(Condition::IfAbsent, |found| Condition::IfMatch(found.etag));
            let growth = wanted.saturating_sub(freed);
            self.reserve(growth)?;
            let options = StoreOptions { condition, ..StoreOptions::default() };
            match self.provider.store(key, Body::Bytes(value.clone()), options).await {
                Ok(stored) => {
                    self.release(freed.saturating_sub(wanted));
                    return Ok(stored.etag);
                }
                Err(error) => {
                    self.release(growth);
                    if !matches!(error, Error::PreconditionFailed { .. }) {
                        return Err(error);
                    }
                }
            }
        }
    }

    async fn delete(&self, key: &Key, expected: Option<ETag>) -> Result<()> {
        loop {
            let found = self.find(key).await?.ok_or_else(|| Error::not_found(key))?;
            Condition::from(expected.as_ref()).check(key, Some(&found.etag))?;
            match self.provider.delete(key, Some(&found.etag)).await {
                Ok(()) => {
                    self.release(weight_of(&found));
                    return Ok(());
                }
                Err(Error::PreconditionFailed { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn reserve(&self, growth: u64) -> Result<()> {
        let capacity = self.capacity.load(Ordering::Relaxed);
        let grow = |used: u64| used.checked_add(growth).filter(|total| growth == 0 || *total <= capacity);
        let reserved = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grow);
        reserved.map(drop).map_err(|used| {
            Error::exhausted(format!(
                "the plugin's state holds {used} of its {capacity} bytes, and has no room for {growth} more; \
                 to give it more, write a size: `grants: {{ state: SIZE }}`"
            ))
        })
    }

    fn release(&self, freed: u64) {
        // Saturating: what other processes left in the folder was counted when it was opened.
        let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| Some(used.saturating_sub(freed)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::memory::MemoryStorageProvider;

    fn key(text: &str) -> Key {
        Key::new(text).unwrap()
    }

    async fn state(capacity: u64) -> StateStore {
        StateStore::open(Arc::new(MemoryStorageProvider::new()), capacity).await.unwrap()
    }

    #[tokio::test]
    async fn a_write_happens_only_over_what_was_expected() {
        let state = state(1 << 20).await;
        assert!(state.get(key("a")).await.unwrap().is_none());
        let first = state.put(key("a"), "1".into(), Condition::IfAbsent).await.unwrap();
        let taken = state.put(key("a"), "2".into(), Condition::IfAbsent).await.unwrap_err();
        assert!(matches!(taken, Error::PreconditionFailed { .. }), "{taken}");
        let second = state.put(key("a"), "2".into(), Condition::IfMatch(first.clone())).await.unwrap();
        assert_ne!(first, second);
        assert!(state.put(key("a"), "3".into(), Condition::IfMatch(first.clone())).await.is_err());
        assert!(state.delete(key("a"), Some(first)).await.is_err());
        assert_eq!(state.get(key("a")).await.unwrap().unwrap(), ("2".into(), second.clone()));
        state.delete(key("a"), Some(second)).await.unwrap();
        assert!(matches!(state.delete(key("a"), None).await, Err(Error::NotFound { .. })));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_many_counters_none_loses_a_count() {
        let state = state(1 << 20).await;
        let count = |state: StateStore| async move {
            for _ in 0..25 {
                loop {
                    let found = state.get(key("count")).await.unwrap();
                    let (next, expected) = match found {
                        None => (1, Condition::IfAbsent),
                        Some((value, version)) => {
                            let value: u64 = std::str::from_utf8(&value).unwrap().parse().unwrap();
                            (value + 1, Condition::IfMatch(version))
                        }
                    };
                    match state.put(key("count"), next.to_string().into(), expected).await {
                        Ok(_) => break,
                        Err(Error::PreconditionFailed { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        };
        let counters: Vec<_> = (0..4).map(|_| tokio::spawn(count(state.clone()))).collect();
        for counter in counters {
            counter.await.unwrap();
        }
        assert_eq!(state.get(key("count")).await.unwrap().unwrap().0, "100");
        assert_eq!(state.used(), StateStore::ENTRY_WEIGHT + 5 + 3);
    }

    #[tokio::test]
    async fn a_full_state_refuses_and_keeps_what_it_has() {
        let state = state(2 * (StateStore::ENTRY_WEIGHT + 101)).await;
        state.put(key("a"), vec![1; 100].into(), Condition::None).await.unwrap();
        state.put(key("b"), vec![1; 100].into(), Condition::None).await.unwrap();
        let full = state.put(key("c"), Bytes::new(), Condition::None).await.unwrap_err().to_string();
        assert!(full.contains("grants: { state: SIZE }"), "{full}");
        assert!(matches!(
            state.put(key("a"), vec![2; 101].into(), Condition::None).await,
            Err(Error::Exhausted { .. })
        ));
        assert_eq!(state.get(key("a")).await.unwrap().unwrap().0, vec![1; 100]);
        // What shrinks or goes makes room.
        state.put(key("a"), vec![3; 99].into(), Condition::None).await.unwrap();
        state.put(key("b"), vec![3; 101].into(), Condition::None).await.unwrap();
        state.delete(key("b"), None).await.unwrap();
        state.put(key("c"), vec![3; 101].into(), Condition::IfAbsent).await.unwrap();
        assert!(matches!(
            state.put(key("d"), vec![0; StateStore::MAX_VALUE + 1].into(), Condition::None).await,
            Err(Error::TooLarge { .. })
        ));
    }

    #[tokio::test]
    async fn what_is_there_is_counted_when_it_is_opened() {
        let provider: Arc<dyn StorageProvider> = Arc::new(MemoryStorageProvider::new());
        let state = StateStore::open(Arc::clone(&provider), 1 << 20).await.unwrap();
        for number in 0..1500 {
            state.put(key(&format!("{number:04}")), vec![0; 6].into(), Condition::None).await.unwrap();
        }
        let again = StateStore::open(provider, 1 << 20).await.unwrap();
        assert_eq!(again.used(), 1500 * (StateStore::ENTRY_WEIGHT + 4 + 6));
        assert_eq!(again.used(), state.used());
    }
}
