//! Every provider held to the same contract: natively, as a plugin, as a layer, and behind a cache.

use std::sync::Arc;

use async_trait::async_trait;
use larder::cache::{CacheConfig, CacheManager, EvictionPolicy};
use larder::contract::{self, Subject, Verdict};
use larder::error::{Error, Result};
use larder::manager::StorageManager;
use larder::monitor::StorageMonitor;
use larder::object::StoreName;
use larder::plugin::PluginError;
use larder::provider::StorageProvider;
use larder::provider::file::FileStorageProvider;
use larder::provider::memory::MemoryStorageProvider;
use larder_tests::Runtime;
use serde_json::Value;
use tempfile::TempDir;

/// Holds a provider to every promise, and names all that it breaks.
async fn keeps_every_promise(subject: &dyn Subject) {
    let outcomes = contract::check(subject).await;
    assert!(outcomes.len() >= 50);
    let is_kept = |verdict: &Verdict| match verdict {
        Verdict::Kept => true,
        Verdict::NotApplicable => !subject.is_persistent(),
        Verdict::Broken(_) | Verdict::Unsupported(_) => false,
    };
    let broken: Vec<String> =
        outcomes.iter().filter(|outcome| !is_kept(&outcome.verdict)).map(ToString::to_string).collect();
    assert!(broken.is_empty(), "{} of {} promises are broken:\n{}", broken.len(), outcomes.len(), broken.join("\n"));
}

fn load_error(error: PluginError) -> Error {
    Error::internal(error.to_string())
}

struct NativeMemory;

#[async_trait]
impl Subject for NativeMemory {
    async fn open(&self, _: usize) -> Result<Arc<dyn StorageProvider>> {
        Ok(Arc::new(MemoryStorageProvider::new()))
    }

    fn is_persistent(&self) -> bool {
        false
    }
}

struct NativeFile(TempDir);

#[async_trait]
impl Subject for NativeFile {
    async fn open(&self, home: usize) -> Result<Arc<dyn StorageProvider>> {
        Ok(Arc::new(FileStorageProvider::open(&self.0.path().join(home.to_string()))?))
    }

    fn is_persistent(&self) -> bool {
        true
    }
}

struct WasmMemory(Runtime);

#[async_trait]
impl Subject for WasmMemory {
    async fn open(&self, _: usize) -> Result<Arc<dyn StorageProvider>> {
        let plugin = self.0.load("memory", Value::Null).await.map_err(load_error)?;
        plugin.provider().map_err(load_error)
    }

    fn is_persistent(&self) -> bool {
        false
    }
}

struct VersionsOverMemory(Runtime);

#[async_trait]
impl Subject for VersionsOverMemory {
    async fn open(&self, _: usize) -> Result<Arc<dyn StorageProvider>> {
        let inner = || Arc::new(MemoryStorageProvider::new());
        self.0.versions(inner(), inner()).await.map_err(load_error)
    }

    fn is_persistent(&self) -> bool {
        false
    }
}

struct VersionsOverFiles(Runtime, TempDir);

#[async_trait]
impl Subject for VersionsOverFiles {
    async fn open(&self, home: usize) -> Result<Arc<dyn StorageProvider>> {
        let folder = self.1.path().join(home.to_string());
        let inner = |name: &str| FileStorageProvider::open(&folder.join(name)).map(Arc::new);
        self.0.versions(inner("current")?, inner("history")?).await.map_err(load_error)
    }

    fn is_persistent(&self) -> bool {
        true
    }
}

/// Memory behind a cache that is full after a few objects.
struct Cached(EvictionPolicy);

#[async_trait]
impl Subject for Cached {
    async fn open(&self, _: usize) -> Result<Arc<dyn StorageProvider>> {
        let size_limit = "200KiB".parse().map_err(Error::internal)?;
        let config = CacheConfig { eviction_policy: self.0.clone(), ..CacheConfig::new(size_limit) };
        let (name, monitor) = (StoreName::new("cached")?, StorageMonitor::new()?);
        let (memory, cache) = (Arc::new(MemoryStorageProvider::new()), CacheManager::new(&config)?);
        let monitor = monitor.store(&name);
        Ok(Arc::new(StorageManager::new(name, memory, Some(cache), monitor)))
    }

    fn is_persistent(&self) -> bool {
        false
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn native_memory_keeps_the_contract() {
    keeps_every_promise(&NativeMemory).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn native_files_keep_the_contract() {
    keeps_every_promise(&NativeFile(tempfile::tempdir().unwrap())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wasm_memory_keeps_the_contract() {
    keeps_every_promise(&WasmMemory(Runtime::new())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_layer_versions_keeps_the_contract() {
    keeps_every_promise(&VersionsOverMemory(Runtime::new())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_layer_versions_over_files_keeps_the_contract() {
    keeps_every_promise(&VersionsOverFiles(Runtime::new(), tempfile::tempdir().unwrap())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_behind_the_default_cache_keeps_the_contract() {
    keeps_every_promise(&Cached(EvictionPolicy::Default)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_behind_an_lru_cache_keeps_the_contract() {
    keeps_every_promise(&Cached(EvictionPolicy::Lru)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_behind_a_cache_of_sieve_keeps_the_contract() {
    let sieve = Runtime::new().load("sieve", Value::Null).await.unwrap().eviction().unwrap();
    keeps_every_promise(&Cached(EvictionPolicy::Custom(sieve))).await;
}
