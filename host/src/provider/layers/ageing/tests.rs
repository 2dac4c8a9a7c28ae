use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::*;
use crate::contract::{self, Options, Part, provider};
use crate::lifecycle::AgeingStep;
use crate::object::{Tags, UserMetadata, timestamp_from_millis};
use crate::provider::memory::MemoryStorageProvider;
use crate::provider::{Condition, Stamp};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn day(number: u32) -> Timestamp {
    timestamp_from_millis(1_800_000_000_000) + DAY * number
}

fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

fn memory() -> Arc<dyn StorageProvider> {
    Arc::new(MemoryStorageProvider::new())
}

/// What outlasts a process: a store and its archive, as they are below the layer.
struct Disks {
    hot: Arc<dyn StorageProvider>,
    cold: Arc<dyn StorageProvider>,
}

impl Disks {
    fn new() -> Self {
        Self { hot: memory(), cold: memory() }
    }

    fn options(cold: Arc<dyn StorageProvider>) -> AgeingOptions {
        AgeingOptions {
            store: StoreName::new("hot").unwrap(),
            archive: Some((StoreName::new("cold").unwrap(), cold)),
            recall: true,
            lock: None,
            clock: Arc::new(|| day(0)),
        }
    }

    fn open(&self) -> Ageing {
        Ageing::new(self.hot.clone(), Self::options(self.cold.clone()))
    }

    fn without_recall(&self) -> Ageing {
        Ageing::new(self.hot.clone(), AgeingOptions { recall: false, ..Self::options(self.cold.clone()) })
    }

    fn locked(&self, until: Timestamp) -> Ageing {
        let lock: Lock = Arc::new(move |object| (object.attributes.tags.get("held").is_some()).then_some(until));
        Ageing::new(self.hot.clone(), AgeingOptions { lock: Some(lock), ..Self::options(self.cold.clone()) })
    }

    /// Opens the layer over disks that go away after so many calls, the last of which is carried out and not answered if
    /// `late`.
    fn open_for(&self, calls: u32, late: bool) -> Ageing {
        let left = Arc::new(AtomicU32::new(calls));
        let dying = |inner: &Arc<dyn StorageProvider>| Dying { inner: inner.clone(), left: left.clone(), late };
        Ageing::new(Arc::new(dying(&self.hot)), Self::options(Arc::new(dying(&self.cold))))
    }

    async fn copies(&self) -> usize {
        self.cold.list(&ListQuery::all()).await.unwrap().objects.len()
    }
}

async fn put(store: &Ageing, name: &str, bytes: &str) -> StorageMetadata {
    let mut attributes = crate::object::Attributes::default();
    attributes.tags.set("tag", "value").unwrap();
    attributes.user_metadata = UserMetadata::from_pairs([("own".to_owned(), "mine".to_owned())]).unwrap();
    let options = StoreOptions { attributes, stamp: Stamp::at(day(0)), ..StoreOptions::default() };
    store.store(&key(name), Body::from(bytes.to_owned()), options).await.unwrap()
}

async fn read(store: &Ageing, name: &str) -> Result<Bytes> {
    store.retrieve(&key(name), None).await?.body.collect(1 << 20).await
}

async fn archive(store: &Ageing, name: &str) -> Result<()> {
    let judged = Box::new(store.metadata(&key(name)).await?);
    store.age(&key(name), AgeingStep::Archive { judged, now: day(1) }).await
}

async fn trash(store: &Ageing, name: &str) -> Result<()> {
    let judged = Box::new(store.metadata(&key(name)).await?);
    store.age(&key(name), AgeingStep::Trash { judged, now: day(1), until: day(8), by: "rule".into() }).await
}

async fn keys(store: &Ageing) -> Vec<String> {
    store.list(&ListQuery::all()).await.unwrap().objects.iter().map(|object| object.key.to_string()).collect()
}

/// A disk that goes away with all others of its process.
#[derive(Debug)]
struct Dying {
    inner: Arc<dyn StorageProvider>,
    left: Arc<AtomicU32>,
    late: bool,
}

impl Dying {
    async fn call<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let gone = || Error::internal("the process is gone");
        match self.left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)) {
            Ok(1) if self.late => {
                call.await?;
                Err(gone())
            }
            Ok(_) => call.await,
            Err(_) => Err(gone()),
        }
    }
}

#[async_trait]
impl StorageProvider for Dying {
    async fn store(&self, key: &Key, body: Body, options: StoreOptions) -> Result<StorageMetadata> {
        self.call(self.inner.store(key, body, options)).await
    }

    async fn retrieve(&self, key: &Key, range: Option<ByteRange>) -> Result<Object> {
        self.call(self.inner.retrieve(key, range)).await
    }

    async fn delete(&self, key: &Key, if_match: Option<&ETag>) -> Result<()> {
        self.call(self.inner.delete(key, if_match)).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        self.call(self.inner.list(query)).await
    }

    async fn metadata(&self, key: &Key) -> Result<StorageMetadata> {
        self.call(self.inner.metadata(key)).await
    }

    async fn update(&self, key: &Key, changes: AttributeChanges, if_match: Option<&ETag>) -> Result<StorageMetadata> {
        self.call(self.inner.update(key, changes, if_match)).await
    }
}

struct Fresh;

#[async_trait]
impl provider::Subject for Fresh {
    async fn open(&self, _: &str) -> Result<Arc<dyn StorageProvider>> {
        Ok(Arc::new(Disks::new().open()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_layer_keeps_the_contract() {
    let report = contract::check("ageing", &Part::Provider(Arc::new(Fresh)), &Options::default()).await;
    assert_eq!(report.counts().broken, 0, "{report}");
}

#[tokio::test]
async fn an_archived_object_is_what_it_was_and_its_bytes_are_elsewhere() {
    let disks = Disks::new();
    let store = disks.open();
    let before = put(&store, "a", "some bytes").await;
    archive(&store, "a").await.unwrap();

    assert_eq!(disks.hot.metadata(&key("a")).await.unwrap().size, 0);
    let mut after = store.metadata(&key("a")).await.unwrap();
    assert_eq!(Archived::of(&after).unwrap().at, day(1));
    after.attributes.user_metadata.remove(Archived::NAME);
    assert_eq!(after, before);
    assert_eq!(read(&store, "a").await.unwrap(), "some bytes");
    let part = store.retrieve(&key("a"), Some(ByteRange::starting_at(5))).await.unwrap();
    assert_eq!(part.body.collect(10).await.unwrap(), "bytes");
    assert_eq!(part.range, 5..10);
    let error = store.retrieve(&key("a"), Some(ByteRange::starting_at(10))).await.unwrap_err();
    assert!(matches!(error, Error::RangeNotSatisfiable { size: 10, .. }), "{error}");

    let strict = disks.without_recall();
    for range in [None, Some(ByteRange::starting_at(1))] {
        let error = strict.retrieve(&key("a"), range).await.unwrap_err();
        assert!(matches!(&error, Error::PermissionDenied { message } if message.contains("larder archive restore")));
    }

    store.age(&key("a"), AgeingStep::Restore { until: day(9) }).await.unwrap();
    let mut restored = store.metadata(&key("a")).await.unwrap();
    assert_eq!(Restored::of(&restored), Some(Restored { until: day(9) }));
    restored.attributes.user_metadata.remove(Restored::NAME);
    assert_eq!(restored, before);
    assert_eq!(disks.hot.metadata(&key("a")).await.unwrap().size, 10);
    assert_eq!(disks.copies().await, 0);
}

#[tokio::test]
async fn conditions_hold_against_what_readers_see() {
    let disks = Disks::new();
    let store = disks.open();
    let before = put(&store, "a", "old").await;
    archive(&store, "a").await.unwrap();
    let write = async |condition: Condition| {
        let options = StoreOptions { condition, ..StoreOptions::default() };
        store.store(&key("a"), Body::from("new"), options).await
    };
    let failed = |result: Result<StorageMetadata>| matches!(result, Err(Error::PreconditionFailed { .. }));
    assert!(failed(write(Condition::IfAbsent).await));
    assert!(failed(write(Condition::IfMatch(ETag::generate())).await));
    assert!(failed(store.update(&key("a"), AttributeChanges::default(), Some(&ETag::generate())).await));
    let tags = Tags::from_pairs([("new".to_owned(), "tag".to_owned())]).unwrap();
    let changes =
        AttributeChanges { tags: Some(tags), user_metadata: Some(UserMetadata::new()), ..AttributeChanges::default() };
    let updated = store.update(&key("a"), changes, Some(&before.etag)).await.unwrap();
    assert_eq!((updated.size, updated.attributes.tags.len()), (3, 1));
    assert!(Archived::of(&updated).is_some(), "what is archived stays so");
    let written = write(Condition::IfMatch(before.etag)).await.unwrap();
    assert_eq!(written.created_at, day(0));
    assert_eq!((read(&store, "a").await.unwrap().as_ref(), disks.copies().await), (&b"new"[..], 0));
}

#[tokio::test]
async fn what_is_in_the_trash_is_not_there_until_it_is_taken_out() {
    let disks = Disks::new();
    let store = disks.open();
    let before = put(&store, "a", "bytes").await;
    put(&store, "b", "bytes").await;
    for archived in [false, true] {
        if archived {
            archive(&store, "a").await.unwrap();
        }
        trash(&store, "a").await.unwrap();
        assert_eq!(keys(&store).await, ["b"]);
        assert!(matches!(read(&store, "a").await, Err(Error::NotFound { .. })));
        assert!(matches!(store.metadata(&key("a")).await, Err(Error::NotFound { .. })));
        assert!(matches!(store.delete(&key("a"), None).await, Err(Error::NotFound { .. })));
        assert!(matches!(
            store.update(&key("a"), AttributeChanges::default(), None).await,
            Err(Error::NotFound { .. })
        ));
        let all = store.list_with_trash(&ListQuery::all()).await.unwrap().objects;
        let expected = Trashed { at: day(1), until: day(8), by: "rule".into() };
        assert_eq!((Trashed::of(&all[0]), all[0].size), (Some(expected), 5));

        store.age(&key("a"), AgeingStep::TakeOut).await.unwrap();
        assert_eq!(store.metadata(&key("a")).await.unwrap().etag, before.etag);
        assert_eq!(read(&store, "a").await.unwrap(), "bytes");
    }
    trash(&store, "a").await.unwrap();
    let purge = |due| store.age_at(AgeingStep::Purge { due });
    assert!(matches!(purge(Some(day(7))).await, Err(Error::PreconditionFailed { .. })));
    purge(Some(day(8))).await.unwrap();
    assert!(matches!(purge(None).await, Err(Error::NotFound { .. })));
    assert_eq!(disks.copies().await, 0);
}

impl Ageing {
    async fn age_at(&self, step: AgeingStep) -> Result<()> {
        self.age(&key("a"), step).await
    }
}

#[tokio::test]
async fn a_new_object_takes_the_place_of_one_in_the_trash() {
    for (body, condition) in [
        (Body::from("new"), Condition::IfAbsent),
        (Body::from("new"), Condition::None),
        (pieces(), Condition::IfAbsent),
    ] {
        let disks = Disks::new();
        let store = disks.open();
        let before = put(&store, "a", "bytes").await;
        archive(&store, "a").await.unwrap();
        trash(&store, "a").await.unwrap();
        let stamp = Stamp::at(day(3));
        let matching = StoreOptions { condition: Condition::IfMatch(before.etag), ..StoreOptions::default() };
        let refused = store.store(&key("a"), Body::from("new"), matching).await;
        assert!(matches!(refused, Err(Error::PreconditionFailed { .. })));
        let options = StoreOptions { condition, stamp, ..StoreOptions::default() };
        let written = store.store(&key("a"), body, options).await.unwrap();
        assert_eq!(written.created_at, day(3), "it is another object");
        assert_eq!((read(&store, "a").await.unwrap().as_ref(), disks.copies().await), (&b"new"[..], 0));
    }
}

fn pieces() -> Body {
    Body::stream(stream::iter([Ok(Bytes::from("ne")), Ok(Bytes::from("w"))]))
}

#[tokio::test]
async fn nobody_gets_around_a_lock() {
    let disks = Disks::new();
    put(&disks.open(), "a", "bytes").await;
    let tags = |held: bool| {
        let pairs = held.then(|| ("held".to_owned(), "yes".to_owned()));
        AttributeChanges { tags: Some(Tags::from_pairs(pairs).unwrap()), ..AttributeChanges::default() }
    };
    let store = disks.locked(day(5));
    store.update(&key("a"), tags(true), None).await.unwrap();
    for archived in [false, true] {
        if archived {
            archive(&store, "a").await.unwrap();
        }
        let judged = Box::new(store.metadata(&key("a")).await.unwrap());
        for refused in [
            store.store(&key("a"), Body::from("new"), StoreOptions::default()).await.map(drop),
            store.store(&key("a"), pieces(), StoreOptions::default()).await.map(drop),
            store.delete(&key("a"), None).await,
            store.update(&key("a"), tags(false), None).await.map(drop),
            store.age(&key("a"), AgeingStep::Delete { judged }).await,
            trash(&store, "a").await,
        ] {
            let error = refused.unwrap_err();
            assert!(matches!(&error, Error::PermissionDenied { message } if message.contains("is locked until")));
        }
        assert_eq!(read(&store, "a").await.unwrap(), "bytes");
    }
    assert!(disks.locked(day(0)).delete(&key("a"), None).await.is_ok(), "the end of a lock is not in it");
}

#[tokio::test]
async fn a_lock_that_comes_while_a_body_does_holds() {
    let disks = Disks::new();
    let store = disks.locked(day(5));
    put(&store, "a", "bytes").await;
    let locking = store.clone();
    let lock = async move {
        let tags = Tags::from_pairs([("held".to_owned(), "yes".to_owned())]).unwrap();
        let changes = AttributeChanges { tags: Some(tags), ..AttributeChanges::default() };
        locking.update(&key("a"), changes, None).await.map(|_| Bytes::from("new"))
    };
    let body = Body::stream(stream::once(lock));
    let refused = store.store(&key("a"), body, StoreOptions::default()).await.unwrap_err();
    assert!(matches!(refused, Error::PermissionDenied { .. }), "{refused}");
    assert_eq!(read(&store, "a").await.unwrap(), "bytes");
}

#[tokio::test]
async fn an_archive_that_has_another_object_there_keeps_it() {
    let disks = Disks::new();
    let store = disks.open();
    put(&store, "a", "bytes").await;
    disks.cold.store(&key("a"), Body::from("mine"), StoreOptions::default()).await.unwrap();
    assert!(matches!(archive(&store, "a").await, Err(Error::InvalidInput { .. })));
    assert_eq!(read(&store, "a").await.unwrap(), "bytes");
    assert_eq!(store.sweep_archive().await.unwrap(), 0);
    let there = disks.cold.retrieve(&key("a"), None).await.unwrap();
    assert_eq!(there.body.collect(10).await.unwrap(), "mine");
}

#[tokio::test]
async fn what_the_store_lost_stays_in_the_archive() {
    let disks = Disks::new();
    let store = disks.open();
    let first = put(&store, "a", "first").await;
    let stamp = Stamp::at(day(1));
    store.store(&key("a"), Body::from("second"), StoreOptions { stamp, ..StoreOptions::default() }).await.unwrap();
    archive(&store, "a").await.unwrap();

    // The store is lost, and is made anew; then an old backup of it is restored.
    let disks = Disks { hot: memory(), cold: disks.cold };
    let store = disks.open();
    assert_eq!(store.sweep_archive().await.unwrap(), 0);
    let stamp = Stamp { etag: first.etag, updated_at: day(0), created_at: None };
    let options = StoreOptions { stamp, ..StoreOptions::default() };
    store.store(&key("a"), Body::from("first"), options).await.unwrap();
    assert_eq!(store.sweep_archive().await.unwrap(), 0);
    let refused = archive(&store, "a").await.unwrap_err();
    assert!(refused.to_string().contains("is of a later write"), "{refused}");
    let kept = disks.cold.retrieve(&key("a"), None).await.unwrap();
    assert_eq!(kept.body.collect(10).await.unwrap(), "second");
}

#[tokio::test]
async fn marks_do_not_come_from_writers() {
    let store = Disks::new().open();
    put(&store, "a", "bytes").await;
    for name in OWN {
        let forged =
            UserMetadata::from_pairs([(name.to_owned(), "{}".to_owned()), ("other".to_owned(), "kept".to_owned())]);
        let user_metadata = forged.unwrap();
        let mut options = StoreOptions::default();
        options.attributes.user_metadata = user_metadata.clone();
        store.store(&key("b"), pieces(), options).await.unwrap();
        let changes = AttributeChanges { user_metadata: Some(user_metadata), ..AttributeChanges::default() };
        store.update(&key("a"), changes, None).await.unwrap();
        for (name, bytes) in [("a", "bytes"), ("b", "new")] {
            let object = store.retrieve(&key(name), None).await.unwrap();
            let pairs: Vec<_> = object.metadata.attributes.user_metadata.iter().collect();
            assert_eq!(pairs, [("other", "kept")]);
            assert_eq!(object.body.collect(10).await.unwrap(), bytes);
        }
    }
}

/// What a process was doing when it was killed.
#[derive(Clone, Copy, Debug)]
enum Doing {
    Archive,
    Restore,
    Trash,
    TakeOut,
    Purge,
    Overwrite,
    Delete,
    Sweep,
}

/// What every run of the policies does.
async fn recover(store: &Ageing) {
    for object in store.list_with_trash(&ListQuery::all()).await.unwrap().objects {
        if Trashed::of(&object).is_some_and(|trashed| trashed.until <= day(0)) {
            store.age(&object.key, AgeingStep::Purge { due: Some(day(0)) }).await.unwrap();
        }
    }
    store.sweep_archive().await.unwrap();
}

/// Does it with an object `a` of the bytes `old`, which is in the state from which it can be done.
async fn go(doing: Doing, store: &Ageing) -> Result<()> {
    match doing {
        Doing::Archive => archive(store, "a").await,
        Doing::Restore => store.age_at(AgeingStep::Restore { until: day(9) }).await,
        Doing::Trash => trash(store, "a").await,
        Doing::TakeOut => store.age_at(AgeingStep::TakeOut).await,
        Doing::Purge => store.age_at(AgeingStep::Purge { due: None }).await,
        Doing::Overwrite => {
            let options = StoreOptions { stamp: Stamp::at(day(3)), ..StoreOptions::default() };
            store.store(&key("a"), Body::from("new"), options).await.map(drop)
        }
        Doing::Delete => store.delete(&key("a"), None).await,
        Doing::Sweep => store.sweep_archive().await.map(drop),
    }
}

#[tokio::test]
async fn killed_at_any_step_an_object_is_in_one_place_and_nothing_is_orphaned() {
    use Doing::{Archive, Delete, Overwrite, Purge, Restore, Sweep, TakeOut, Trash};
    // What comes before, and then what is killed.
    let cases: [(&[Doing], Doing); 11] = [
        (&[], Archive),
        (&[Archive], Restore),
        (&[], Trash),
        (&[Archive], Trash),
        (&[Trash], TakeOut),
        (&[Archive, Trash], TakeOut),
        (&[Trash], Purge),
        (&[Archive, Trash], Purge),
        (&[Archive], Overwrite),
        (&[Archive], Delete),
        (&[Archive], Sweep),
    ];
    let mut kills = 0;
    for (before, doing) in cases {
        for late in [false, true] {
            for calls in 0.. {
                let disks = Disks::new();
                put(&disks.open(), "a", "old").await;
                for doing in before {
                    go(*doing, &disks.open()).await.unwrap();
                }
                let case = format!("{before:?}, then {doing:?} killed at call {calls}, late: {late}");
                let done = go(doing, &disks.open_for(calls, late)).await;
                kills += u32::from(done.is_err());

                // The next process.
                let store = disks.open();
                recover(&store).await;
                let hot = disks.hot.metadata(&key("a")).await;
                let archived = hot.as_ref().ok().and_then(Archived::of);
                assert_eq!(disks.copies().await, usize::from(archived.is_some()), "{case}: a copy is needed, or swept");
                if let Ok(hot) = &hot {
                    assert_eq!(hot.size == 0, archived.is_some(), "{case}: bytes are in one place");
                }
                match read(&store, "a").await {
                    Ok(bytes) if bytes == "new" => assert!(matches!(doing, Overwrite), "{case}"),
                    Ok(bytes) => assert_eq!(bytes, "old", "{case}"),
                    Err(Error::NotFound { .. }) => {
                        let trashed = hot.is_ok();
                        let may_be_gone = matches!(doing, Purge | Delete);
                        let may_be_trashed = matches!(doing, Trash | TakeOut | Purge);
                        assert!(if trashed { may_be_trashed } else { may_be_gone }, "{case}");
                        if trashed {
                            store.age_at(AgeingStep::TakeOut).await.unwrap();
                            assert_eq!(read(&store, "a").await.unwrap(), "old", "{case}");
                        }
                    }
                    Err(error) => panic!("{case}: {error}"),
                }
                if done.is_ok() {
                    break;
                }
            }
        }
    }
    assert!(kills > 70, "{kills}");
}
