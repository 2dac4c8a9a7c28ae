use bytes::Bytes;

use super::sample::{self, KIB, MIB, key};
use super::trial::{Store, Trial, read};
use crate::contract::Breach;
use crate::error::{Error, Result};
use crate::object::{AttributeChanges, Checksum, StorageMetadata};
use crate::provider::{ListQuery, StoreOptions};

promises! {
    /// A snapshot shows what there was, whatever is stored, overwritten, changed or deleted meanwhile, and after that.
    async fn a_snapshot_stays_as_it_was(trial) {
        let (store, snapshot) = with_snapshot(trial).await?;
        let before = all(&snapshot).await?;
        let keys = || before.iter().map(|(object, _)| object.key.as_str());
        ensure!(keys().eq(["a", "a/b", "gone", "large", "tagged"]), "the keys of the snapshot are {:?}", keys().collect::<Vec<_>>());

        store.put(&key("a")?, "anew").await?;
        store.put(&key("large")?, sample::bytes(2 * MIB, 9)).await?;
        store.put(&key("later")?, "later").await?;
        store.delete(&key("gone")?, None).await?;
        let changes = AttributeChanges { tags: Some(sample::attributes("late")?.tags), ..AttributeChanges::default() };
        store.update(&key("tagged")?, changes, None).await?;
        ensure_eq!(all(&snapshot).await?, before, "the snapshot after changes");
        snapshot.ensure_absent(&key("later")?).await?;

        drop(store);
        ensure_eq!(all(&snapshot).await?, before, "the snapshot after its provider was let go");
        Ok(())
    }

    /// Two snapshots, taken at different moments, do not disturb each other.
    async fn snapshots_are_apart_from_each_other(trial) {
        let (store, first) = with_snapshot(trial).await?;
        let before = all(&first).await?;
        let second_large = store.put(&key("large")?, sample::bytes(MIB, 7)).await?;
        let second = take(&store).await?;
        store.put(&key("large")?, "third").await?;
        ensure_eq!(second.metadata(&key("large")?).await?.etag, second_large.etag, "the etag in the second snapshot");
        let of_second = all(&second).await?;
        drop(second);
        ensure_eq!(all(&first).await?, before, "the first snapshot after the second was let go");
        let third = take(&store).await?;
        drop(first);
        ensure!(all(&third).await? != of_second, "a snapshot taken later shows what was replaced before");
        Ok(())
    }

    /// A snapshot can not be changed.
    async fn a_snapshot_can_only_be_read(trial) {
        let (store, snapshot) = with_snapshot(trial).await?;
        let before = all(&snapshot).await?;
        let stored = snapshot.store(&key("a")?, "other".into(), StoreOptions::default()).await;
        ensure_fails!(stored, "unsupported", "storing into a snapshot");
        ensure_fails!(snapshot.delete(&key("a")?, None).await, "unsupported", "deleting from a snapshot");
        let updated = snapshot.update(&key("a")?, AttributeChanges::default(), None).await;
        ensure_fails!(updated, "unsupported", "changing what a snapshot shows");
        ensure_eq!(all(&snapshot).await?, before, "the snapshot after that");
        ensure_eq!(store.get(&key("a")?).await?.1, "first", "the object in the store after that");
        Ok(())
    }
}

/// A store with objects in it, and a snapshot of them.
async fn with_snapshot(trial: &Trial<'_>) -> Result<(Store, Store), Breach> {
    let store = trial.store().await?;
    for (name, bytes) in [
        ("a", Bytes::from("first")),
        ("a/b", sample::bytes(20 * KIB, 1)),
        ("gone", sample::bytes(70 * KIB, 2)),
        ("large", sample::bytes(3 * MIB, 3)),
    ] {
        store.put(&key(name)?, bytes).await?;
    }
    store.put_with(&key("tagged")?, "tagged", sample::attributes("early")?).await?;
    let snapshot = take(&store).await?;
    Ok((store, snapshot))
}

/// A snapshot of what there is now. Not every make of provider has any: the boundary of plugins has no word for them.
async fn take(store: &Store) -> Result<Store, Breach> {
    match store.snapshot().await {
        Ok(snapshot) => Ok(store.with(snapshot)),
        Err(Error::Unsupported { .. }) => Err(Breach::NotApplicable),
        Err(error) => Err(error.into()),
    }
}

/// All objects, with the checksums of their bytes as these were read.
async fn all(store: &Store) -> Result<Vec<(StorageMetadata, Checksum)>> {
    let mut all = Vec::new();
    for listed in store.list_all(ListQuery::all()).await? {
        let (metadata, _, bytes) = read(store.retrieve(&listed.key, None).await?).await?;
        if metadata != listed {
            return Err(Error::internal(format!("{:?} is listed otherwise than it is retrieved", listed.key)));
        }
        all.push((metadata, Checksum::of(&bytes)));
    }
    Ok(all)
}
