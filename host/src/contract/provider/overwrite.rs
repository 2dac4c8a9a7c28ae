use std::time::Duration;

use bytes::Bytes;

use super::sample::{self, KIB, MIB, key};
use crate::object::{Attributes, Body, ETag, timestamp_from_millis};
use crate::provider::{Stamp, StoreOptions};

fn stamped(created_at: Option<u64>, updated_at: u64) -> StoreOptions {
    let stamp = Stamp {
        etag: ETag::generate(),
        updated_at: timestamp_from_millis(updated_at),
        created_at: created_at.map(timestamp_from_millis),
    };
    StoreOptions { stamp, ..StoreOptions::default() }
}

/// Bodies that fail, at once and after more and more bytes.
fn failing_bodies() -> impl Iterator<Item = Body> {
    [0, 1, 10 * KIB, 100 * KIB, 2 * MIB].into_iter().map(|size| sample::cut_off(&sample::bytes(size, 99), 64 * KIB))
}

promises! {
    /// An overwrite replaces the bytes, be they more, fewer or as many.
    async fn an_overwrite_replaces_the_bytes(trial) {
        let store = trial.store().await?;
        for (seed, size) in [10, 100 * KIB, 0, 2 * MIB, 2 * MIB, 5, 5, 80 * KIB].into_iter().enumerate() {
            let bytes = sample::bytes(size, seed as u64);
            let stored = store.put(&key("again")?, bytes.clone()).await?;
            store.ensure_is(&stored, &bytes).await?;
        }
        Ok(())
    }

    /// An overwrite replaces all attributes: what the new writer does not say is gone.
    async fn an_overwrite_replaces_the_attributes(trial) {
        let store = trial.store().await?;
        store.put_with(&key("a")?, "old", sample::attributes("old")?).await?;
        let stored = store.put_with(&key("a")?, "new", sample::attributes("new")?).await?;
        ensure_eq!(stored.attributes, sample::attributes("new")?, "what it answered with");
        store.ensure_is(&stored, b"new").await?;
        let stored = store.put(&key("a")?, "bare").await?;
        ensure_eq!(stored.attributes, Attributes::default(), "what it answered with");
        store.ensure_is(&stored, b"bare").await
    }

    /// An overwrite keeps `created_at`, whether the bytes are few or many.
    async fn an_overwrite_keeps_created_at(trial) {
        let store = trial.store().await?;
        for size in [10, 100 * KIB] {
            let name = key(&size.to_string())?;
            store.store(&name, sample::bytes(size, 1).into(), stamped(None, 1_000)).await?;
            for moment in [2_000, 3_000] {
                let bytes = sample::bytes(size, moment);
                let stored = store.store(&name, bytes.clone().into(), stamped(None, moment)).await?;
                ensure_eq!(stored.created_at, timestamp_from_millis(1_000), "created_at");
                ensure_eq!(stored.updated_at, timestamp_from_millis(moment), "updated_at");
                store.ensure_is(&stored, &bytes).await?;
            }
        }
        Ok(())
    }

    /// A `created_at` that the write is stamped with holds, over that of the object replaced.
    async fn a_stamped_created_at_is_honoured(trial) {
        let store = trial.store().await?;
        store.store(&key("c")?, "1".into(), stamped(None, 5_000)).await?;
        let stored = store.store(&key("c")?, "2".into(), stamped(Some(700), 6_000)).await?;
        ensure_eq!(stored.created_at, timestamp_from_millis(700), "created_at");
        let stored = store.store(&key("c")?, "3".into(), stamped(None, 7_000)).await?;
        ensure_eq!(stored.created_at, timestamp_from_millis(700), "created_at after one more overwrite");
        store.ensure_is(&stored, b"3").await
    }

    /// A write whose body fails leaves the object that is there, whole, with its metadata.
    async fn a_failed_overwrite_leaves_the_old_object(trial) {
        let store = trial.store().await?;
        for (name, size) in [("small", 100), ("large", 300 * KIB)] {
            let old = sample::bytes(size, 1);
            let stored = store.put_with(&key(name)?, old.clone(), sample::attributes("old")?).await?;
            for body in failing_bodies() {
                ensure_fails!(store.put(&key(name)?, body).await, "unavailable", "a write whose body fails");
                store.ensure_is(&stored, &old).await?;
            }
        }
        Ok(())
    }

    /// A write whose body fails leaves nothing where nothing was, and returns the body's own error.
    async fn a_failed_first_write_leaves_nothing(trial) {
        let store = trial.store().await?;
        for body in failing_bodies() {
            ensure_fails!(store.put(&key("never")?, body).await, "unavailable", "a write whose body fails");
            store.ensure_absent(&key("never")?).await?;
        }
        Ok(())
    }

    /// A write given up in the middle of its body leaves the object that is there, and the key can be written again.
    async fn an_abandoned_write_leaves_the_old_object(trial) {
        let store = trial.store().await?;
        let old = store.put(&key("kept")?, "old").await?;
        for size in [0, 10, 3 * MIB] {
            let body = sample::stalled(&sample::bytes(size, 2), 64 * KIB);
            let patience = Duration::from_millis(30);
            let finished = tokio::time::timeout(patience, store.put(&key("kept")?, body)).await;
            ensure!(finished.is_err(), "a write finished before its body did");
            store.ensure_is(&old, b"old").await?;
        }
        let new = store.put(&key("kept")?, "new").await?;
        store.ensure_is(&new, b"new").await
    }

    /// A key can be written after a write to it failed.
    async fn a_write_after_a_failed_one_succeeds(trial) {
        let store = trial.store().await?;
        for body in failing_bodies() {
            ensure_fails!(store.put(&key("k")?, body).await, "unavailable", "a write whose body fails");
            let bytes = sample::bytes(90 * KIB, 4);
            let stored = store.put(&key("k")?, sample::in_pieces(&bytes, 10 * KIB)).await?;
            store.ensure_is(&stored, &bytes).await?;
        }
        Ok(())
    }

    /// Writing one object leaves all others as they are.
    async fn an_overwrite_leaves_other_objects(trial) {
        let store = trial.store().await?;
        let bytes: Vec<Bytes> = (0..4).map(|seed| sample::bytes(50 * KIB, seed)).collect();
        let mut stored = Vec::new();
        for (number, bytes) in bytes.iter().enumerate() {
            stored.push(store.put(&key(&format!("k{number}"))?, bytes.clone()).await?);
        }
        store.put(&key("k1")?, "new").await?;
        for number in [0, 2, 3] {
            store.ensure_is(&stored[number], &bytes[number]).await?;
        }
        Ok(())
    }
}
