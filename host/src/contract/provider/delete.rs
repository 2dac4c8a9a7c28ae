use futures::future;

use super::sample::{self, KIB, key};
use super::trial::foreign_etag;
use crate::error::Error;
use crate::object::{ETag, timestamp_from_millis};
use crate::provider::{ListQuery, Stamp, StoreOptions};

promises! {
    /// A deleted object is gone, wherever one looks.
    async fn a_deleted_object_is_gone(trial) {
        let store = trial.store().await?;
        for size in [0, 5, 100 * KIB] {
            store.put(&key("k")?, sample::bytes(size, 1)).await?;
            store.delete(&key("k")?, None).await?;
            store.ensure_absent(&key("k")?).await?;
        }
        ensure_eq!(store.keys(ListQuery::all()).await?, Vec::<String>::new(), "the listing");
        Ok(())
    }

    /// Deleting what is not there says so.
    async fn deleting_what_is_not_there_is_not_found(trial) {
        let store = trial.store().await?;
        ensure_fails!(store.delete(&key("never")?, None).await, "not-found", "deleting what was never there");
        store.put(&key("once")?, "x").await?;
        store.delete(&key("once")?, None).await?;
        ensure_fails!(store.delete(&key("once")?, None).await, "not-found", "deleting twice");
        Ok(())
    }

    /// A deletion of one version deletes that one.
    async fn a_matching_deletion_deletes(trial) {
        let store = trial.store().await?;
        store.put(&key("k")?, "old").await?;
        let stored = store.put(&key("k")?, "new").await?;
        store.delete(&key("k")?, Some(&stored.etag)).await?;
        store.ensure_absent(&key("k")?).await
    }

    /// A deletion of one version leaves another.
    async fn a_deletion_of_another_version_is_refused(trial) {
        let store = trial.store().await?;
        let old = store.put(&key("k")?, "old").await?;
        let new = store.put(&key("k")?, "new").await?;
        for etag in [old.etag, foreign_etag()] {
            let result = store.delete(&key("k")?, Some(&etag)).await;
            ensure_fails!(result, "precondition-failed", "deleting a version that is not there");
            store.ensure_is(&new, b"new").await?;
        }
        Ok(())
    }

    /// A deletion of one version where there is no object says that there is none.
    async fn a_matching_deletion_of_nothing_is_not_found(trial) {
        let store = trial.store().await?;
        let result = store.delete(&key("never")?, Some(&foreign_etag())).await;
        ensure_fails!(result, "not-found", "deleting a version of what was never there");
        Ok(())
    }

    /// What is stored after a deletion is new: nothing of the old object shows.
    async fn an_object_after_a_deletion_is_new(trial) {
        let store = trial.store().await?;
        let stamped = |updated_at| {
            let stamp = Stamp { etag: ETag::generate(), updated_at: timestamp_from_millis(updated_at), created_at: None };
            StoreOptions { stamp, ..StoreOptions::default() }
        };
        let options = StoreOptions { attributes: sample::attributes("old")?, ..stamped(1_000) };
        store.store(&key("k")?, "old".into(), options).await?;
        store.delete(&key("k")?, None).await?;
        let stored = store.store(&key("k")?, "new".into(), stamped(2_000)).await?;
        ensure_eq!(stored.created_at, timestamp_from_millis(2_000), "created_at");
        ensure!(stored.attributes.tags.is_empty(), "the old object's tags are there");
        store.ensure_is(&stored, b"new").await
    }

    /// Deleting one object leaves all others.
    async fn a_deletion_leaves_other_objects(trial) {
        let store = trial.store().await?;
        let bytes = sample::bytes(100 * KIB, 1);
        let before = store.put(&key("k1")?, bytes.clone()).await?;
        store.put(&key("k2")?, bytes.clone()).await?;
        let after = store.put(&key("k3")?, bytes.clone()).await?;
        store.delete(&key("k2")?, None).await?;
        store.ensure_is(&before, &bytes).await?;
        store.ensure_is(&after, &bytes).await
    }

    /// Of several that delete one object, one does, and the others hear that there is none.
    async fn of_racing_deletions_one_wins(trial) {
        let store = trial.store().await?;
        for round in 0..5 {
            let name = key(&format!("k{round}"))?;
            let stored = store.put(&name, "x").await?;
            let racers = (0..16).map(|racer| {
                let (store, stored) = (store.clone(), stored.clone());
                tokio::spawn(async move {
                    store.delete(&stored.key, Some(&stored.etag).filter(|_| racer % 2 == 0)).await
                })
            });
            let mut winners = 0;
            for result in future::join_all(racers).await {
                match result.map_err(|panic| Error::internal(panic.to_string()))? {
                    Ok(()) => winners += 1,
                    result => ensure_fails!(result, "not-found", "a losing deletion"),
                }
            }
            ensure_eq!(winners, 1, "the number of winners");
            store.ensure_absent(&name).await?;
        }
        Ok(())
    }
}
