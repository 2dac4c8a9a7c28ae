use futures::future;

use super::sample::{self, KIB, MIB, key};
use super::trial::{begin, ensure_same_bytes, read};
use crate::contract::Breach;
use crate::error::{Error, Result};
use crate::object::{Checksum, Key, StorageMetadata};
use crate::provider::{ListQuery, StoreOptions};

/// The bytes that go with an etag: a reader can so tell whether it was given bytes and metadata of the same write.
fn bytes_of(metadata_seed: u64, size: usize) -> bytes::Bytes {
    sample::bytes(size, metadata_seed)
}

/// Waits for all tasks, and passes on the first failure.
async fn all<T>(tasks: impl IntoIterator<Item = tokio::task::JoinHandle<Result<T>>>) -> Result<Vec<T>> {
    let mut results = Vec::new();
    for result in future::join_all(tasks).await {
        results.push(result.map_err(|panic| Error::internal(panic.to_string()))??);
    }
    Ok(results)
}

promises! {
    /// Writers of different keys do not hinder each other.
    async fn writers_of_different_keys_all_succeed(trial) {
        let store = trial.store().await?;
        let writers = (0..32u64).map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let bytes = bytes_of(number, if number % 4 == 0 { 50 * KIB } else { 100 });
                Ok((store.put(&key(&format!("k{number:02}"))?, bytes.clone()).await?, bytes))
            })
        });
        let stored = all(writers).await?;
        ensure_eq!(store.keys(ListQuery::all()).await?.len(), 32, "the number of keys");
        for (metadata, bytes) in stored {
            store.ensure_is(&metadata, &bytes).await?;
        }
        Ok(())
    }

    /// Of concurrent writers of a key one is last, and it is there whole.
    async fn of_concurrent_writers_one_is_last(trial) {
        let store = trial.store().await?;
        let writers = (0..16u64).map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let bytes = bytes_of(number, if number % 2 == 0 { 40 * KIB } else { 300 });
                Ok((store.put(&key("k")?, bytes.clone()).await?, bytes))
            })
        });
        let stored = all(writers).await?;
        let found = store.metadata(&key("k")?).await?;
        let last = stored.iter().find(|(metadata, _)| metadata.etag == found.etag);
        let Some((metadata, bytes)) = last else {
            return Err(Breach::Broken("the object is of no write that was acknowledged".into()));
        };
        // Its creation is that of the first writer, which the last one's answer tells as well.
        store.ensure_is(metadata, bytes).await
    }

    /// Whoever reads while an object is overwritten gets one version whole: bytes and metadata of the same write.
    async fn readers_see_one_version_whole(trial) {
        let store = trial.store().await?;
        let sizes = [100, 40 * KIB, 5_000, 300 * KIB];
        store.put(&key("k")?, bytes_of(0, sizes[0])).await?;
        let writer = {
            let store = store.clone();
            tokio::spawn(async move {
                for (round, size) in sizes.into_iter().cycle().take(24).enumerate() {
                    let bytes = bytes_of(round as u64, size);
                    let body = if round % 2 == 0 { bytes.into() } else { sample::in_pieces(&bytes, 7_000) };
                    store.store(&key("k")?, body, StoreOptions::default()).await?;
                }
                Ok(())
            })
        };
        let readers = (0..4).map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..40 {
                    let (metadata, _, bytes) = read(store.retrieve(&key("k")?, None).await?).await?;
                    if (Checksum::of(&bytes), bytes.len() as u64) != (metadata.checksum, metadata.size) {
                        return Err(Error::internal("bytes came with the metadata of another write"));
                    }
                }
                Ok(())
            })
        });
        all(readers.chain([writer])).await?;
        Ok(())
    }

    /// Whoever began to read an object reads it to its end, though it is overwritten meanwhile, or hears of it.
    async fn a_reader_keeps_its_version_over_an_overwrite(trial) {
        let store = trial.store().await?;
        let old = sample::bytes(4 * MIB, 1);
        store.put(&key("k")?, old.clone()).await?;
        let (metadata, first, rest) = begin(store.retrieve(&key("k")?, None).await?).await?;
        let new = sample::bytes(4 * MIB, 2);
        let stored = store.put(&key("k")?, new.clone()).await?;
        reads_on(&metadata, first, rest, &old).await?;
        store.ensure_is(&stored, &new).await
    }

    /// Whoever began to read an object reads it to its end, though it is deleted meanwhile, or hears of it.
    async fn a_reader_keeps_its_version_over_a_deletion(trial) {
        let store = trial.store().await?;
        let old = sample::bytes(4 * MIB, 1);
        store.put(&key("k")?, old.clone()).await?;
        let (metadata, first, rest) = begin(store.retrieve(&key("k")?, None).await?).await?;
        store.delete(&key("k")?, None).await?;
        reads_on(&metadata, first, rest, &old).await?;
        store.ensure_absent(&key("k")?).await
    }

    /// A listing while objects come and go is in order, and has what is there all the while.
    async fn listings_hold_while_objects_come_and_go(trial) {
        let store = trial.store().await?;
        let steady: Vec<String> = (0..10).map(|number| format!("steady/{number}")).collect();
        for text in &steady {
            store.put(&key(text)?, "x").await?;
        }
        let churn = {
            let store = store.clone();
            tokio::spawn(async move {
                for round in 0..20 {
                    let name = key(&format!("steady/{}-{round}", round % 10))?;
                    store.put(&name, "x").await?;
                    store.put(&key("steady/5")?, "rewritten").await?;
                    store.delete(&name, None).await?;
                }
                Ok(Vec::new())
            })
        };
        let lister = {
            let store = store.clone();
            tokio::spawn(async move {
                let mut listings = Vec::new();
                for _ in 0..20 {
                    listings.push(store.keys(ListQuery { limit: 4, ..ListQuery::all() }).await?);
                }
                Ok(listings)
            })
        };
        for mut listing in all([churn, lister]).await?.into_iter().flatten() {
            ensure!(listing.is_sorted_by(|one, other| one < other), "the listing is not in order: {listing:?}");
            listing.retain(|text| steady.contains(text));
            ensure_eq!(listing, steady, "what was there all the while");
        }
        Ok(())
    }
}

/// Reads on where a reader stopped: what comes are the bytes of its own version, or a failure that says so.
async fn reads_on(
    metadata: &StorageMetadata,
    first: bytes::Bytes,
    rest: crate::object::Body,
    wanted: &[u8],
) -> Result<(), Breach> {
    let key: &Key = &metadata.key;
    ensure!(!first.is_empty() && wanted.starts_with(&first), "the first piece is not of the version asked for");
    match rest.collect(u64::MAX).await {
        Ok(rest) => ensure_same_bytes(&rest, &wanted[first.len()..], key),
        Err(Error::NotFound { .. } | Error::PreconditionFailed { .. } | Error::Unavailable { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
