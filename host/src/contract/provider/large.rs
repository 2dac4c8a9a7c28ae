use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{TryStreamExt, stream};

use super::sample::{self, key};
use super::trial::Store;
use crate::contract::Breach;
use crate::error::{Error, Result};
use crate::object::{Body, Key, StorageMetadata};
use crate::provider::ListQuery;

/// Of what a large object is made, over and over. No power of two, so that no block begins as another one does.
const PATTERN: usize = 100_003;
/// How long a part that ran out of memory may be away.
const RECOVERY: Duration = Duration::from_secs(15);

fn large_body(pattern: &Bytes, size: u64) -> Body {
    let pattern = pattern.clone();
    let pieces = (0..size.div_ceil(PATTERN as u64)).map(move |number| {
        let left = size - number * PATTERN as u64;
        Ok(pattern.slice(..pattern.len().min(usize::try_from(left).unwrap_or(usize::MAX))))
    });
    Body::stream(stream::iter(pieces))
}

/// Breaks the promise unless the object is the pattern over and over; holds no more than a piece of it.
async fn ensure_is_pattern(store: &Store, stored: &StorageMetadata, pattern: &[u8], size: u64) -> Result<(), Breach> {
    ensure_eq!(stored.size, size, "the size");
    let object = store.retrieve(&stored.key, None).await?;
    ensure_eq!(*object.metadata, *stored, "the metadata retrieved with the object");
    let (mut pieces, mut position) = (object.body.into_stream(), 0u64);
    while let Some(mut piece) = pieces.try_next().await? {
        while !piece.is_empty() {
            let offset = (position % PATTERN as u64) as usize;
            let length = piece.len().min(PATTERN - offset);
            ensure!(piece[..length] == pattern[offset..offset + length], "the bytes differ behind position {position}");
            position += length as u64;
            let _ = piece.split_to(length);
        }
    }
    ensure_eq!(position, size, "the number of bytes");
    Ok(())
}

/// Stores more than fits into memory; whether it was taken.
async fn take(store: &Store, name: &Key, size: u64) -> Result<bool, Breach> {
    let pattern = sample::bytes(PATTERN, 1);
    match store.put(name, large_body(&pattern, size)).await {
        Ok(stored) => {
            ensure_is_pattern(store, &stored, &pattern, size).await?;
            Ok(true)
        }
        Err(Error::Exhausted { .. } | Error::TooLarge { .. } | Error::Unavailable { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// What is under the key, once the part is there again.
async fn recovered(store: &Store, name: &Key) -> Result<Option<Bytes>, Breach> {
    let begun = Instant::now();
    loop {
        match store.get(name).await {
            Ok((_, bytes)) => return Ok(Some(bytes)),
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(Error::Unavailable { .. }) if begun.elapsed() < RECOVERY => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

promises! {
    /// An object that is larger than the provider's memory is stored whole, or refused with `exhausted`, `too-large` or
    /// `unavailable`, and then nothing of it is there.
    async fn an_object_larger_than_memory_is_whole_or_refused(trial) {
        let store = trial.store().await?;
        if !take(&store, &key("large")?, trial.more_than_memory()).await? {
            let left = recovered(&store, &key("large")?).await?;
            ensure!(left.is_none(), "{} bytes are there of an object that was refused", left.map_or(0, |left| left.len()));
            ensure_eq!(store.keys(ListQuery::all()).await?, Vec::<String>::new(), "the listing");
        }
        let stored = store.put(&key("small")?, "small").await?;
        store.ensure_is(&stored, b"small").await
    }

    /// An overwrite that is larger than the provider's memory never leaves half of it: the old object is there, or the
    /// new one, or, if the provider keeps nothing beyond its memory, none.
    async fn an_overwrite_larger_than_memory_leaves_no_half(trial) {
        let store = trial.store().await?;
        store.put(&key("k")?, "old").await?;
        if !take(&store, &key("k")?, trial.more_than_memory()).await? {
            match recovered(&store, &key("k")?).await? {
                Some(bytes) => ensure!(bytes == "old", "{} bytes are there that are not the old ones", bytes.len()),
                None => ensure!(!trial.is_persistent(), "the old object is gone"),
            }
        }
        let stored = store.put(&key("k")?, "new").await?;
        store.ensure_is(&stored, b"new").await
    }

    /// The room of what was overwritten or deleted is used again: more can be written over time than fits at once.
    async fn room_is_used_again(trial) {
        const SIZE: usize = 1 << 20;
        let store = trial.store().await?;
        let bytes = sample::bytes(SIZE, 1);
        let rounds = trial.more_than_memory().div_ceil(SIZE as u64);
        for round in 0..rounds {
            let name = key(if round % 2 == 0 { "overwritten" } else { "deleted" })?;
            let stored = store.put(&name, bytes.clone()).await.map_err(|error| {
                Breach::from(error).after(&format!("after {round} writes of {SIZE} bytes, of which 2 were there at once"))
            })?;
            ensure_eq!(stored.size, SIZE as u64, "the size");
            if round % 2 == 1 {
                store.delete(&name, None).await?;
            }
        }
        let (_, found) = store.get(&key("overwritten")?).await?;
        ensure!(found == bytes, "the bytes are others");
        Ok(())
    }
}
