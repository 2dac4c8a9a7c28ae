//! A read that the cache answers: through the owner of a store, next to the bare quick_cache below it.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use bytesize::ByteSize;
use larder::cache::{CacheConfig, CacheManager, EvictionPolicy, EvictionStrategyFactory};
use larder::lifecycle::ReadLog;
use larder::manager::StorageManager;
use larder::monitor::StorageMonitor;
use larder::object::{Body, Key, StorageMetadata, StoreName, now};
use larder::provider::memory::MemoryStorageProvider;
use quick_cache::sync::Cache;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::stopwatch::Side::{Larder, Native};
use crate::stopwatch::{Operation, Work};
use crate::workload::Objects;

/// Everything fits.
const SIZE: ByteSize = ByteSize::mib(256);

pub(super) fn operations(runtime: &Arc<Runtime>, sieve: &Arc<dyn EvictionStrategyFactory>) -> Result<Vec<Operation>> {
    let objects = Arc::new(Objects::new(4 << 10)?);
    let by_sieve = CacheConfig { eviction_policy: EvictionPolicy::Custom(Arc::clone(sieve)), ..CacheConfig::new(SIZE) };
    let unnoted = |_: &Path| Ok(None);
    let noted = |folder: &Path| Ok(Some(Arc::new(ReadLog::open(&folder.join("reads"), Arc::new(now))?)));
    let sides: [(&str, CacheManager, &dyn Fn(&Path) -> Result<Option<Arc<ReadLog>>>); 3] = [
        ("cache hit, 4 KiB", CacheManager::new(&CacheConfig::new(SIZE))?, &unnoted),
        ("cache hit, 4 KiB, evicted by sieve", CacheManager::new(&by_sieve)?, &unnoted),
        ("cache hit, 4 KiB, reads noted", CacheManager::new(&CacheConfig::new(SIZE))?, &noted),
    ];
    let operation = |(name, cache, reads): (&str, _, &dyn Fn(&Path) -> Result<Option<Arc<ReadLog>>>)| {
        let folder = tempfile::tempdir()?;
        let reads = reads(folder.path())?;
        let works = vec![(Native, bare(&objects)), (Larder, managed(runtime, cache, reads, folder, &objects)?)];
        Ok(Operation { name: name.to_owned(), works })
    };
    sides.into_iter().map(operation).collect()
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

/// With a log of reads it notes them there; `folder` is where that is.
fn managed(
    runtime: &Arc<Runtime>,
    cache: CacheManager,
    reads: Option<Arc<ReadLog>>,
    folder: TempDir,
    objects: &Arc<Objects>,
) -> Result<Work> {
    let (runtime, objects, name) = (Arc::clone(runtime), Arc::clone(objects), StoreName::new("bench")?);
    let monitor = StorageMonitor::new()?.store(&name);
    let manager = StorageManager::new(name, Arc::new(MemoryStorageProvider::new()), Some(cache), monitor);
    let manager = reads.into_iter().fold(manager, StorageManager::with_reads);
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
        // It is there for as long as what is in it is written.
        let _folder = &folder;
        runtime.block_on(async {
            for turn in 0..times {
                black_box(manager.retrieve_data(black_box(objects.key(turn)), None).await?);
            }
            Ok(())
        })
    }))
}
