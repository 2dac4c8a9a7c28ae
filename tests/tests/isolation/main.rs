//! What a plugin does wrong is an error for its caller, in time, and nobody else's trouble.

mod handover;
mod limits;
mod log;
mod neighbours;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use larder::error::{Error, Result};
use larder::object::{Body, Digest, Key};
use larder::plugin::{PluginError, PluginOptions, PluginRuntime, Registry};
use larder::provider::memory::MemoryStorageProvider;
use larder::provider::{ListQuery, StorageProvider, StoreOptions};
use larder_tests::{Runtime, component, project};
use serde_json::{Value, json};

const CALL_TIMEOUT: Duration = Duration::from_secs(1);
/// How much later than its limit an answer may come on a machine that has other things to do.
const SLACK: Duration = Duration::from_secs(3);

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

/// The value of a metric, summed over the series that have these labels.
fn metric(registry: &Registry, name: &str, labels: &[(&str, &str)]) -> u64 {
    let families = registry.gather();
    let series = families.iter().filter(|family| family.name() == name).flat_map(|family| family.get_metric());
    let asked_for = series.filter(|series| {
        let has = |name: &str, value: &str| {
            series.get_label().iter().any(|pair| pair.name() == name && pair.value() == value)
        };
        labels.iter().all(|(name, value)| has(name, value))
    });
    asked_for.map(|series| series.get_counter().get_value() as u64 + series.get_gauge().get_value() as u64).sum()
}

/// The provider that misbehaves.
async fn zoo(runtime: &Runtime, when: &str) -> Result<Arc<dyn StorageProvider>, PluginError> {
    let settings = json!({ "when": when });
    let plugin = runtime.load_with("zoo", settings, |options| {
        options.limits.call_timeout = Some(CALL_TIMEOUT);
        options.restart.quarantine_after = None;
        options.restart.backoff = Duration::ZERO;
    });
    plugin.await?.provider()
}

async fn store(provider: &dyn StorageProvider, name: &str, bytes: impl Into<Bytes>) -> Result<()> {
    provider.store(&key(name), Body::Bytes(bytes.into()), StoreOptions::default()).await.map(drop)
}

/// All bytes of an object.
async fn read(provider: &dyn StorageProvider, name: &str) -> Result<Bytes> {
    provider.retrieve(&key(name), None).await?.body.collect(u64::MAX).await
}

/// Breaks the test unless the plugin works.
async fn works(provider: &dyn StorageProvider) {
    store(provider, "good", "bytes").await.unwrap();
    assert_eq!(read(provider, "good").await.unwrap(), "bytes");
}

/// A call that fails in time and leaves the next one a working instance.
async fn fails_alone(provider: &dyn StorageProvider, call: impl Future<Output = Result<()>>, kind: &str, says: &str) {
    let begun = Instant::now();
    let error = call.await.unwrap_err();
    let took = begun.elapsed();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(says), "{error}");
    assert!(took < CALL_TIMEOUT + SLACK, "it took {took:?}");
    works(provider).await;
}

/// Faults that end the instance, with the error that the caller gets.
const FATAL: [(&str, &str, &str); 4] = [
    ("loop/a", "timeout", "limits.call_timeout"),
    ("wait/a", "unavailable", "the plugin zoo failed"),
    ("trap/a", "unavailable", "the plugin zoo failed"),
    ("bomb/a", "exhausted", "limits.memory"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_goes_wrong_fails_alone() {
    let zoo = zoo(&Runtime::new(), "reading").await.unwrap();
    for (name, kind, says) in FATAL {
        fails_alone(&*zoo, async { read(&*zoo, name).await.map(drop) }, kind, says).await;
        fails_alone(&*zoo, async { zoo.metadata(&key(name)).await.map(drop) }, kind, says).await;
        fails_alone(&*zoo, async { zoo.delete(&key(name), None).await }, kind, says).await;
        fails_alone(&*zoo, async { zoo.list(&ListQuery::with_prefix(name)).await.map(drop) }, kind, says).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_goes_wrong_fails_alone() {
    let zoo = zoo(&Runtime::new(), "writing").await.unwrap();
    for (name, kind, says) in FATAL {
        fails_alone(&*zoo, store(&*zoo, name, "x"), kind, says).await;
        let pieces = futures::stream::iter([Ok(Bytes::from_static(b"in ")), Ok(Bytes::from_static(b"pieces"))]);
        let name = key(name);
        let streamed = zoo.store(&name, Body::stream(pieces), StoreOptions::default());
        fails_alone(&*zoo, async { streamed.await.map(drop) }, kind, says).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_does_not_come_out_of_opening_is_refused_in_time() {
    let begun = Instant::now();
    let error = zoo(&Runtime::new(), "opening").await.unwrap_err().to_string();
    assert!(begun.elapsed() < CALL_TIMEOUT + 5 * SLACK, "it took {:?}", begun.elapsed());
    assert!(error.contains("open") && error.contains("limits.call_timeout"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_a_plugin_does_not_take_are_refused_with_its_words() {
    let error = zoo(&Runtime::new(), "sleeping").await.unwrap_err();
    assert!(matches!(&error, PluginError::Settings(_)), "{error:?}");
    assert!(error.to_string().contains("sleeping") && error.to_string().contains("reading"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plugin_gets_wrong_is_never_data() {
    let zoo = zoo(&Runtime::new(), "reading").await.unwrap();
    let large = vec![7; 3 << 20];
    for (name, bytes, kind) in [
        ("lie-size/a", &b"bytes"[..], "corrupt"),
        ("lie-key/a", b"bytes", "internal"),
        ("flip/a", b"bytes", "corrupt"),
        ("flip/large", &large, "corrupt"),
        ("short/a", b"bytes", "corrupt"),
        ("short/large", &large, "corrupt"),
        ("cut/large", &large, "unavailable"),
        ("oversized/large", &large, "internal"),
    ] {
        store(&*zoo, name, bytes.to_vec()).await.unwrap();
        let error = read(&*zoo, name).await.map(|bytes| bytes.len()).unwrap_err();
        assert_eq!(error.kind(), kind, "{name}: {error}");
        works(&*zoo).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_a_plugin_tells_wrong_is_an_error() {
    let zoo = zoo(&Runtime::new(), "writing").await.unwrap();
    for name in ["lie-size/a", "lie-key/a"] {
        let error = store(&*zoo, name, "bytes").await.unwrap_err();
        assert_eq!(error.kind(), "internal", "{name}: {error}");
    }
    works(&*zoo).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_is_none_is_an_error() {
    let zoo = zoo(&Runtime::new(), "reading").await.unwrap();
    for folder in ["order/", "flood/", "endless/"] {
        for name in ["a", "b", "c"] {
            store(&*zoo, &format!("{folder}{name}"), "x").await.unwrap();
        }
        let query = ListQuery { limit: 2, ..ListQuery::with_prefix(folder) };
        let error = zoo.list(&query).await.unwrap_err();
        assert_eq!(error.kind(), "internal", "{folder}: {error}");
        assert!(error.to_string().contains("broke the contract"), "{error}");
    }
    works(&*zoo).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_log_lines_holds_nothing_up() {
    let zoo = zoo(&Runtime::new(), "reading").await.unwrap();
    store(&*zoo, "log/a", "bytes").await.unwrap();
    match read(&*zoo, "log/a").await {
        Ok(bytes) => assert_eq!(bytes, "bytes"),
        Err(error) => assert!(matches!(error, Error::Timeout { .. }), "{error}"),
    }
    works(&*zoo).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_loop_in_one_plugin_leaves_the_others_alone() {
    let runtime = Runtime::new();
    let settings = json!({ "when": "reading" });
    let limit = Duration::from_secs(2);
    let adjust = |options: &mut PluginOptions| options.limits.call_timeout = Some(limit);
    let looping = runtime.load_with("zoo", settings, adjust).await.unwrap().provider().unwrap();
    let wasm = runtime.load("memory", Value::Null).await.unwrap().provider().unwrap();
    let native = MemoryStorageProvider::new();
    store(&*wasm, "k", "wasm").await.unwrap();
    store(&native, "k", "native").await.unwrap();

    let begun = Instant::now();
    let stuck = tokio::spawn(async move { read(&*looping, "loop/a").await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    for _ in 0..200 {
        assert_eq!(read(&*wasm, "k").await.unwrap(), "wasm");
        assert_eq!(read(&native, "k").await.unwrap(), "native");
    }
    assert!(begun.elapsed() < limit, "400 reads took {:?} beside the loop", begun.elapsed());
    let error = stuck.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), "timeout", "{error}");
    assert!(begun.elapsed() < limit + SLACK);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_not_granted_is_refused_with_what_would_grant_it() {
    let error = Runtime::new().load("versions", Value::Null).await.unwrap_err();
    assert!(matches!(error, PluginError::Ungranted(_)), "{error:?}");
    let error = error.to_string();
    assert!(error.contains("inner-stores") && error.contains("grants: { stores: { NAME: STORE } }"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_not_granted_can_not_be_opened() {
    let runtime = Runtime::new();
    let loaded = runtime.load_with("versions", Value::Null, |options| {
        let granted: Arc<dyn StorageProvider> = Arc::new(MemoryStorageProvider::new());
        options.grants.stores = [("current".to_owned(), granted)].into();
    });
    let error = loaded.await.unwrap_err().to_string();
    assert!(error.contains("history") && error.contains("stores: { history: STORE }"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_was_compiled_for_a_pinned_digest_runs_for_no_other_component() {
    let unpinned = Runtime::new();
    let [memory, sieve] = ["memory", "sieve"].map(|name| unpinned.load(name, Value::Null));
    let (memory, sieve) = (memory.await.unwrap().digest(), sieve.await.unwrap().digest());
    // The code of both is there in one of these, and of none in the other.
    for runtime in [unpinned, Runtime::new()] {
        let pinned = |name, digest: &Digest| {
            let digest = Some(digest.clone());
            runtime.load_with(name, Value::Null, |options| options.digest = digest)
        };
        let error = pinned("memory", &sieve).await.unwrap_err();
        assert!(
            matches!(&error, PluginError::Digest { wanted, found } if *wanted == sieve && *found == memory),
            "{error}"
        );
        for _ in 0..2 {
            let loaded = pinned("memory", &memory).await.unwrap();
            store(&*loaded.provider().unwrap(), "k", "v").await.unwrap();
            assert_eq!(pinned("sieve", &sieve).await.unwrap().digest(), sieve);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_of_another_kind_is_told_apart() {
    let sieve = Runtime::new().load("sieve", Value::Null).await.unwrap();
    let error = sieve.provider().unwrap_err().to_string();
    assert_eq!(error, "it is an eviction strategy, and a storage provider is wanted here");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_plugin_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = PluginRuntime::new(folder.path().join("compiled")).unwrap();
    let memory = std::fs::read(component("memory").await).unwrap();
    let module = project().join("plugins/target/wasm32-unknown-unknown/release/memory.wasm");
    let module = std::fs::read(module).expect("the component was made of it");
    let flipped = {
        let mut bytes = memory.clone();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 64].fill(0xff);
        bytes
    };
    for (name, bytes, says) in [
        ("module", &module[..], "a core WebAssembly module, and a plugin is a component"),
        ("garbage", b"#!/bin/sh\necho pwned\n", "no WebAssembly"),
        ("empty", b"", "no WebAssembly"),
        ("truncated", &memory[..memory.len() / 2], "broken or cut-off"),
        ("damaged", &flipped, ""),
        ("no-plugin", b"\0asm\x0d\0\x01\0", "no larder plugin"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let options = PluginOptions::new(name);
        let error = runtime.load(&path, options).await.map(drop).expect_err(name).to_string();
        assert!(error.contains(says), "{name}: {error}");
    }
    let options = PluginOptions::new("no");
    let error = runtime.load(&folder.path().join("missing.wasm"), options).await.unwrap_err().to_string();
    assert!(error.contains("missing.wasm"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_is_compiled_once() {
    let folder = tempfile::tempdir().unwrap();
    let compiled = folder.path().join("compiled");
    let path = component("memory").await;
    let options = || PluginOptions::new("memory");
    let files = || {
        let entries = std::fs::read_dir(&compiled).unwrap().map(|entry| entry.unwrap());
        entries.map(|entry| (entry.file_name(), entry.metadata().unwrap().modified().unwrap())).collect::<Vec<_>>()
    };
    PluginRuntime::new(compiled.clone()).unwrap().load(&path, options()).await.unwrap();
    let first = files();
    assert_eq!(first.len(), 1);
    // Another runtime, as after a restart: it finds the code, and writes none.
    let plugin = PluginRuntime::new(compiled.clone()).unwrap().load(&path, options()).await.unwrap();
    assert_eq!(files(), first);
    works(&*plugin.provider().unwrap()).await;
}
