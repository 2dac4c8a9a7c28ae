use std::sync::Arc;
use std::time::Duration;

use futures::future;
use tokio::sync::Barrier;

use super::sample::{self, KIB, key};
use super::trial::{foreign_etag, if_match};
use crate::error::Error;
use crate::provider::{Condition, ListQuery};

/// How many tasks race.
const RACERS: usize = 16;
/// How long an upload waits for those that it races with.
const PATIENCE: Duration = Duration::from_millis(100);

promises! {
    /// A write that is only to happen if there is no such object happens if there is none.
    async fn if_absent_stores_what_is_absent(trial) {
        let store = trial.store().await?;
        for size in [5, 100 * KIB] {
            let bytes = sample::bytes(size, 1);
            let stored = store.put_if(&key(&size.to_string())?, bytes.clone(), Condition::IfAbsent).await?;
            store.ensure_is(&stored, &bytes).await?;
        }
        Ok(())
    }

    /// A write that is only to happen if there is no such object is refused if there is one, and changes nothing.
    async fn if_absent_leaves_what_is_there(trial) {
        let store = trial.store().await?;
        let stored = store.put_with(&key("k")?, "old", sample::attributes("old")?).await?;
        for size in [0, 5, 100 * KIB] {
            let bytes = sample::bytes(size, 1);
            for body in [bytes.clone().into(), sample::in_pieces(&bytes, KIB)] {
                let result = store.put_if(&key("k")?, body, Condition::IfAbsent).await;
                ensure_fails!(result, "precondition-failed", "storing if absent over an object");
                store.ensure_is(&stored, b"old").await?;
            }
        }
        Ok(())
    }

    /// A deleted object is absent.
    async fn if_absent_stores_what_was_deleted(trial) {
        let store = trial.store().await?;
        store.put(&key("k")?, "old").await?;
        store.delete(&key("k")?, None).await?;
        let stored = store.put_if(&key("k")?, "new", Condition::IfAbsent).await?;
        store.ensure_is(&stored, b"new").await
    }

    /// A write that is only to happen over one version happens over that one.
    async fn if_match_replaces_that_version(trial) {
        let store = trial.store().await?;
        let mut stored = store.put(&key("k")?, "0").await?;
        for size in [1, 100 * KIB, 2] {
            let bytes = sample::bytes(size, 1);
            stored = store.put_if(&key("k")?, bytes.clone(), if_match(&stored)).await?;
            store.ensure_is(&stored, &bytes).await?;
        }
        Ok(())
    }

    /// A write that is only to happen over one version is refused over another, even one with the same bytes.
    async fn if_match_leaves_another_version(trial) {
        let store = trial.store().await?;
        let first = store.put(&key("k")?, "same").await?;
        let second = store.put(&key("k")?, "same").await?;
        for condition in [if_match(&first), Condition::IfMatch(foreign_etag())] {
            for size in [5, 100 * KIB] {
                let result = store.put_if(&key("k")?, sample::bytes(size, 1), condition.clone()).await;
                ensure_fails!(result, "precondition-failed", "storing over a version that is not there");
                store.ensure_is(&second, b"same").await?;
            }
        }
        Ok(())
    }

    /// A write that is only to happen over one version is refused where there is nothing, and leaves nothing.
    async fn if_match_leaves_nothing_where_nothing_is(trial) {
        let store = trial.store().await?;
        let deleted = store.put(&key("k")?, "old").await?;
        store.delete(&key("k")?, None).await?;
        for name in ["k", "never there"] {
            let result = store.put_if(&key(name)?, "new", if_match(&deleted)).await;
            ensure_fails!(result, "precondition-failed", "storing over nothing if it matches");
            store.ensure_absent(&key(name)?).await?;
        }
        Ok(())
    }

    /// Of several writers that store a key if it is absent, one wins, and its object is there.
    async fn of_racing_if_absent_writers_one_wins(trial) {
        let store = trial.store().await?;
        for (round, size) in [10, 10, 10, 10, 40 * KIB].into_iter().enumerate() {
            let name = key(&format!("k{round}"))?;
            let racers = (0..RACERS).map(|racer| {
                let (store, name) = (store.clone(), name.clone());
                let bytes = sample::bytes(size, racer as u64);
                tokio::spawn(async move { (store.put_if(&name, bytes.clone(), Condition::IfAbsent).await, bytes) })
            });
            let mut winners = Vec::new();
            for result in future::join_all(racers).await {
                match result.map_err(|panic| Error::internal(panic.to_string()))? {
                    (Ok(stored), bytes) => winners.push((stored, bytes)),
                    (result, _) => ensure_fails!(result, "precondition-failed", "a losing writer"),
                }
            }
            ensure_eq!(winners.len(), 1, "the number of winners");
            for (stored, bytes) in winners {
                store.ensure_is(&stored, &bytes).await?;
            }
        }
        Ok(())
    }

    /// Of several writers that replace the same version, one wins, and its object is there.
    async fn of_racing_if_match_writers_one_wins(trial) {
        let store = trial.store().await?;
        let mut current = store.put(&key("k")?, "first").await?;
        for size in [10, 10, 10, 10, 40 * KIB] {
            let racers = (0..RACERS).map(|racer| {
                let (store, condition) = (store.clone(), if_match(&current));
                let (name, bytes) = (current.key.clone(), sample::bytes(size, racer as u64));
                tokio::spawn(async move { (store.put_if(&name, bytes.clone(), condition).await, bytes) })
            });
            let mut winners = Vec::new();
            for result in future::join_all(racers).await {
                match result.map_err(|panic| Error::internal(panic.to_string()))? {
                    (Ok(stored), bytes) => winners.push((stored, bytes)),
                    (result, _) => ensure_fails!(result, "precondition-failed", "a losing writer"),
                }
            }
            ensure_eq!(winners.len(), 1, "the number of winners");
            for (stored, bytes) in winners {
                store.ensure_is(&stored, &bytes).await?;
                current = stored;
            }
        }
        Ok(())
    }

    /// Writers that count up one object with compare-and-swap lose no count.
    async fn compare_and_swap_loses_no_count(trial) {
        const COUNTS: u64 = 5;
        let store = trial.store().await?;
        store.put(&key("counter")?, "0").await?;
        let writers = (0..4).map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let name = key("counter")?;
                let mut counted = 0;
                while counted < COUNTS {
                    let (metadata, bytes) = store.get(&name).await?;
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    let count: u64 = text.parse().map_err(|_| Error::internal(format!("the counter reads {text:?}")))?;
                    match store.put_if(&name, (count + 1).to_string(), if_match(&metadata)).await {
                        Ok(_) => counted += 1,
                        Err(Error::PreconditionFailed { .. }) => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(())
            })
        });
        for result in future::join_all(writers).await {
            result.map_err(|panic| Error::internal(panic.to_string()))??;
        }
        let (_, bytes) = store.get(&key("counter")?).await?;
        ensure_eq!(String::from_utf8_lossy(&bytes), (4 * COUNTS).to_string(), "the counter");
        ensure_eq!(store.keys(ListQuery::all()).await?, ["counter"], "the listing");
        Ok(())
    }

    /// Of several uploads in pieces under the same condition one wins, however they interleave.
    async fn of_racing_conditional_streams_one_wins(trial) {
        let store = trial.store().await?;
        const UPLOADS: usize = 8;
        let mut current = None;
        for size in [10, 3 * KIB, 150 * KIB, 10, 3 * KIB] {
            let condition = current.as_ref().map_or(Condition::IfAbsent, if_match);
            let gathering = Arc::new(Barrier::new(UPLOADS));
            let racers = (0..UPLOADS as u64).map(|racer| {
                let (store, condition, bytes) = (store.clone(), condition.clone(), sample::bytes(size, racer));
                let body = sample::in_pieces_once_all_are_read(&bytes, size.div_ceil(3), &gathering, PATIENCE);
                tokio::spawn(async move { Ok::<_, Error>((store.put_if(&key("k")?, body, condition).await, bytes)) })
            });
            let mut winners = Vec::new();
            for result in future::join_all(racers).await {
                match result.map_err(|panic| Error::internal(panic.to_string()))?? {
                    (Ok(stored), bytes) => winners.push((stored, bytes)),
                    (result, _) => ensure_fails!(result, "precondition-failed", "a losing writer"),
                }
            }
            ensure_eq!(winners.len(), 1, "the number of winners");
            for (stored, bytes) in winners {
                store.ensure_is(&stored, &bytes).await?;
                current = Some(stored);
            }
        }
        Ok(())
    }

    /// Writers that count up with compare-and-swap from nothing lose no count, whoever comes first.
    async fn compare_and_swap_from_nothing_loses_no_count(trial) {
        const COUNTS: u64 = 4;
        let store = trial.store().await?;
        let writers = (0..4).map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let name = key("counter")?;
                let mut counted = 0;
                while counted < COUNTS {
                    let (count, condition) = match store.get(&name).await {
                        Ok((metadata, bytes)) => (String::from_utf8_lossy(&bytes).into_owned(), if_match(&metadata)),
                        Err(Error::NotFound { .. }) => ("0".to_owned(), Condition::IfAbsent),
                        Err(error) => return Err(error),
                    };
                    let count: u64 = count.parse().map_err(|_| Error::internal(format!("the counter reads {count:?}")))?;
                    match store.put_if(&name, (count + 1).to_string(), condition).await {
                        Ok(_) => counted += 1,
                        Err(Error::PreconditionFailed { .. }) => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(())
            })
        });
        for result in future::join_all(writers).await {
            result.map_err(|panic| Error::internal(panic.to_string()))??;
        }
        let (_, bytes) = store.get(&key("counter")?).await?;
        ensure_eq!(String::from_utf8_lossy(&bytes), (4 * COUNTS).to_string(), "the counter");
        Ok(())
    }

    /// The etag of one object is not that of another, though their bytes are the same.
    async fn an_etag_of_another_key_does_not_match(trial) {
        let store = trial.store().await?;
        let other = store.put(&key("other")?, "same").await?;
        let stored = store.put(&key("k")?, "same").await?;
        ensure_fails!(store.put_if(&key("k")?, "new", if_match(&other)).await, "precondition-failed", "storing over it");
        ensure_fails!(store.delete(&key("k")?, Some(&other.etag)).await, "precondition-failed", "deleting it");
        store.ensure_is(&stored, b"same").await?;
        store.ensure_is(&other, b"same").await
    }

    /// However many requests are refused, nothing changes, and one that meets its condition goes through.
    async fn refusals_leave_no_trace(trial) {
        let store = trial.store().await?;
        let stored = store.put(&key("k")?, "old").await?;
        for round in 0..40 {
            let body = sample::bytes(30 * KIB, round);
            ensure_fails!(store.put_if(&key("k")?, body, Condition::IfAbsent).await, "precondition-failed", "a write");
            ensure_fails!(store.retrieve(&key("nothing")?, None).await, "not-found", "a read");
            ensure_fails!(store.delete(&key("nothing")?, None).await, "not-found", "a deletion");
        }
        store.ensure_is(&stored, b"old").await?;
        let stored = store.put_if(&key("k")?, "new", if_match(&stored)).await?;
        store.ensure_is(&stored, b"new").await?;
        ensure_eq!(store.keys(ListQuery::all()).await?, ["k"], "the listing");
        Ok(())
    }
}
