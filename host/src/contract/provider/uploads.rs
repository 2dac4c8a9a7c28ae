use bytes::Bytes;
use futures::{StreamExt, stream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::reads::meanwhile;
use super::sample::{self, KIB, MIB, key};
use super::trial::{Store, if_match};
use crate::contract::Breach;
use crate::error::{Error, Result};
use crate::object::{Body, StorageMetadata};
use crate::provider::{Condition, ListQuery};

/// A write that waits in the middle of its body.
struct Halfway {
    go_on: oneshot::Sender<()>,
    write: JoinHandle<Result<StorageMetadata>>,
}

impl Halfway {
    /// Begins to store an object, and returns when half of it was taken.
    async fn begin(store: &Store, name: &'static str, bytes: &Bytes) -> Result<Self, Breach> {
        let (first, second) = (bytes.slice(..bytes.len() / 2), bytes.slice(bytes.len() / 2..));
        let (go_on, told) = oneshot::channel::<()>();
        let (taken, half) = oneshot::channel();
        let wait = async move {
            // The second half is asked for once the first was taken.
            let _ = taken.send(());
            let _ = told.await;
            Ok(second)
        };
        let pieces: Vec<_> = first.chunks(64 * KIB).map(|piece| Ok(first.slice_ref(piece))).collect();
        let body = Body::stream(stream::iter(pieces).chain(stream::once(wait)));
        let store = store.clone();
        let write = tokio::spawn(async move { store.put(&key(name)?, body).await });
        match meanwhile(async { Ok(half.await) }, "nothing else").await? {
            Ok(()) => Ok(Self { go_on, write }),
            Err(_) => match write.await {
                Ok(Err(error)) => Err(error.into()),
                _ => Err(Breach::Broken("a write ended before its body did".into())),
            },
        }
    }

    async fn end(self) -> Result<StorageMetadata> {
        let _ = self.go_on.send(());
        self.write.await.map_err(|panic| Error::internal(panic.to_string()))?
    }
}

promises! {
    /// Until a write has ended, nothing of it is to be seen: neither where nothing was, nor in place of the old object.
    async fn an_unfinished_write_is_not_seen(trial) {
        let store = trial.store().await?;
        for size in [100, 2 * MIB] {
            let bytes = sample::bytes(size, 1);
            let old = store.put(&key("old")?, "old").await?;
            let first = Halfway::begin(&store, "new", &bytes).await?;
            let second = Halfway::begin(&store, "old", &bytes).await?;
            let beside = async {
                store.ensure_absent(&key("new")?).await?;
                store.ensure_is(&old, b"old").await
            };
            meanwhile(beside, "unfinished writes").await?;
            store.ensure_is(&first.end().await?, &bytes).await?;
            store.ensure_is(&second.end().await?, &bytes).await?;
            store.delete(&key("new")?, None).await?;
        }
        Ok(())
    }

    /// A sender that stands still holds up nobody: neither other keys, nor the same one. Its own write then comes last, or
    /// is told to try again.
    async fn a_stalled_writer_holds_nobody_up(trial) {
        let store = trial.store().await?;
        let bytes = sample::bytes(300 * KIB, 1);
        let stalled = Halfway::begin(&store, "k", &bytes).await?;
        let overtaken = sample::bytes(2 * KIB, 2);
        let beside = async {
            let other = store.put(&key("other")?, bytes.clone()).await?;
            store.ensure_is(&other, &bytes).await?;
            let stored = store.put(&key("k")?, overtaken.clone()).await?;
            store.ensure_is(&stored, &overtaken).await?;
            store.delete(&key("other")?, None).await?;
            store.ensure_absent(&key("other")?).await?;
            Ok(stored)
        };
        let former = meanwhile(beside, "a stalled writer").await?;
        match stalled.end().await {
            Ok(stored) => store.ensure_is(&stored, &bytes).await,
            Err(Error::Unavailable { .. }) => store.ensure_is(&former, &overtaken).await,
            Err(error) => Err(error.into()),
        }
    }

    /// Two uploads of a key that take turns do not mix: the object is one of them, whole. One of the two may be told to
    /// try again.
    async fn uploads_that_take_turns_do_not_mix(trial) {
        let store = trial.store().await?;
        for size in [5 * KIB, 300 * KIB] {
            let (one, other) = (sample::bytes(size, 1), sample::bytes(size, 2));
            let (first, second) = tokio::join!(
                async { store.put(&key("k")?, sample::in_hesitant_pieces(&one, size / 5)).await },
                async { store.put(&key("k")?, sample::in_hesitant_pieces(&other, size / 5)).await },
            );
            let found = store.metadata(&key("k")?).await?;
            let mut wanted = None;
            for (stored, bytes) in [(first, &one), (second, &other)] {
                match stored {
                    Ok(stored) if stored.etag == found.etag => wanted = Some(bytes),
                    Ok(_) | Err(Error::Unavailable { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            let Some(wanted) = wanted else {
                return Err(Breach::Broken("the object is of no upload that was acknowledged".into()));
            };
            store.ensure_is(&found, wanted).await?;
        }
        Ok(())
    }

    /// A body that is cut off leaves what is there, wherever the cut is.
    async fn a_body_may_be_cut_off_anywhere(trial) {
        let store = trial.store().await?;
        let old = store.put(&key("old")?, "old").await?;
        for size in [1, 4 * KIB, 16 * KIB, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 128 * KIB, MIB, MIB + 1] {
            for name in ["old", "new"] {
                let body = sample::cut_off(&sample::bytes(size, 3), 64 * KIB);
                ensure_fails!(store.put(&key(name)?, body).await, "unavailable", "a write cut off after {size} bytes");
            }
            store.ensure_absent(&key("new")?).await?;
        }
        store.ensure_is(&old, b"old").await?;
        ensure_eq!(store.keys(ListQuery::all()).await?, ["old"], "the listing");
        Ok(())
    }

    /// A body's own error is the one that the writer gets, whichever kind it is.
    async fn a_body_fails_with_its_own_error(trial) {
        let store = trial.store().await?;
        let errors = [
            Error::unavailable("gone"), Error::timeout("slow"), Error::invalid_input("odd"), Error::corrupt("flipped"),
            Error::too_large("large"), Error::exhausted("full"), Error::permission_denied("no"),
        ];
        for error in errors {
            let pieces = [Ok(sample::bytes(70 * KIB, 1)), Err(error.clone())];
            let result = store.put(&key("k")?, Body::stream(stream::iter(pieces))).await;
            let found = result.as_ref().map_or_else(Error::kind, |_| "success");
            ensure_eq!(found, error.kind(), "what a write came to whose body fails");
            store.ensure_absent(&key("k")?).await?;
        }
        Ok(())
    }

    /// A write under a condition whose body is cut off changes nothing, whether the condition is met or not.
    async fn a_conditional_write_cut_off_changes_nothing(trial) {
        let store = trial.store().await?;
        let old = store.put(&key("old")?, "old").await?;
        let body = || sample::cut_off(&sample::bytes(100 * KIB, 1), 10 * KIB);
        let cut = store.put_if(&key("old")?, body(), if_match(&old)).await;
        ensure_fails!(cut, "unavailable", "a write that is cut off");
        let cut = store.put_if(&key("new")?, body(), Condition::IfAbsent).await;
        ensure_fails!(cut, "unavailable", "a write that is cut off");
        ensure!(store.put_if(&key("old")?, body(), Condition::IfAbsent).await.is_err(), "a refused write succeeded");
        store.ensure_absent(&key("new")?).await?;
        store.ensure_is(&old, b"old").await?;
        let new = store.put_if(&key("old")?, "new", if_match(&old)).await?;
        store.ensure_is(&new, b"new").await
    }
}
