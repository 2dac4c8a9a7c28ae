use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use bytesize::ByteSize;
use futures::future::try_join_all;
use larder::object::{Body, Key};
use larder::provider::file::{Durability, FileOptions, FileStorageProvider};
use larder::provider::{ListQuery, StorageProvider, StoreOptions};
use tokio::runtime::Runtime;

/// How many are stored at the same time while the store is filled.
const AT_ONCE: u64 = 512;
/// How often each thing is done that is measured.
const TIMES: u64 = 200;

/// Fills a store with so many small objects, and prints what they cost.
///
/// # Errors
/// A disk that can not be written.
pub(super) fn measure(runtime: &Arc<Runtime>, folder: &Path, keys: u64) -> Result<()> {
    let folder = folder.join("store");
    let bytes = Bytes::from_static(&[b'x'; 100]);
    let put = |provider: &Arc<FileStorageProvider>, number: u64| {
        let (provider, bytes) = (Arc::clone(provider), bytes.clone());
        async move {
            let key = Key::new(key(number))?;
            anyhow::Ok(provider.store(&key, Body::Bytes(bytes), StoreOptions::default()).await?)
        }
    };
    let begun = Instant::now();
    {
        let filled = Arc::new(FileStorageProvider::open(&folder, &FileOptions { durability: Durability::None })?);
        runtime.block_on(async {
            for start in (0..keys).step_by(AT_ONCE as usize) {
                try_join_all((start..keys.min(start + AT_ONCE)).map(|number| put(&filled, number))).await?;
            }
            anyhow::Ok(())
        })?;
    }
    let filled = begun.elapsed();
    let index = fs::metadata(folder.join("index.sqlite"))?.len();
    let begun = Instant::now();
    let provider = Arc::new(FileStorageProvider::open(&folder, &FileOptions::default())?);
    let opened = begun.elapsed();
    let mut page = |number: u64| -> Result<()> {
        let query = ListQuery { start_after: Some(key(number)), ..ListQuery::all() };
        let found = runtime.block_on(provider.list(&query))?;
        ensure!(!found.objects.is_empty(), "there is nothing behind {number}");
        Ok(())
    };
    let listed = each(keys, &mut page)?;
    let stored = each(keys, &mut |number| runtime.block_on(put(&provider, number)).map(drop))?;
    let looked_up = each(keys, &mut |number| {
        runtime.block_on(provider.metadata(&Key::new(key(number))?))?;
        Ok(())
    })?;
    let a_key = index as f64 / keys as f64;
    println!(
        "{keys} keys of 100 bytes: filled in {filled:.1?}, the index has {} ({a_key:.0} bytes a key)",
        ByteSize::b(index)
    );
    println!(
        "opening {opened:.1?}; a page of 1,000 {listed:.1?}, put {stored:.1?}, head {looked_up:.1?} (mean of {TIMES})"
    );
    Ok(())
}

/// Keys that lie all over the place in byte order, whatever the order of their numbers.
fn key(number: u64) -> String {
    format!("{:016x}", number.wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

fn each(keys: u64, work: &mut dyn FnMut(u64) -> Result<()>) -> Result<Duration> {
    let begun = Instant::now();
    for time in 0..TIMES {
        work(time * (keys / TIMES).max(1) % keys)?;
    }
    Ok(begun.elapsed() / TIMES as u32)
}
