use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::report::Row;
use super::stopwatch::time;
use crate::error::Result;
use crate::object::{AttributeChanges, Body, Key};
use crate::provider::memory::MemoryStorageProvider;
use crate::provider::{ListQuery, StorageProvider, StoreOptions};

/// How large objects are, and over how many keys they are spread, so that few bytes are there at a time.
const SIZES: [(&str, usize, u64); 3] = [("100 B", 100, 64), ("4 KiB", 4 << 10, 64), ("1 MiB", 1 << 20, 4)];
/// How many objects a listing has.
const LISTED: u64 = 100;

/// Measures a provider and the native memory provider, an operation at a time.
///
/// # Errors
/// The first failure of either.
pub(super) async fn measure(plugin: Arc<dyn StorageProvider>, budget: Duration) -> Result<Vec<Row>> {
    let native: Arc<dyn StorageProvider> = Arc::new(MemoryStorageProvider::new());
    let mut rows = Vec::new();
    let sides = [&plugin, &native];
    for (size, bytes, keys) in SIZES {
        let body = Bytes::from(vec![b'x'; bytes]);
        let mut stored = Vec::new();
        let mut read = Vec::new();
        for provider in sides {
            for number in 0..keys {
                store(&**provider, number, body.clone()).await?;
            }
            stored.push(time(budget, |number| store(&**provider, number % keys, body.clone())).await?);
            read.push(time(budget, |number| retrieve(&**provider, number % keys, bytes)).await?);
        }
        rows.push(Row::new(format!("store {size}"), &stored).with_bytes(bytes));
        rows.push(Row::new(format!("retrieve {size}"), &read).with_bytes(bytes));
        for provider in sides {
            for number in 0..keys {
                provider.delete(&key(number)?, None).await?;
            }
        }
    }
    let mut columns = [const { Vec::new() }; 4];
    for provider in sides {
        for number in 0..LISTED {
            store(&**provider, number, Bytes::from_static(b"x")).await?;
        }
        columns[0].push(time(budget, |number| metadata(&**provider, number % LISTED)).await?);
        columns[1].push(time(budget, |number| update(&**provider, number % LISTED)).await?);
        columns[2].push(time(budget, |_| list(&**provider)).await?);
        columns[3].push(time(budget, |number| come_and_go(&**provider, number)).await?);
    }
    let names = ["metadata", "update", "list of 100", "store 1 B, then delete"];
    rows.extend(names.into_iter().zip(&columns).map(|(name, times)| Row::new(name.to_owned(), times)));
    Ok(rows)
}

fn key(number: u64) -> Result<Key> {
    Key::new(format!("bench/{number:04}"))
}

async fn store(provider: &dyn StorageProvider, number: u64, body: Bytes) -> Result<()> {
    provider.store(&key(number)?, Body::Bytes(body), StoreOptions::default()).await.map(drop)
}

async fn retrieve(provider: &dyn StorageProvider, number: u64, size: usize) -> Result<()> {
    let object = provider.retrieve(&key(number)?, None).await?;
    object.body.collect(size as u64).await.map(drop)
}

async fn metadata(provider: &dyn StorageProvider, number: u64) -> Result<()> {
    provider.metadata(&key(number)?).await.map(drop)
}

async fn update(provider: &dyn StorageProvider, number: u64) -> Result<()> {
    let changes = AttributeChanges { content_type: Some("text/plain".into()), ..AttributeChanges::default() };
    provider.update(&key(number)?, changes, None).await.map(drop)
}

async fn list(provider: &dyn StorageProvider) -> Result<()> {
    provider.list(&ListQuery::all()).await.map(drop)
}

async fn come_and_go(provider: &dyn StorageProvider, number: u64) -> Result<()> {
    store(provider, LISTED + number % LISTED, Bytes::from_static(b"x")).await?;
    provider.delete(&key(LISTED + number % LISTED)?, None).await
}
