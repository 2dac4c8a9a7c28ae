mod check;
mod clock;
mod due;
mod durability;
mod rebuild;
mod snapshot;

use std::fs;
use std::path::PathBuf;

use futures::StreamExt;
use tempfile::TempDir;

use super::*;
use crate::contract::provider::Subject;

const LARGE: usize = 300 * 1024;

struct Files(TempDir, Durability);

#[async_trait]
impl Subject for Files {
    async fn open(&self, home: &str) -> Result<Arc<dyn StorageProvider>> {
        Ok(Arc::new(FileStorageProvider::open(&self.0.path().join(home), &FileOptions { durability: self.1 })?))
    }

    fn is_persistent(&self) -> bool {
        true
    }
}

fn open(path: &Path) -> Result<FileStorageProvider> {
    FileStorageProvider::open(path, &FileOptions::default())
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

async fn put(store: &FileStorageProvider, name: &str, body: impl Into<Body>) -> Result<StorageMetadata> {
    store.store(&key(name), body.into(), StoreOptions::default()).await
}

async fn get(store: &FileStorageProvider, name: &str) -> Result<Bytes> {
    store.retrieve(&key(name), None).await?.body.collect(u64::MAX).await
}

/// All files of bodies.
fn bodies(folder: &TempDir) -> Vec<PathBuf> {
    let layout = Layout::existing(folder.path());
    let folders = layout.bodies_by_folder().unwrap();
    folders.flat_map(|folder| folder.unwrap().generations).map(|generation| layout.body(generation)).collect()
}

/// Changes what is in a file.
fn damage(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

fn is_corrupt<T>(result: Result<T>) -> bool {
    matches!(result, Err(Error::Corrupt { .. }))
}

#[tokio::test]
async fn a_flipped_bit_anywhere_in_a_body_file_is_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    put(&store, "k", vec![7; LARGE]).await.unwrap();
    let [path] = bodies(&folder).try_into().unwrap();
    let length = fs::metadata(&path).unwrap().len() as usize;
    // The last two: in the head and in each part of the trailer, the reserved byte apart from the others.
    let positions = [0, 1, 65_535, 65_536, LARGE - 1, LARGE, LARGE + 39, LARGE + 41];
    for position in positions.into_iter().chain(length - 34..length) {
        damage(&path, |bytes| bytes[position] ^= 0x10);
        let result = get(&store, "k").await;
        assert!(matches!(result, Err(Error::Corrupt { .. })), "position {position} of {length}: {result:?}");
        damage(&path, |bytes| bytes[position] ^= 0x10);
    }
    assert_eq!(get(&store, "k").await.unwrap(), vec![7; LARGE]);
}

#[tokio::test]
async fn a_flipped_bit_is_corrupt_in_the_range_that_holds_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    put(&store, "k", vec![7; LARGE]).await.unwrap();
    damage(&bodies(&folder)[0], |bytes| bytes[70_000] ^= 1);
    let read = async |start, end| {
        let object = store.retrieve(&key("k"), Some(ByteRange::between(start, end).unwrap())).await?;
        object.body.collect(u64::MAX).await
    };
    assert!(is_corrupt(read(65_536, 65_537).await), "the same block");
    assert!(is_corrupt(read(0, 70_001).await));
    assert_eq!(read(0, 65_536).await.unwrap().len(), 65_536);
    assert_eq!(read(131_072, 200_000).await.unwrap().len(), 68_928);
}

#[tokio::test]
async fn a_flipped_bit_ends_a_stream_with_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    put(&store, "k", vec![7; 3 << 20]).await.unwrap();
    damage(&bodies(&folder)[0], |bytes| bytes[2 << 20] ^= 1);
    let pieces: Vec<_> = store.retrieve(&key("k"), None).await.unwrap().body.into_stream().collect().await;
    let (last, sound) = pieces.split_last().unwrap();
    assert!(matches!(last, Err(Error::Corrupt { .. })));
    assert_eq!(sound.iter().map(|piece| piece.as_ref().unwrap().len()).sum::<usize>(), 2 << 20);
}

#[tokio::test]
async fn a_truncated_swapped_or_lost_body_file_is_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    put(&store, "k", vec![7; LARGE]).await.unwrap();
    put(&store, "other", vec![7; LARGE]).await.unwrap();
    let mut paths = bodies(&folder);
    paths.sort();
    for cut in [1, 33, 1_000, LARGE] {
        let whole = fs::read(&paths[0]).unwrap();
        damage(&paths[0], |bytes| bytes.truncate(bytes.len() - cut));
        assert!(is_corrupt(get(&store, "k").await), "{cut}");
        fs::write(&paths[0], whole).unwrap();
    }
    fs::copy(&paths[1], &paths[0]).unwrap();
    assert!(is_corrupt(get(&store, "k").await));
    fs::remove_file(&paths[0]).unwrap();
    assert!(is_corrupt(get(&store, "k").await));
    put(&store, "k", vec![8; LARGE]).await.unwrap();
    assert_eq!(get(&store, "k").await.unwrap(), vec![8; LARGE]);
    assert_eq!(get(&store, "other").await.unwrap(), vec![7; LARGE]);
}

#[tokio::test]
async fn a_flipped_bit_in_the_index_is_corrupt() {
    for change in [
        "UPDATE inlined SET value = CAST(x'00' || substr(value, 2) AS BLOB)",
        "UPDATE inlined SET value = substr(value, 2)",
        "DELETE FROM inlined",
        "UPDATE objects SET etag = etag || '0'",
        "UPDATE objects SET updated_at = updated_at + 1",
        "UPDATE objects SET checksum = checksum + 1",
        "UPDATE objects SET generation = generation + 1",
        "UPDATE objects SET key = x'6C'",
        "UPDATE objects SET attributes = '{}'",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).unwrap();
        put(&store, "k", "a small value").await.unwrap();
        let layout = Layout::existing(folder.path());
        Connection::open(layout.index()).unwrap().execute(change, []).unwrap();
        let name = if change.contains("key") { "l" } else { "k" };
        assert!(is_corrupt(get(&store, name).await), "{change}");
        if change.contains("objects") {
            assert!(is_corrupt(store.list(&ListQuery::all()).await), "{change}");
            assert!(is_corrupt(store.metadata(&key(name)).await), "{change}");
        }
    }
}

#[tokio::test]
async fn orphans_are_removed_at_opening_and_objects_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    put(&store, "k", vec![7; LARGE]).await.unwrap();
    let [path] = bodies(&folder).try_into().unwrap();
    drop(store);
    let orphan = path.with_file_name("0000000000000fff");
    let far = folder.path().join("bodies/000001/000/0000000001000000");
    let temporary = folder.path().join("tmp/0000000000000abc");
    fs::create_dir_all(far.parent().unwrap()).unwrap();
    for left in [&orphan, &far, &temporary] {
        fs::copy(&path, left).unwrap();
    }
    let store = open(folder.path()).unwrap();
    assert!(!orphan.exists() && !far.exists() && !temporary.exists() && path.exists());
    assert_eq!(get(&store, "k").await.unwrap(), vec![7; LARGE]);
}

#[tokio::test]
async fn replaced_and_deleted_bodies_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    for name in ["a", "b", "c"] {
        put(&store, name, vec![1; LARGE]).await.unwrap();
    }
    put(&store, "a", vec![2; LARGE]).await.unwrap();
    put(&store, "b", "small").await.unwrap();
    store.delete(&key("c"), None).await.unwrap();
    let failing = Body::stream(futures::stream::iter([Ok(vec![0; LARGE].into()), Err(Error::internal("cut off"))]));
    assert!(put(&store, "a", failing).await.is_err());
    drop(store);
    assert_eq!(bodies(&folder).len(), 1);
    assert_eq!(fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_second_opener_is_refused_and_told_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let error = open(folder.path()).unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    assert!(error.to_string().contains(folder.path().to_str().unwrap()), "{error}");
    drop(store);
    open(folder.path()).unwrap();
}

#[test]
fn a_folder_below_a_file_is_refused_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    for path in [file.join("below"), file] {
        let error = open(&path).unwrap_err();
        assert!(matches!(error, Error::InvalidInput { .. }), "{error:?}");
        assert!(error.to_string().contains("choose another folder"), "{error}");
    }
}

#[tokio::test]
async fn a_lost_index_is_never_taken_for_an_empty_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    put(&store, "k", vec![7; LARGE]).await.unwrap();
    drop(store);
    let index = folder.path().join("index.sqlite");
    let away = folder.path().join("away");
    fs::rename(&index, &away).unwrap();
    for _ in 0..2 {
        assert!(is_corrupt(open(folder.path())));
    }
    fs::rename(&away, &index).unwrap();
    let store = open(folder.path()).unwrap();
    assert_eq!(get(&store, "k").await.unwrap(), vec![7; LARGE]);
}

#[test]
fn the_index_of_a_newer_larder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    let index = folder.path().join("index.sqlite");
    Connection::open(&index).unwrap().execute_batch("PRAGMA user_version = 2").unwrap();
    let error = open(folder.path()).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
    assert!(error.to_string().contains("version 2"), "{error}");
}

/// A small file system of its own, or `None` where there is no permission to make one.
fn small_disk(folder: &TempDir) -> Option<Mounted> {
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"])
        .arg(folder.path())
        .status()
        .is_ok_and(|status| status.success());
    mounted.then(|| Mounted(folder.path().to_owned()))
}

struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_exhausted_and_leaves_the_old_object() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_disk) = small_disk(&folder) else {
        eprintln!("SKIPPED: there is no permission to mount a tmpfs, so that no disk can be filled here");
        return;
    };
    fs::write(folder.path().join("reserve"), vec![0; 1 << 20]).unwrap();
    let store = open(&folder.path().join("store")).unwrap();
    put(&store, "large", vec![1; LARGE]).await.unwrap();
    put(&store, "small", "old").await.unwrap();
    for (name, size) in [("large", 16 << 20), ("new", 16 << 20)] {
        let error = put(&store, name, vec![2; size]).await.unwrap_err();
        assert!(matches!(error, Error::Exhausted { .. }), "{error:?}");
        assert!(error.to_string().contains("free some space"), "{error}");
    }
    // What was refused is removed by a thread of the store's own, which has done so once the store is closed.
    drop(store);
    let store = open(&folder.path().join("store")).unwrap();
    // The log of the index finds no room either.
    fs::write(folder.path().join("filler"), vec![0; 16 << 20]).unwrap_err();
    let mut refused = None;
    for number in 0..1_000 {
        if let Err(error) = put(&store, &format!("filling {number}"), vec![3; 10_000]).await {
            refused = Some(error);
            break;
        }
    }
    assert!(matches!(refused, Some(Error::Exhausted { .. })), "{refused:?}");
    assert!(put(&store, "small", vec![4; 10_000]).await.is_err());
    assert_eq!(get(&store, "small").await.unwrap(), "old");
    assert_eq!(get(&store, "large").await.unwrap(), vec![1; LARGE]);

    fs::remove_file(folder.path().join("reserve")).unwrap();
    put(&store, "small", "new").await.unwrap();
    assert_eq!(get(&store, "small").await.unwrap(), "new");
}
