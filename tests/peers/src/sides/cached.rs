//! A read that the cache answers: through the owner of a store, next to the bare quick_cache below it.

use std::hint::black_box;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use bytesize::ByteSize;
use larder::cache::{CacheConfig, CacheManager, EvictionPolicy, EvictionStrategyFactory};
use larder::manager::StorageManager;
use larder::monitor::StorageMonitor;
use larder::object::{Body, Key, StorageMetadata, StoreName};
use larder::provider::memory::MemoryStorageProvider;
use quick_cache::sync::Cache;
use tokio::runtime::Runtime;

use crate::stopwatch::Side::{Larder, Native};
use crate::stopwatch::{Operation, Work};
use crate::workload::Objects;

/// Everything fits.
const SIZE: ByteSize = ByteSize::mib(256);

pub(super) fn operations(runtime: &Arc<Runtime>, sieve: &Arc<dyn EvictionStrategyFactory>) -> Result<Vec<Operation>> {
    let objects = Arc::new(Objects::new(4 << 10)?);
    let by_sieve = CacheConfig { eviction_policy: EvictionPolicy::Custom(Arc::clone(sieve)), ..CacheConfig::new(SIZE) };
    let caches = [
        ("cache hit, 4 KiB", CacheManager::new(&CacheConfig::new(SIZE))?),
        ("cache hit, 4 KiB, evicted by sieve", CacheManager::new(&by_sieve)?),
    ];
    let operation = |(name, cache): (&str, _)| {
        let works = vec![(Native, bare(&objects)), (Larder, managed(runtime, cache, &objects)?)];
        Ok(Operation { name: name.to_owned(), works })
    };
    caches.into_iter().map(operation).collect()
}

/// What larder's cache holds of an object.
type Entry = (Arc<StorageMetadata>, Bytes);

fn bare(objects: &Arc<Objects>) -> Work {
    let objects = Arc::clone(objects);
    let cache: Cache<Key, Entry> = Cache::new(2 * objects.keys.len());
    for key in &objects.keys {
        cache.insert(key.clone(), (Arc::new(objects.metadata(key)), objects.body.clone()));
    }
    Box::new(move |times| {
        for turn in 0..times {
            black_box(cache.get(black_box(objects.key(turn))).context("a miss")?);
        }
        Ok(())
    })
}

fn managed(runtime: &Arc<Runtime>, cache: CacheManager, objects: &Arc<Objects>) -> Result<Work> {
    let (runtime, objects, name) = (Arc::clone(runtime), Arc::clone(objects), StoreName::new("bench")?);
    let monitor = StorageMonitor::new()?.store(&name);
    let manager = StorageManager::new(name, Arc::new(MemoryStorageProvider::new()), Some(cache), monitor);
    runtime.block_on(async {
        for key in &objects.keys {
            let body = Body::Bytes(objects.body.clone());
            let stored = manager.store_data(key, body, objects.options.clone()).await?;
            objects.check(key, &stored, &manager.retrieve_data(key, None).await?)?;
        }
        anyhow::Ok(())
    })?;
    let cached = manager.cache().map(|cache| cache.stats().entries);
    ensure!(cached == Some(objects.keys.len() as u64), "of {} objects, {cached:?} are cached", objects.keys.len());
    Ok(Box::new(move |times| {
        runtime.block_on(async {
            for turn in 0..times {
                black_box(manager.retrieve_data(black_box(objects.key(turn)), None).await?);
            }
            Ok(())
        })
    }))
}
