//! Providers through the seam of larder: the native one, and the one that is a plugin.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use bytes::Bytes;
use larder::error::Error;
use larder::object::{Body, Key};
use larder::provider::{StorageProvider, StoreOptions};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use crate::stopwatch::Work;
use crate::workload::Objects;

/// Stores every object, and sees to it that it is there.
pub(super) fn fill(runtime: &Runtime, provider: &Arc<dyn StorageProvider>, objects: &Objects) -> Result<()> {
    runtime.block_on(async {
        for key in &objects.keys {
            let body = Body::Bytes(objects.body.clone());
            let stored = provider.store(key, body, objects.options.clone()).await?;
            objects.check(key, &stored, &provider.retrieve(key, None).await?)?;
        }
        Ok(())
    })
}

/// Stores so many objects at the same time that each has an instance to itself.
pub(super) async fn at_once(provider: &Arc<dyn StorageProvider>, count: usize) -> Result<()> {
    let begin = Arc::new(Semaphore::new(0));
    let stores: Vec<_> = (0..count)
        .map(|number| {
            let (provider, begin) = (Arc::clone(provider), Arc::clone(&begin));
            tokio::spawn(async move {
                let key = Key::new(format!("{number}"))?;
                let last = futures::stream::once(async move {
                    drop(begin.acquire().await);
                    Ok(Bytes::from_static(b"bytes"))
                });
                provider.store(&key, Body::stream(last), StoreOptions::default()).await
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    begin.add_permits(count);
    for store in stores {
        store.await??;
    }
    Ok(())
}

/// Copies the body to fresh memory, and keeps as many copies as there are objects: the least that storing one takes.
pub(super) fn copy(objects: &Arc<Objects>) -> Work {
    let (objects, mut kept) = (Arc::clone(objects), vec![Bytes::new(); objects.keys.len()]);
    Box::new(move |times| {
        for turn in 0..times {
            let place = turn as usize % kept.len();
            kept[place] = Bytes::copy_from_slice(&objects.body);
        }
        black_box(&mut kept);
        Ok(())
    })
}

pub(super) fn store(runtime: &Arc<Runtime>, provider: &Arc<dyn StorageProvider>, objects: &Arc<Objects>) -> Work {
    let (runtime, provider, objects) = (Arc::clone(runtime), Arc::clone(provider), Arc::clone(objects));
    Box::new(move |times| {
        runtime.block_on(async {
            for turn in 0..times {
                let body = Body::Bytes(objects.body.clone());
                black_box(provider.store(objects.key(turn), body, objects.options.clone()).await?);
            }
            Ok(())
        })
    })
}

pub(super) fn retrieve(runtime: &Arc<Runtime>, provider: &Arc<dyn StorageProvider>, objects: &Arc<Objects>) -> Work {
    let (runtime, provider, objects) = (Arc::clone(runtime), Arc::clone(provider), Arc::clone(objects));
    Box::new(move |times| {
        runtime.block_on(async {
            for turn in 0..times {
                black_box(provider.retrieve(objects.key(turn), None).await?);
            }
            Ok(())
        })
    })
}

/// Asks for the metadata of an object that is not there.
pub(super) fn missing(runtime: &Arc<Runtime>, provider: &Arc<dyn StorageProvider>) -> Result<Work> {
    let (runtime, provider, key) = (Arc::clone(runtime), Arc::clone(provider), Key::new("bench/missing")?);
    Ok(Box::new(move |times| {
        runtime.block_on(async {
            for _ in 0..times {
                match black_box(provider.metadata(&key).await) {
                    Err(Error::NotFound { .. }) => {}
                    other => bail!("metadata of a missing key: {other:?}"),
                }
            }
            Ok(())
        })
    }))
}
