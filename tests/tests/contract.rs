//! Every provider held to the same contract, natively and as a plugin.

use std::sync::Arc;

use async_trait::async_trait;
use larder::contract::{self, Subject, Verdict};
use larder::error::{Error, Result};
use larder::plugin::PluginError;
use larder::provider::StorageProvider;
use larder::provider::memory::MemoryStorageProvider;
use larder_tests::Runtime;

/// Holds a provider to every promise, and names all that it breaks.
async fn keeps_every_promise(subject: &dyn Subject) {
    let outcomes = contract::check(subject).await;
    assert!(outcomes.len() >= 50);
    let not_kept = |verdict: &Verdict| match verdict {
        Verdict::Kept => false,
        Verdict::NotApplicable => subject.is_persistent(),
        Verdict::Broken(_) | Verdict::Unsupported(_) => true,
    };
    let broken: Vec<String> =
        outcomes.iter().filter(|outcome| not_kept(&outcome.verdict)).map(ToString::to_string).collect();
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

struct WasmMemory(Runtime);

#[async_trait]
impl Subject for WasmMemory {
    async fn open(&self, _: usize) -> Result<Arc<dyn StorageProvider>> {
        let plugin = self.0.load("memory", serde_json::Value::Null).await.map_err(load_error)?;
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

#[tokio::test(flavor = "multi_thread")]
async fn native_memory_keeps_the_contract() {
    keeps_every_promise(&NativeMemory).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wasm_memory_keeps_the_contract() {
    keeps_every_promise(&WasmMemory(Runtime::new())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_layer_versions_keeps_the_contract() {
    keeps_every_promise(&VersionsOverMemory(Runtime::new())).await;
}
