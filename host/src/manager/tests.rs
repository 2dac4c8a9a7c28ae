mod flights;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use bytesize::ByteSize;
use futures::stream;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use super::*;
use crate::cache::{CacheConfig, Cached};
use crate::monitor::StorageMonitor;
use crate::object::{Checksum, Tags};
use crate::provider::layers::Layers;
use crate::provider::memory::MemoryStorageProvider;

/// Keeps objects in a map, counts and delays.
#[derive(Debug, Default)]
struct TestProvider {
    objects: Mutex<BTreeMap<Key, (StorageMetadata, Bytes)>>,
    loads: AtomicUsize,
    lookups: AtomicUsize,
    ended_stores: AtomicUsize,
    fails: AtomicBool,
    panics: AtomicBool,
    /// The most objects in a page.
    page: AtomicUsize,
    /// The gates of loads to come, in order.
    load_gates: Mutex<Vec<[Arc<Gate>; 2]>>,
    /// The gates of stores, by their bytes.
    store_gates: Mutex<HashMap<Bytes, [Arc<Gate>; 2]>>,
}

/// Where a call waits until the test lets it go on.
#[derive(Debug)]
struct Gate {
    arrived: Semaphore,
    open: Semaphore,
}

impl Gate {
    fn pair() -> [Arc<Self>; 2] {
        [(); 2].map(|()| Arc::new(Self { arrived: Semaphore::new(0), open: Semaphore::new(0) }))
    }

    async fn pass(&self) {
        self.arrived.add_permits(1);
        self.open.acquire().await.unwrap().forget();
    }

    async fn arrival(&self) {
        timeout(Duration::from_secs(10), self.arrived.acquire()).await.expect("a call arrives").unwrap().forget();
    }

    fn let_pass(&self) {
        self.open.add_permits(1);
    }
}

#[async_trait]
impl StorageProvider for TestProvider {
    async fn store(&self, key: &Key, body: Body, options: StoreOptions) -> Result<StorageMetadata> {
        let stored = async {
            let bytes = body.collect(u64::MAX).await?;
            let gates = self.store_gates.lock().get(&bytes).cloned();
            if let Some([before, _]) = &gates {
                before.pass().await;
            }
            if self.fails.load(SeqCst) {
                return Err(Error::unavailable("the disk is away"));
            }
            let metadata = options.into_metadata(key.clone(), bytes.len() as u64, Checksum::of(&bytes), None);
            self.objects.lock().insert(key.clone(), (metadata.clone(), bytes));
            if let Some([_, after]) = &gates {
                after.pass().await;
            }
            Ok(metadata)
        }
        .await;
        self.ended_stores.fetch_add(1, SeqCst);
        stored
    }

    async fn retrieve(&self, key: &Key, range: Option<ByteRange>) -> Result<Object> {
        self.loads.fetch_add(1, SeqCst);
        let gates = self.load_gates.lock().pop();
        if let Some([before, _]) = &gates {
            before.pass().await;
        }
        assert!(!self.panics.load(SeqCst), "the provider is broken");
        let found = self.objects.lock().get(key).cloned();
        if let Some([_, after]) = &gates {
            after.pass().await;
        }
        let (metadata, bytes) = found.ok_or_else(|| Error::not_found(key))?;
        let range = range.map_or(Ok(0..metadata.size), |range| range.resolve(metadata.size))?;
        let bytes = bytes.slice(range.start as usize..range.end as usize);
        let body =
            Body::stream(stream::iter(bytes.chunks(100).map(Bytes::copy_from_slice).map(Ok).collect::<Vec<_>>()));
        Ok(Object { metadata: Arc::new(metadata), range, body })
    }

    async fn delete(&self, key: &Key, _if_match: Option<&ETag>) -> Result<()> {
        self.objects.lock().remove(key).map(|_| ()).ok_or_else(|| Error::not_found(key))
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        assert!((1..=ListQuery::MAX_LIMIT).contains(&query.limit));
        let limit = query.limit.min(self.page.load(SeqCst));
        let objects = self.objects.lock();
        let after = query.start_after.as_deref().unwrap_or("");
        let mut found = objects
            .values()
            .map(|(metadata, _)| metadata)
            .filter(|metadata| metadata.key.as_str().starts_with(&query.prefix) && metadata.key.as_str() > after);
        let page: Vec<_> = found.by_ref().take(limit).cloned().collect();
        Ok(Page { objects: page, more: found.next().is_some() })
    }

    async fn metadata(&self, key: &Key) -> Result<StorageMetadata> {
        self.lookups.fetch_add(1, SeqCst);
        self.objects.lock().get(key).map(|(metadata, _)| metadata.clone()).ok_or_else(|| Error::not_found(key))
    }

    async fn update(&self, key: &Key, changes: AttributeChanges, _if_match: Option<&ETag>) -> Result<StorageMetadata> {
        let mut objects = self.objects.lock();
        let (metadata, _) = objects.get_mut(key).ok_or_else(|| Error::not_found(key))?;
        metadata.attributes.apply(changes);
        Ok(metadata.clone())
    }
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

/// A store whose cache takes objects of up to 1,000 bytes.
fn open() -> (Arc<TestProvider>, StorageManager) {
    open_with(CacheConfig::new(ByteSize::mib(32)))
}

fn open_with(config: CacheConfig) -> (Arc<TestProvider>, StorageManager) {
    let provider = Arc::new(TestProvider::default());
    provider.page.store(usize::MAX, SeqCst);
    let config = CacheConfig { entry_limit: ByteSize::b(1000), ..config };
    let name = StoreName::new("documents").unwrap();
    let monitor = StorageMonitor::new().unwrap().store(&name);
    let cache = CacheManager::new(&config).unwrap();
    (provider.clone(), StorageManager::new(name, provider, Some(cache), monitor))
}

async fn put(manager: &StorageManager, text: &str, bytes: impl Into<Bytes>) {
    manager.store_data(&key(text), bytes.into().into(), StoreOptions::default()).await.unwrap();
}

async fn get(manager: &StorageManager, text: &str) -> Result<Bytes> {
    manager.retrieve_data(&key(text), None).await?.body.collect(u64::MAX).await
}

fn cached(manager: &StorageManager, text: &str) -> Option<Bytes> {
    match manager.cache().unwrap().peek(&key(text))? {
        Cached::Entry(entry) => Some(entry.bytes),
        Cached::Absent => None,
    }
}

async fn until(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(10), waiting).await.expect("it happens in time");
}

#[tokio::test]
async fn what_was_written_is_read_without_the_provider() {
    let (provider, manager) = open();
    put(&manager, "a", "apple").await;
    assert_eq!(get(&manager, "a").await.unwrap(), "apple");
    let range = manager.retrieve_data(&key("a"), Some(ByteRange::between(1, 3).unwrap())).await.unwrap();
    assert_eq!((range.range.clone(), range.metadata.size), (1..3, 5));
    assert_eq!(range.body.collect(5).await.unwrap(), "pp");
    let behind = manager.retrieve_data(&key("a"), Some(ByteRange::starting_at(5))).await;
    assert!(matches!(behind, Err(Error::RangeNotSatisfiable { size: 5, .. })));
    assert_eq!(provider.loads.load(SeqCst), 0);
    let metrics = manager.monitor().snapshot();
    assert_eq!((metrics.reads, metrics.read_bytes, metrics.writes, metrics.write_bytes), (2, 7, 1, 5));
    assert_eq!((metrics.cache_hits, metrics.cache_misses, metrics.cache_entries), (3, 0, 1));
}

#[tokio::test]
async fn a_range_of_what_is_not_cached_comes_from_the_provider_alone() {
    let (provider, manager) = open();
    put(&manager, "a", "apple").await;
    manager.cache().unwrap().clear();
    let object = manager.retrieve_data(&key("a"), Some(ByteRange::last(2).unwrap())).await.unwrap();
    assert_eq!(object.body.collect(5).await.unwrap(), "le");
    assert_eq!((provider.loads.load(SeqCst), cached(&manager, "a")), (1, None));
}

#[tokio::test]
async fn a_failed_write_leaves_nothing_in_the_cache_and_the_old_object_readable() {
    let (provider, manager) = open();
    put(&manager, "a", "old").await;
    provider.fails.store(true, SeqCst);
    let failed = manager.store_data(&key("a"), Bytes::from("new").into(), StoreOptions::default()).await;
    assert!(matches!(failed, Err(Error::Unavailable { .. })));
    assert_eq!(cached(&manager, "a"), None);
    assert_eq!(get(&manager, "a").await.unwrap(), "old");
    assert_eq!(manager.monitor().snapshot().writes, 1);
}

#[tokio::test]
async fn what_is_deleted_is_gone_from_the_cache() {
    let (_, manager) = open();
    put(&manager, "a", "apple").await;
    manager.delete_data(&key("a"), None).await.unwrap();
    assert!(matches!(get(&manager, "a").await, Err(Error::NotFound { .. })));
    assert!(matches!(manager.metadata(&key("a")).await, Err(Error::NotFound { .. })));
    assert_eq!(manager.monitor().snapshot().deletes, 1);
}

#[tokio::test]
async fn an_update_keeps_the_bytes_cached() {
    let (provider, manager) = open();
    put(&manager, "a", "apple").await;
    let tags = Tags::from_pairs([("kind".to_owned(), "fruit".to_owned())]).unwrap();
    let changes = AttributeChanges { tags: Some(tags.clone()), ..AttributeChanges::default() };
    manager.update_data(&key("a"), changes, None).await.unwrap();
    let object = manager.retrieve_data(&key("a"), None).await.unwrap();
    assert_eq!(object.metadata.attributes.tags, tags);
    assert_eq!(manager.metadata(&key("a")).await.unwrap().attributes.tags, tags);
    assert_eq!(provider.loads.load(SeqCst), 0);
}

#[tokio::test]
async fn who_reads_after_a_write_does_not_join_a_load_from_before() {
    let (provider, manager) = open();
    put(&manager, "a", "old").await;
    manager.cache().unwrap().clear();
    let [before, after] = Gate::pair();
    provider.load_gates.lock().push([before.clone(), after.clone()]);
    let early = tokio::spawn({
        let manager = manager.clone();
        async move { get(&manager, "a").await }
    });
    before.arrival().await;
    before.let_pass();
    after.arrival().await;
    let large = Bytes::from(vec![1; 2000]);
    put(&manager, "a", large.clone()).await;
    let late = timeout(Duration::from_secs(10), get(&manager, "a")).await.expect("it does not wait for the early one");
    assert_eq!(late.unwrap(), large);
    after.let_pass();
    assert_eq!(early.await.unwrap().unwrap(), "old");
    assert_eq!(cached(&manager, "a"), None);
}

/// Every order in which `counts[i]` steps of each actor `i` can follow one another.
fn interleavings(counts: [usize; 3]) -> Vec<Vec<usize>> {
    if counts == [0; 3] {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for actor in (0..3).filter(|&actor| counts[actor] > 0) {
        let mut rest = counts;
        rest[actor] -= 1;
        all.extend(interleavings(rest).into_iter().map(|tail| [vec![actor], tail].concat()));
    }
    all
}

#[tokio::test]
async fn in_no_order_of_events_does_a_stale_version_stay_in_the_cache() {
    let orders = interleavings([3, 3, 3]);
    assert_eq!(orders.len(), 1680);
    let mut kept = 0;
    for order in orders {
        let (provider, manager) = open();
        put(&manager, "a", "old").await;
        manager.cache().unwrap().clear();
        // A reader and two writers; each starts, is let to what it does, and is let to its answer.
        let gates = [Gate::pair(), Gate::pair(), Gate::pair()];
        provider.load_gates.lock().push(gates[0].clone());
        provider.store_gates.lock().insert("one".into(), gates[1].clone());
        provider.store_gates.lock().insert("two".into(), gates[2].clone());
        let (mut tasks, mut steps) = ([None, None, None], [0; 3]);
        for &actor in &order {
            let [before, after] = &gates[actor];
            match steps[actor] {
                0 => {
                    let store = manager.clone();
                    tasks[actor] = Some(tokio::spawn(async move {
                        match actor {
                            0 => drop(get(&store, "a").await.unwrap()),
                            1 => put(&store, "a", "one").await,
                            _ => put(&store, "a", "two").await,
                        }
                    }));
                    if actor == 0 && cached(&manager, "a").is_some() {
                        // It is answered from the cache, and meets no gate.
                        tasks[0].take().unwrap().await.unwrap();
                    } else {
                        before.arrival().await;
                    }
                }
                1 if tasks[actor].is_some() => {
                    before.let_pass();
                    after.arrival().await;
                }
                2 if tasks[actor].is_some() => {
                    after.let_pass();
                    tasks[actor].take().unwrap().await.unwrap();
                }
                _ => {}
            }
            steps[actor] += 1;
        }
        let last = provider.objects.lock()[&key("a")].1.clone();
        let cached = cached(&manager, "a");
        assert!(cached.as_ref().is_none_or(|cached| *cached == last), "{order:?}: {cached:?} and not {last:?}");
        assert_eq!(get(&manager, "a").await.unwrap(), last, "{order:?}");
        kept += usize::from(cached.is_some());
    }
    assert!(kept > 100, "a cache that takes nothing would pass too: {kept}");
}

/// A store that remembers for an hour which keys have no object.
fn open_negative() -> (Arc<TestProvider>, StorageManager) {
    let negative_ttl = Some(Duration::from_secs(3600));
    open_with(CacheConfig { negative_ttl, ..CacheConfig::new(ByteSize::mib(32)) })
}

#[tokio::test]
async fn that_there_is_no_object_is_asked_once_until_there_is_one() {
    let (provider, manager) = open_negative();
    for _ in 0..3 {
        assert!(matches!(get(&manager, "a").await, Err(Error::NotFound { .. })));
        assert!(matches!(manager.metadata(&key("a")).await, Err(Error::NotFound { .. })));
        let range = Some(ByteRange::between(1, 3).unwrap());
        assert!(matches!(manager.retrieve_data(&key("a"), range).await, Err(Error::NotFound { .. })));
        assert!(matches!(manager.metadata(&key("b")).await, Err(Error::NotFound { .. })));
    }
    assert_eq!((provider.loads.load(SeqCst), provider.lookups.load(SeqCst)), (1, 1));
    put(&manager, "a", "apple").await;
    assert_eq!(get(&manager, "a").await.unwrap(), "apple");
    manager.delete_data(&key("a"), None).await.unwrap();
    assert!(matches!(get(&manager, "a").await, Err(Error::NotFound { .. })));
    assert_eq!(provider.loads.load(SeqCst), 2);
}

/// A read of `a` for which the provider has looked, but not answered before the gate is opened.
async fn load_under_way(
    provider: &TestProvider,
    manager: &StorageManager,
) -> (tokio::task::JoinHandle<Result<Bytes>>, Arc<Gate>) {
    let gates = Gate::pair();
    provider.load_gates.lock().push(gates.clone());
    let manager = manager.clone();
    let reader = tokio::spawn(async move { get(&manager, "a").await });
    let [before, after] = gates;
    before.arrival().await;
    before.let_pass();
    after.arrival().await;
    (reader, after)
}

#[tokio::test]
async fn an_absence_from_before_a_write_is_not_remembered() {
    let (provider, manager) = open_negative();
    let (reader, end) = load_under_way(&provider, &manager).await;
    put(&manager, "a", "apple").await;
    manager.cache().unwrap().clear();
    end.let_pass();
    assert!(matches!(reader.await.unwrap(), Err(Error::NotFound { .. })), "that was so when it asked");
    assert_eq!(get(&manager, "a").await.unwrap(), "apple");
}

#[tokio::test]
async fn what_others_wrote_is_seen_after_the_cache_was_told_to_forget() {
    let (provider, manager) = open();
    for text in ["a/1", "a/2", "b/1"] {
        put(&manager, text, "old").await;
    }
    let overwrite = |text: &str| {
        let (bytes, mut objects) = (Bytes::from_static(b"new"), provider.objects.lock());
        objects.get_mut(&key(text)).unwrap().1 = bytes;
    };
    ["a/1", "a/2", "b/1"].into_iter().for_each(overwrite);
    assert_eq!(manager.invalidate_prefix("a/"), 2);
    for (text, bytes) in [("a/1", "new"), ("a/2", "new"), ("b/1", "old")] {
        assert_eq!(get(&manager, text).await.unwrap(), bytes, "{text}");
    }
    assert!(manager.invalidate(&key("b/1")) && !manager.invalidate(&key("b/1")));
    assert_eq!(get(&manager, "b/1").await.unwrap(), "new");
    assert_eq!(manager.invalidate_prefix(""), 3);
}

#[tokio::test]
async fn a_load_from_before_does_not_bring_back_what_was_to_be_forgotten() {
    for by_prefix in [false, true] {
        let (provider, manager) = open();
        put(&manager, "a", "apple").await;
        manager.invalidate(&key("a"));
        let (reader, end) = load_under_way(&provider, &manager).await;
        match by_prefix {
            true => drop(manager.invalidate_prefix("a")),
            false => drop(manager.invalidate(&key("a"))),
        }
        end.let_pass();
        assert_eq!(reader.await.unwrap().unwrap(), "apple");
        assert_eq!(cached(&manager, "a"), None);
    }
}

#[tokio::test]
async fn what_a_layer_made_is_not_handed_out_as_the_object() {
    let provider: Arc<dyn StorageProvider> = Arc::new(MemoryStorageProvider::new());
    let layers = Layers { compression: Some(3), ..Layers::default() };
    layers
        .around(Arc::clone(&provider))
        .store(&key("a"), "a".repeat(5000).into(), StoreOptions::default())
        .await
        .unwrap();
    let name = StoreName::new("test").unwrap();
    let monitor = StorageMonitor::new().unwrap().store(&name);
    let manager = StorageManager::new(name, provider, None, monitor);
    let error = manager.retrieve_data(&key("a"), None).await.unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }) && error.to_string().contains("compression"), "{error}");
}
