use super::sample::{self, KIB, MIB, key};
use crate::object::AttributeChanges;
use crate::provider::{Condition, ListQuery};

promises! {
    /// What was stored is there after the provider is opened again: bytes and metadata.
    async fn objects_outlive_reopening(trial) {
        let store = trial.store().await?;
        let mut stored = Vec::new();
        for (seed, size) in [0, 1, 4 * KIB, 70 * KIB, MIB + 1].into_iter().enumerate() {
            let bytes = sample::bytes(size, seed as u64);
            let name = key(&format!("a//{seed}/.."))?;
            stored.push((store.put_with(&name, bytes.clone(), sample::attributes("kept")?).await?, bytes));
        }
        let mut store = store;
        for _ in 0..2 {
            store = trial.reopen(store).await?;
            for (metadata, bytes) in &stored {
                store.ensure_is(metadata, bytes).await?;
            }
        }
        Ok(())
    }

    /// The last of several versions is there after the provider is opened again.
    async fn overwrites_outlive_reopening(trial) {
        let store = trial.store().await?;
        for size in [10, 100 * KIB, 20] {
            store.put(&key("k")?, sample::bytes(size, 1)).await?;
        }
        let bytes = sample::bytes(90 * KIB, 9);
        let stored = store.put(&key("k")?, bytes.clone()).await?;
        let store = trial.reopen(store).await?;
        store.ensure_is(&stored, &bytes).await?;
        ensure_fails!(store.put_if(&key("k")?, "x", Condition::IfAbsent).await, "precondition-failed", "storing if absent");
        store.put_if(&key("k")?, "x", Condition::IfMatch(stored.etag)).await?;
        Ok(())
    }

    /// Deleted objects stay deleted after the provider is opened again.
    async fn deletions_outlive_reopening(trial) {
        let store = trial.store().await?;
        for (name, size) in [("small", 10), ("large", 100 * KIB), ("left", 10)] {
            store.put(&key(name)?, sample::bytes(size, 1)).await?;
        }
        store.delete(&key("small")?, None).await?;
        store.delete(&key("large")?, None).await?;
        let store = trial.reopen(store).await?;
        store.ensure_absent(&key("small")?).await?;
        store.ensure_absent(&key("large")?).await?;
        ensure_eq!(store.keys(ListQuery::all()).await?, ["left"], "the listing");
        Ok(())
    }

    /// Changed attributes are there after the provider is opened again.
    async fn updates_outlive_reopening(trial) {
        let store = trial.store().await?;
        for size in [10, 100 * KIB] {
            let bytes = sample::bytes(size, 1);
            store.put(&key(&size.to_string())?, bytes).await?;
        }
        let changes = AttributeChanges { tags: Some(sample::attributes("new")?.tags), ..AttributeChanges::default() };
        let mut updated = Vec::new();
        for size in [10, 100 * KIB] {
            updated.push((store.update(&key(&size.to_string())?, changes.clone(), None).await?, sample::bytes(size, 1)));
        }
        let store = trial.reopen(store).await?;
        for (metadata, bytes) in &updated {
            store.ensure_is(metadata, bytes).await?;
        }
        Ok(())
    }

    /// A failed or abandoned write leaves no trace after the provider is opened again.
    async fn failed_writes_leave_no_trace_after_reopening(trial) {
        let store = trial.store().await?;
        let stored = store.put(&key("old")?, "old").await?;
        for name in ["old", "new"] {
            let body = sample::cut_off(&sample::bytes(300 * KIB, 1), 10 * KIB);
            ensure_fails!(store.put(&key(name)?, body).await, "unavailable", "a write whose body fails");
        }
        let store = trial.reopen(store).await?;
        store.ensure_is(&stored, b"old").await?;
        store.ensure_absent(&key("new")?).await
    }

    /// Listing and usage are the same after the provider is opened again, and a page goes on where the last one ended.
    async fn listing_and_usage_outlive_reopening(trial) {
        let store = trial.store().await?;
        for number in 0..20 {
            let name = key(&format!("k{number:02}"))?;
            store.put(&name, sample::bytes(number * 2 * KIB, 1)).await?;
        }
        store.delete(&key("k07")?, None).await?;
        let (listing, usage) = (store.list_all(ListQuery::all()).await?, store.usage().await?);
        let first = store.list(&ListQuery { limit: 5, ..ListQuery::all() }).await?;
        let after = first.next().map(|last| last.as_str().to_owned());
        let store = trial.reopen(store).await?;
        ensure_eq!(store.list_all(ListQuery::all()).await?, listing, "the listing");
        ensure_eq!(store.usage().await?, usage, "the usage");
        let rest = store.list_all(ListQuery { start_after: after, ..ListQuery::all() }).await?;
        ensure_eq!([first.objects, rest].concat(), listing, "the listing over the reopening");
        Ok(())
    }
}
