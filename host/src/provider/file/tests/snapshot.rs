use std::time::{Duration, Instant};

use super::*;
use crate::random::Random;

/// Bytes that lie in a file of their own.
fn noise(seed: u64) -> Bytes {
    let mut random = Random::new(seed);
    (0..30_000).map(|_| random.next() as u8).collect()
}

async fn read(snapshot: &dyn StorageProvider, name: &str) -> Bytes {
    snapshot.retrieve(&key(name), None).await.unwrap().body.collect(u64::MAX).await.unwrap()
}

async fn wait_for_bodies(folder: &TempDir, count: usize) {
    let begun = Instant::now();
    while bodies(folder).len() != count {
        assert!(begun.elapsed() < Duration::from_secs(60), "there are {} bodies", bodies(folder).len());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_files_of_what_a_snapshot_shows_go_when_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    put(&store, "a", noise(1)).await.unwrap();
    let first = store.snapshot().await.unwrap();
    put(&store, "a", noise(2)).await.unwrap();
    let second = store.snapshot().await.unwrap();
    store.delete(&key("a"), None).await.unwrap();
    assert_eq!((read(&*first, "a").await, read(&*second, "a").await), (noise(1), noise(2)));
    assert_eq!(bodies(&folder).len(), 2);

    drop(first);
    wait_for_bodies(&folder, 1).await;
    assert_eq!(read(&*second, "a").await, noise(2));
    drop(second);
    wait_for_bodies(&folder, 0).await;
}

#[tokio::test]
async fn a_snapshot_outlives_its_provider_and_keeps_others_out() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    put(&store, "a", noise(1)).await.unwrap();
    let snapshot = store.snapshot().await.unwrap();
    put(&store, "a", noise(2)).await.unwrap();
    drop(store);
    assert!(matches!(open(folder.path()), Err(Error::Unavailable { .. })));
    assert_eq!(read(&*snapshot, "a").await, noise(1));
    drop(snapshot);
    let store = open(folder.path()).unwrap();
    assert_eq!((get(&store, "a").await.unwrap(), bodies(&folder).len()), (noise(2), 1));
}
