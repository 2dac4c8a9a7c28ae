use super::sample::{self, KIB, key};
use crate::object::AttributeChanges;
use crate::provider::{Condition, Usage};

promises! {
    /// An empty store uses nothing.
    async fn an_empty_store_uses_nothing(trial) {
        ensure_eq!(trial.store().await?.usage().await?, Usage::default(), "the usage");
        Ok(())
    }

    /// The usage is the number of objects and the sum of their sizes, at once after every change.
    async fn usage_counts_objects_and_bytes(trial) {
        let store = trial.store().await?;
        let usage = |objects, bytes: usize| Usage { objects, bytes: bytes as u64 };
        store.put(&key("a")?, sample::bytes(10, 1)).await?;
        ensure_eq!(store.usage().await?, usage(1, 10), "the usage after one object");
        store.put(&key("b")?, sample::bytes(100 * KIB, 1)).await?;
        store.put(&key("c")?, "").await?;
        ensure_eq!(store.usage().await?, usage(3, 10 + 100 * KIB), "the usage after three objects");
        store.put(&key("b")?, sample::bytes(30, 1)).await?;
        ensure_eq!(store.usage().await?, usage(3, 40), "the usage after an overwrite");
        store.delete(&key("a")?, None).await?;
        ensure_eq!(store.usage().await?, usage(2, 30), "the usage after a deletion");
        store.delete(&key("b")?, None).await?;
        store.delete(&key("c")?, None).await?;
        ensure_eq!(store.usage().await?, Usage::default(), "the usage after all are deleted");
        Ok(())
    }

    /// What failed, and what changes no bytes, leaves the usage as it is.
    async fn failures_leave_the_usage(trial) {
        let store = trial.store().await?;
        store.put(&key("a")?, sample::bytes(1_000, 1)).await?;
        let used = store.usage().await?;
        let failed = store.put(&key("a")?, sample::cut_off(&sample::bytes(200 * KIB, 2), KIB)).await;
        ensure_fails!(failed, "unavailable", "a write whose body fails");
        let refused = store.put_if(&key("a")?, "x", Condition::IfAbsent).await;
        ensure_fails!(refused, "precondition-failed", "storing if absent over an object");
        ensure_fails!(store.delete(&key("b")?, None).await, "not-found", "deleting what is not there");
        store.update(&key("a")?, AttributeChanges::default(), None).await?;
        ensure_eq!(store.usage().await?, used, "the usage");
        Ok(())
    }
}
