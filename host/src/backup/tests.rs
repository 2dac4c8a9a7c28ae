mod remove;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;

use super::*;
use crate::error::Result;
use crate::object::{AttributeChanges, Attributes, Body, ByteRange, ETag, Object, StorageMetadata, StoreName, Tags};
use crate::provider::file::{Durability, FileOptions, FileStorageProvider};
use crate::provider::layers::{Encryption, EncryptionKey, Layers};
use crate::provider::memory::MemoryStorageProvider;
use crate::provider::{ListQuery, Page, StorageProvider, StoreOptions};
use crate::random::Random;

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn name() -> StoreName {
    StoreName::new("documents").unwrap()
}

fn noise(size: usize, seed: u64) -> Bytes {
    let mut random = Random::new(seed);
    (0..size).map(|_| random.next() as u8).collect()
}

fn memory() -> Arc<dyn StorageProvider> {
    Arc::new(MemoryStorageProvider::new())
}

async fn put(store: &Arc<dyn StorageProvider>, name: &str, bytes: impl Into<Bytes>) {
    let tags = Tags::from_pairs([("name".to_owned(), name.to_owned())]).unwrap();
    let options = StoreOptions { attributes: Attributes { tags, ..Attributes::default() }, ..StoreOptions::default() };
    store.store(&key(name), Body::Bytes(bytes.into()), options).await.unwrap();
}

type Content = Vec<(StorageMetadata, Bytes)>;

async fn content(store: &Arc<dyn StorageProvider>) -> Content {
    let mut content = Vec::new();
    let mut query = ListQuery::all();
    loop {
        let page = store.list(&query).await.unwrap();
        for object in &page.objects {
            let object = store.retrieve(&object.key, None).await.unwrap();
            content.push((StorageMetadata::clone(&object.metadata), object.body.collect(u64::MAX).await.unwrap()));
        }
        match page.next() {
            Some(last) => query.start_after = Some(last.as_str().to_owned()),
            None => return content,
        }
    }
}

/// A store with objects of all sizes.
async fn filled() -> Arc<dyn StorageProvider> {
    let store = memory();
    for number in 0..2500 {
        put(&store, &format!("small/{number:05}"), format!("number {number}")).await;
    }
    put(&store, "empty", "").await;
    put(&store, "large", noise(7 << 20, 1)).await;
    put(&store, "a/b", noise(300_000, 2)).await;
    put(&store, "a", "not a folder").await;
    store
}

async fn back_up(repository: &Repository, store: &Arc<dyn StorageProvider>) -> BackupRecord {
    create(repository, &name(), store, Reading::Changed, &()).await.unwrap()
}

async fn restored(repository: &Repository, record: &BackupRecord) -> Arc<dyn StorageProvider> {
    let (backup, target) = (Backup::open(repository, record).await.unwrap(), memory());
    let all = Selection::Prefix(String::new());
    let restored = restore(&backup, None, &all, &target, Existing::Keep, &()).await.unwrap();
    assert_eq!((restored.restored, restored.failed), (record.objects, 0));
    target
}

/// What was told of as failed.
#[derive(Default)]
struct Failures(Mutex<Vec<String>>);

impl Watch for Failures {
    fn failed(&self, what: Failed<'_>, error: &Error) {
        let what = match what {
            Failed::Object(key) => key.as_str(),
            Failed::Backup(_) => "the backup",
        };
        self.0.lock().push(format!("{what}: {}", error.kind()));
    }
}

#[tokio::test]
async fn what_is_restored_is_what_there_was_with_times_and_etags() {
    let (repository, store) = (Repository::new(memory()), filled().await);
    let before = content(&store).await;
    let record = back_up(&repository, &store).await;
    assert_eq!((record.objects, record.read, record.left_out, record.of_one_moment), (2504, 2504, 0, true));
    put(&store, "large", "other").await;
    assert!(content(&restored(&repository, &record).await).await == before);
    let sound = verify(&repository, &[record], &()).await.unwrap();
    assert_eq!((sound.backups, sound.objects, sound.damage), (1, 2504, 0));
}

#[tokio::test]
async fn a_later_backup_reads_what_changed_and_adds_what_is_new() {
    let (repository, store) = (Repository::new(memory()), filled().await);
    let first = back_up(&repository, &store).await;
    let same = back_up(&repository, &store).await;
    assert_eq!((same.objects, same.bytes, same.read, same.added), (first.objects, first.bytes, 0, 0));

    let mut large = noise(7 << 20, 1).to_vec();
    large.splice(3 << 20..3 << 20, *b"in the middle");
    put(&store, "large", large).await;
    put(&store, "copy of a", "not a folder").await;
    store.delete(&key("small/01000"), None).await.unwrap();
    let tags = Some(Tags::from_pairs([("late".to_owned(), "yes".to_owned())]).unwrap());
    let changes = AttributeChanges { tags, ..AttributeChanges::default() };
    store.update(&key("a/b"), changes, None).await.unwrap();
    let third = back_up(&repository, &store).await;
    assert_eq!((third.objects, third.read), (first.objects, 2));
    assert!(third.added < 5 << 20, "{} bytes for a change in the middle of 7 MiB", third.added);
    assert!(content(&restored(&repository, &third).await).await == content(&store).await);

    let names: Vec<_> = repository.backups().await.unwrap().into_iter().map(|backup| backup.id).collect();
    assert_eq!(names, [&*first.id, &same.id, &third.id]);
    assert_eq!(repository.find("latest").await.unwrap(), third);
    assert_eq!(repository.find(&first.id.to_lowercase()).await.unwrap(), first);
    assert!(repository.find("0").await.is_err() && repository.find("Z").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_shows_one_moment_whatever_is_written_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let options = FileOptions { durability: Durability::None };
    let store: Arc<dyn StorageProvider> = Arc::new(FileStorageProvider::open(folder.path(), &options).unwrap());
    for number in 0..100 {
        put(&store, &format!("between/{number}"), noise(20_000, number)).await;
    }
    // The second key is written behind the first, and is listed before it.
    let write = |store: Arc<dyn StorageProvider>, number: u64| async move {
        put(&store, "z-first", number.to_string()).await;
        put(&store, "a-second", noise(20_000, number)).await;
    };
    write(Arc::clone(&store), 0).await;
    let written = Arc::new(AtomicU64::new(0));
    let writing = tokio::spawn({
        let (store, written) = (Arc::clone(&store), Arc::clone(&written));
        async move {
            for number in 1.. {
                write(Arc::clone(&store), number).await;
                written.store(number, Ordering::Relaxed);
            }
        }
    });
    let repository = Repository::new(memory());
    let (mut records, mut moments) = (Vec::new(), Vec::new());
    while records.len() < 5 || written.load(Ordering::Relaxed) < 50 {
        moments.push(written.load(Ordering::Relaxed));
        records.push(back_up(&repository, &store).await);
    }
    writing.abort();
    for (record, at_least) in records.iter().zip(moments) {
        assert!(record.of_one_moment);
        let backup = Backup::open(&repository, record).await.unwrap();
        let read =
            async |name: &str| backup.retrieve(&key(name), None).await.unwrap().body.collect(u64::MAX).await.unwrap();
        let first: u64 = std::str::from_utf8(&read("z-first").await).unwrap().parse().unwrap();
        let second = read("a-second").await;
        assert!(first >= at_least, "{first} was replaced by {at_least} before the backup");
        assert!(second == noise(20_000, first) || second == noise(20_000, first - 1), "torn at {first}");
    }
}

#[tokio::test]
async fn what_is_encrypted_in_the_store_is_so_in_the_backup() {
    let secret = |digits: &str| EncryptionKey::parse(&digits.repeat(32)).unwrap();
    let with = |key: &EncryptionKey| Some(Encryption { key: key.clone(), old_keys: Vec::new() });
    let (one, other) = (secret("01"), secret("02"));
    let bare = memory();
    let layers = Layers { compression: Some(3), encryption: with(&one), max_size: None };
    let store = layers.around(Arc::clone(&bare));
    for (name, text) in [("small", "the secret text"), ("long", &"the secret text ".repeat(20_000))] {
        put(&store, name, text.to_owned()).await;
    }
    let home = memory();
    let repository = Repository::new(Arc::clone(&home));
    let record = back_up(&repository, &store).await;
    for (object, bytes) in content(&home).await {
        assert!(!bytes.windows(11).any(|window| window == b"secret text"), "{}", object.key);
    }
    let backup = Backup::open(&repository, &record).await.unwrap();
    let all = Selection::Prefix(String::new());
    let plain = memory();
    let restored = restore(&backup, with(&one), &all, &plain, Existing::Keep, &()).await.unwrap();
    assert_eq!((restored.restored, restored.failed), (2, 0));
    assert!(content(&plain).await == content(&store).await);

    for keys in [None, with(&other)] {
        let (failures, target) = (Failures::default(), memory());
        let restored = restore(&backup, keys, &all, &target, Existing::Keep, &failures).await.unwrap();
        assert_eq!((restored.restored, restored.failed), (0, 2));
        assert_eq!(*failures.0.lock(), ["long: permission-denied", "small: permission-denied"]);
        assert!(content(&target).await.is_empty());
    }
}

#[tokio::test]
async fn what_was_encrypted_anew_is_backed_up_anew() {
    let [one, other] = ["01", "02"].map(|digits| EncryptionKey::parse(&digits.repeat(32)).unwrap());
    let (bare, repository) = (memory(), Repository::new(memory()));
    let before = Encryption { key: one.clone(), old_keys: Vec::new() };
    let after = Encryption { key: other, old_keys: vec![one] };
    let layers = |encryption: &Encryption| Layers { encryption: Some(encryption.clone()), ..Layers::default() };
    put(&layers(&before).around(Arc::clone(&bare)), "a", "text").await;
    back_up(&repository, &bare).await;
    crate::provider::layers::rekey(&bare, after.clone(), |_| {}).await.unwrap();
    let record = back_up(&repository, &bare).await;
    assert_eq!(record.read, 1);
    let backup = Backup::open(&repository, &record).await.unwrap();
    let new_alone = Encryption { old_keys: Vec::new(), ..after };
    let all = Selection::Prefix(String::new());
    let restored = restore(&backup, Some(new_alone), &all, &memory(), Existing::Keep, &()).await.unwrap();
    assert_eq!((restored.restored, restored.failed), (1, 0));
}

#[tokio::test]
async fn objects_that_are_there_otherwise_stay_unless_it_is_said() {
    let (repository, store) = (Repository::new(memory()), memory());
    for name in ["a", "a/1", "b"] {
        put(&store, name, format!("first {name}")).await;
    }
    let record = back_up(&repository, &store).await;
    let backup = Backup::open(&repository, &record).await.unwrap();
    let before = content(&store).await;
    put(&store, "a", "second a").await;
    store.delete(&key("a/1"), None).await.unwrap();

    let (failures, all) = (Failures::default(), Selection::Prefix(String::new()));
    let restored = restore(&backup, None, &all, &store, Existing::Keep, &failures).await.unwrap();
    assert_eq!((restored.restored, restored.present, restored.failed), (1, 1, 1));
    assert_eq!(*failures.0.lock(), ["a: precondition-failed"]);
    let one = Selection::Key(key("a"));
    let restored = restore(&backup, None, &one, &store, Existing::Replace, &()).await.unwrap();
    assert_eq!((restored.restored, restored.present), (1, 0));
    assert!(content(&store).await == before);
    let missing = Selection::Key(key("none"));
    let missing = restore(&backup, None, &missing, &store, Existing::Keep, &()).await;
    assert!(matches!(missing, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn damage_is_found_told_and_mended() {
    let (home, store) = (memory(), filled().await);
    let repository = Repository::new(Arc::clone(&home));
    let record = back_up(&repository, &store).await;
    let largest = home.list(&ListQuery::with_prefix("larder-backups/blobs/")).await.unwrap().objects;
    let largest = largest.into_iter().max_by_key(|object| object.size).unwrap();
    // The repository\u{2019}s store says that these are the bytes.
    home.store(&largest.key, "other".into(), StoreOptions::default()).await.unwrap();
    let failures = Failures::default();
    let found = verify(&repository, std::slice::from_ref(&record), &failures).await.unwrap();
    assert_eq!((found.objects, found.damage), (2504, 1));
    assert_eq!(*failures.0.lock(), ["large: corrupt"]);

    // A backup that trusts the last one does not notice; one that reads all does.
    back_up(&repository, &store).await;
    let all = create(&repository, &name(), &store, Reading::All, &()).await.unwrap();
    assert_eq!((all.read, all.added), (2504, largest.size));
    assert_eq!(verify(&repository, &[record.clone(), all], &()).await.unwrap().damage, 0);

    for (blob, damaged) in [(&largest.key, "large: corrupt"), (&pages_of(&record), "the backup: corrupt")] {
        home.delete(blob, None).await.unwrap();
        let failures = Failures::default();
        assert!(verify(&repository, std::slice::from_ref(&record), &failures).await.unwrap().damage > 0);
        assert_eq!(*failures.0.lock(), [damaged]);
    }
    assert!(matches!(Backup::open(&repository, &record).await, Err(Error::Corrupt { .. })));
    // What can not be read of the last backup is read from the store.
    assert_eq!(back_up(&repository, &store).await.objects, 2504);
}

#[tokio::test]
async fn a_damaged_list_does_not_take_later_backups_along() {
    let (home, store) = (memory(), filled().await);
    let repository = Repository::new(Arc::clone(&home));
    let record = back_up(&repository, &store).await;
    home.store(&pages_of(&record), "other".into(), StoreOptions::default()).await.unwrap();
    assert_eq!(verify(&repository, std::slice::from_ref(&record), &()).await.unwrap().damage, 1);
    let next = back_up(&repository, &store).await;
    assert_eq!(verify(&repository, &[record, next], &()).await.unwrap().damage, 0);
}

fn pages_of(record: &BackupRecord) -> Key {
    key(&format!("larder-backups/blobs/{}", record.pages.hex()))
}

#[tokio::test]
async fn damaged_objects_are_left_out_and_the_others_are_backed_up() {
    let folder = tempfile::tempdir().unwrap();
    let open = || FileStorageProvider::open(folder.path(), &FileOptions::default()).unwrap();
    let store: Arc<dyn StorageProvider> = Arc::new(open());
    put(&store, "a", noise(100_000, 1)).await;
    put(&store, "b", "sound").await;
    let body = walkdir::WalkDir::new(folder.path().join("bodies")).into_iter().flatten();
    let body = body.into_iter().find(|entry| entry.file_type().is_file()).unwrap();
    let mut bytes = std::fs::read(body.path()).unwrap();
    bytes[50_000] ^= 1;
    std::fs::write(body.path(), bytes).unwrap();
    let (repository, failures) = (Repository::new(memory()), Failures::default());
    let record = create(&repository, &name(), &store, Reading::Changed, &failures).await.unwrap();
    assert_eq!((record.objects, record.left_out), (1, 1));
    assert_eq!(*failures.0.lock(), ["a: corrupt"]);
}

#[tokio::test]
async fn backups_of_a_newer_version_are_refused() {
    let home = memory();
    let repository = Repository::new(Arc::clone(&home));
    let newer = r#"{"format": 2, "id": "X", "what": "is new"}"#;
    let record = key("larder-backups/records/01ARZ3NDEKTSV4RRFFQ69G5FAV");
    home.store(&record, newer.into(), StoreOptions::default()).await.unwrap();
    assert!(matches!(repository.backups().await, Err(Error::Unsupported { .. })));
    home.store(&record, "nonsense".into(), StoreOptions::default()).await.unwrap();
    assert!(matches!(repository.backups().await, Err(Error::Corrupt { .. })));
}

#[tokio::test]
async fn a_backup_lists_as_its_store_does() {
    let (repository, store) = (Repository::new(memory()), filled().await);
    let record = back_up(&repository, &store).await;
    let backup = Backup::open(&repository, &record).await.unwrap();
    let mut random = Random::new(5);
    let keys: Vec<Key> = content(&store).await.into_iter().map(|(object, _)| object.key).collect();
    for _ in 0..300 {
        let some = |random: &mut Random| keys[random.below(keys.len())].as_str().to_owned();
        let mut prefix = some(&mut random);
        prefix.truncate(random.below(prefix.len() + 1));
        let start_after = (random.below(2) == 0).then(|| some(&mut random));
        let query = ListQuery { prefix, start_after, limit: 1 + random.below(1000) };
        let (wanted, found) = (store.list(&query).await.unwrap(), backup.list(&query).await.unwrap());
        assert_eq!((found.objects, found.more), (wanted.objects, wanted.more), "{query:?}");
    }
    let range = ByteRange::between(3_000_000, 6_500_000).unwrap();
    let part = backup.retrieve(&key("large"), Some(range)).await.unwrap();
    assert_eq!(part.body.collect(u64::MAX).await.unwrap(), noise(7 << 20, 1).slice(3_000_000..6_500_000));
    assert!(matches!(backup.retrieve(&key("A"), None).await, Err(Error::NotFound { .. })));
    assert!(matches!(backup.metadata(&key("zzz")).await, Err(Error::NotFound { .. })));
}

/// Shows nothing as of one moment, and deletes an object once it was listed.
#[derive(Debug)]
struct Plain(MemoryStorageProvider);

#[async_trait]
impl StorageProvider for Plain {
    async fn store(&self, key: &Key, body: Body, options: StoreOptions) -> Result<StorageMetadata> {
        self.0.store(key, body, options).await
    }

    async fn retrieve(&self, key: &Key, range: Option<ByteRange>) -> Result<Object> {
        StorageProvider::retrieve(&self.0, key, range).await
    }

    async fn delete(&self, key: &Key, if_match: Option<&ETag>) -> Result<()> {
        self.0.delete(key, if_match).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        let page = StorageProvider::list(&self.0, query).await?;
        // It may be gone already.
        let _ = self.0.delete(&key("passing"), None).await;
        Ok(page)
    }

    async fn metadata(&self, key: &Key) -> Result<StorageMetadata> {
        StorageProvider::metadata(&self.0, key).await
    }

    async fn update(&self, key: &Key, changes: AttributeChanges, if_match: Option<&ETag>) -> Result<StorageMetadata> {
        self.0.update(key, changes, if_match).await
    }
}

#[tokio::test]
async fn what_can_not_be_shown_as_of_one_moment_is_backed_up_object_by_object() {
    let store: Arc<dyn StorageProvider> = Arc::new(Plain(MemoryStorageProvider::new()));
    for name in ["a", "passing", "z"] {
        put(&store, name, format!("the bytes of {name}")).await;
    }
    let repository = Repository::new(memory());
    let record = back_up(&repository, &store).await;
    assert_eq!((record.of_one_moment, record.objects, record.left_out), (false, 2, 0));
    assert!(content(&restored(&repository, &record).await).await == content(&store).await);
}
