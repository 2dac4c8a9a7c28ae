//! A clock that goes back: times are what callers say, and nothing here goes by them.

use std::time::Duration;

use super::*;
use crate::object::{Timestamp, now};
use crate::provider::Findings;
use crate::provider::Stamp;

async fn put_at(store: &FileStorageProvider, body: Vec<u8>, moment: Timestamp) -> StorageMetadata {
    let options = StoreOptions { stamp: Stamp::at(moment), ..StoreOptions::default() };
    store.store(&key("k"), body.into(), options).await.unwrap()
}

#[tokio::test]
async fn a_write_of_an_earlier_time_replaces_the_one_before() {
    let today = now();
    let yesterday = today - Duration::from_secs(24 * 60 * 60);
    for size in [10, LARGE] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).unwrap();
        put_at(&store, vec![1; size], today).await;
        let replacing = put_at(&store, vec![2; size], yesterday).await;
        assert_eq!((replacing.created_at, replacing.updated_at), (today, yesterday));
        drop(store);

        let store = open(folder.path()).unwrap();
        assert_eq!(store.metadata(&key("k")).await.unwrap(), replacing);
        assert_eq!(get(&store, "k").await.unwrap(), vec![2; size]);
        put_at(&store, vec![3; size], yesterday - Duration::from_secs(1)).await;
        drop(store);
        let store = open(folder.path()).unwrap();
        assert_eq!(get(&store, "k").await.unwrap(), vec![3; size]);
        assert_eq!(bodies(&folder).len(), usize::from(size == LARGE));
    }
}

#[tokio::test]
async fn of_two_bodies_the_later_write_comes_back_whatever_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    put_at(&store, vec![1; LARGE], now()).await;
    let [old] = bodies(&folder).try_into().unwrap();
    let kept = fs::read(&old).unwrap();
    drop(store);
    let store = open(folder.path()).unwrap();
    put_at(&store, vec![2; LARGE], now() - Duration::from_secs(24 * 60 * 60)).await;
    drop(store);
    fs::write(&old, kept).unwrap();
    fs::remove_file(folder.path().join("index.sqlite")).unwrap();
    rebuild(folder.path(), &Findings::default()).unwrap();
    assert_eq!(get(&open(folder.path()).unwrap(), "k").await.unwrap(), vec![2; LARGE]);
}
