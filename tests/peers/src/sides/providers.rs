//! Providers through the seam of larder: the native one, and the one that is a plugin.

use std::hint::black_box;
use std::sync::Arc;

use anyhow::{Result, bail};
use larder::error::Error;
use larder::object::{Body, Key};
use larder::provider::StorageProvider;
use tokio::runtime::Runtime;

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
