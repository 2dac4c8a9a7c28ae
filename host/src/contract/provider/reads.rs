use std::time::Duration;

use futures::future;

use super::sample::{self, KIB, MIB, key};
use super::trial::{begin, ensure_same_bytes};
use crate::contract::Breach;
use crate::error::{Error, Result};
use crate::object::{Body, ByteRange};
use crate::provider::ListQuery;

/// How long others may take beside one who does not go on: more than any of it takes, and less than the promise has.
pub(super) const BESIDE: Duration = Duration::from_secs(20);

/// Breaks the promise unless the calls come to their end beside whoever stands still.
pub(super) async fn meanwhile<T>(
    calls: impl Future<Output = Result<T, Breach>> + Send,
    who: &str,
) -> Result<T, Breach> {
    let late = |_| Breach::Broken(format!("calls beside {who} did not end within {} s", BESIDE.as_secs()));
    tokio::time::timeout(BESIDE, calls).await.map_err(late)?
}

promises! {
    /// What is not there is named in the error.
    async fn not_found_names_the_key(trial) {
        let store = trial.store().await?;
        for text in ["never", "a//..\u{e9}"] {
            let name = key(text)?;
            let answers = [
                store.retrieve(&name, None).await.map(drop),
                store.metadata(&name).await.map(drop),
                store.delete(&name, None).await,
            ];
            for answer in answers {
                match answer {
                    Err(Error::NotFound { key }) => ensure_eq!(key, name, "the key that was not found"),
                    answer => ensure_fails!(answer, "not-found", "asking for what is not there"),
                }
            }
        }
        Ok(())
    }

    /// Reading leaves everything as it is.
    async fn reading_changes_nothing(trial) {
        let store = trial.store().await?;
        let bytes = sample::bytes(150 * KIB, 1);
        let stored = store.put_with(&key("k")?, bytes.clone(), sample::attributes("kept")?).await?;
        let (listing, usage) = (store.list_all(ListQuery::all()).await?, store.usage().await?);
        for _ in 0..5 {
            store.ensure_is(&stored, &bytes).await?;
            store.get_range(&key("k")?, ByteRange::starting_at(7)).await?;
        }
        ensure_eq!(store.list_all(ListQuery::all()).await?, listing, "the listing");
        ensure_eq!(store.usage().await?, usage, "the usage");
        Ok(())
    }

    /// Many who read an object at once each get all of it.
    async fn many_readers_each_get_all(trial) {
        let store = trial.store().await?;
        for (name, size) in [("small", 3_000), ("large", MIB + 70_000)] {
            let bytes = sample::bytes(size, 1);
            store.put(&key(name)?, bytes.clone()).await?;
            let readers = (0..12).map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.get(&key(name)?).await })
            });
            for read in future::join_all(readers).await {
                let (_, found) = read.map_err(|panic| Error::internal(panic.to_string()))??;
                ensure_same_bytes(&found, &bytes, &key(name)?)?;
            }
        }
        Ok(())
    }

    /// Whoever goes away in the middle of an object leaves the others alone, and the object as it was.
    async fn an_abandoned_read_hinders_nobody(trial) {
        let store = trial.store().await?;
        let bytes = sample::bytes(3 * MIB, 1);
        let stored = store.put(&key("k")?, bytes.clone()).await?;
        for _ in 0..10 {
            let (_, first, rest) = begin(store.retrieve(&key("k")?, None).await?).await?;
            ensure!(bytes.starts_with(&first), "the first piece is not that of the object");
            drop(rest);
        }
        meanwhile(store.ensure_is(&stored, &bytes), "abandoned reads").await?;
        let new = store.put(&key("k")?, "new").await?;
        store.ensure_is(&new, b"new").await
    }

    /// Whoever reads slowly holds up nobody, be it another reader, a writer of the same key, or a listing.
    async fn a_slow_reader_holds_nobody_up(trial) {
        let store = trial.store().await?;
        let bytes = sample::bytes(3 * MIB, 1);
        store.put(&key("k")?, bytes.clone()).await?;
        let (_, first, rest) = begin(store.retrieve(&key("k")?, None).await?).await?;
        let beside = async {
            let (_, found) = store.get(&key("k")?).await?;
            ensure_same_bytes(&found, &bytes, &key("k")?)?;
            let other = store.put(&key("other")?, "x").await?;
            store.ensure_is(&other, b"x").await?;
            ensure_eq!(store.keys(ListQuery::all()).await?, ["k", "other"], "the listing");
            let new = store.put(&key("k")?, "new").await?;
            store.ensure_is(&new, b"new").await
        };
        meanwhile(beside, "a slow reader").await?;
        read_on(&bytes, &first, rest).await
    }
}

/// Reads on where a reader stopped, whose object was replaced: its own version, or a failure that says so.
async fn read_on(wanted: &[u8], first: &[u8], rest: Body) -> Result<(), Breach> {
    match rest.collect(u64::MAX).await {
        Ok(rest) => ensure_same_bytes(&rest, &wanted[first.len()..], &key("k")?),
        Err(Error::NotFound { .. } | Error::PreconditionFailed { .. } | Error::Unavailable { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
