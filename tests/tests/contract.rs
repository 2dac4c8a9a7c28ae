//! Every part behind a seam held to the contract of its kind, natively, as a plugin, as a layer, and behind a cache.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::{self, BoxFuture};
use larder::cache::{CacheConfig, CacheManager, EvictionPolicy};
use larder::contract::{self, Component, Options, Part, Report, StoreForm, Verdict, eviction, provider};
use larder::error::{Error, Result};
use larder::manager::StorageManager;
use larder::monitor::StorageMonitor;
use larder::object::{Key, StoreName};
use larder::plugin::{GrantedSecrets, Kind, SecretSource};
use larder::provider::StorageProvider;
use larder::provider::file::{Durability, FileOptions, FileStorageProvider};
use larder::provider::layers::{Encryption, EncryptionKey, Layers};
use larder::provider::memory::MemoryStorageProvider;
use larder_tests::{Runtime, tell};
use serde_json::{Value, json};
use tempfile::TempDir;

struct NativeMemory;

#[async_trait]
impl provider::Subject for NativeMemory {
    async fn open(&self, _: &str) -> Result<Arc<dyn StorageProvider>> {
        Ok(Arc::new(MemoryStorageProvider::new()))
    }
}

/// Files that last as the options say, within layers.
struct NativeFiles {
    folder: TempDir,
    options: FileOptions,
    layers: Layers,
}

impl NativeFiles {
    fn part(durability: Durability, layers: Layers) -> Part {
        let folder = tempfile::tempdir().expect("there is room for temporary files");
        Part::Provider(Arc::new(Self { folder, options: FileOptions { durability }, layers }))
    }
}

#[async_trait]
impl provider::Subject for NativeFiles {
    async fn open(&self, home: &str) -> Result<Arc<dyn StorageProvider>> {
        let files = FileStorageProvider::open(&self.folder.path().join(home), &self.options)?;
        Ok(self.layers.clone().around(Arc::new(files)))
    }

    fn is_persistent(&self) -> bool {
        true
    }
}

fn zstd() -> Layers {
    Layers { compression: Some(3), ..Layers::default() }
}

fn encrypted() -> Layers {
    let key = EncryptionKey::parse(&"5a".repeat(32)).expect("it is a key");
    Layers { encryption: Some(Encryption { key, old_keys: Vec::new() }), ..Layers::default() }
}

fn all_layers() -> Layers {
    Layers { max_size: Some(1 << 40), ..Layers { compression: Some(3), ..encrypted() } }
}

/// Memory behind a cache that is full after a few objects.
struct Cached(EvictionPolicy);

#[async_trait]
impl provider::Subject for Cached {
    async fn open(&self, _: &str) -> Result<Arc<dyn StorageProvider>> {
        let size_limit = "200KiB".parse().map_err(Error::internal)?;
        let config = CacheConfig { eviction_policy: self.0.clone(), ..CacheConfig::new(size_limit) };
        let (name, monitor) = (StoreName::new("cached")?, StorageMonitor::new()?);
        let (memory, cache) = (Arc::new(MemoryStorageProvider::new()), CacheManager::new(&config)?);
        let monitor = monitor.store(&name);
        Ok(Arc::new(StorageManager::new(name, memory, Some(cache), monitor)))
    }
}

/// A native strategy by itself.
fn strategy(policy: &EvictionPolicy, is_deterministic: bool) -> Part {
    let factory = policy.strategy().expect("it is not the default, which is a cache of its own");
    Part::Eviction(Arc::new(eviction::Native { factory, is_deterministic }))
}

/// Little memory, so that what is larger takes no time; and as much time as a machine needs that has other things to do.
fn tight(mut component: Component) -> Component {
    component.options.limits.memory = 32 << 20;
    component.options.limits.call_timeout = Some(Duration::from_secs(20));
    component
}

fn layer(form: StoreForm) -> impl FnOnce(Component) -> Component {
    move |component| {
        let mut component = tight(component).with_store("current", form).with_store("history", form);
        component.options.limits.instances = 4;
        component
    }
}

fn retention() -> Value {
    json!({ "rules": [
        { "prefix": "tmp/", "tags": { "class": "temporary" }, "delete_after": "30d", "archive_after": "7d", "retain": "1d" },
        { "prefix": "logs/", "delete_after": "90d" },
        { "larger_than": 1_000_000, "archive_after": "2w" },
    ] })
}

/// All parts, by their names in the table.
async fn parts(runtime: &Runtime) -> Vec<(&'static str, Part)> {
    use Durability::{None as Unsynced, Relaxed, Strict};

    let native = |subject: Arc<dyn provider::Subject>| Part::Provider(subject);
    let plugin =
        |name: &'static str, settings: Value| async move { runtime.part(name, settings, tight).await.unwrap() };
    let sieve = runtime.load("sieve", Value::Null).await.unwrap().eviction().unwrap();
    vec![
        ("memory", native(Arc::new(NativeMemory))),
        ("file", NativeFiles::part(Strict, Layers::default())),
        ("file, relaxed", NativeFiles::part(Relaxed, Layers::default())),
        ("file, not synced", NativeFiles::part(Unsynced, Layers::default())),
        ("file, zstd", NativeFiles::part(Strict, zstd())),
        ("file, zstd, relaxed", NativeFiles::part(Relaxed, zstd())),
        ("file, zstd, not synced", NativeFiles::part(Unsynced, zstd())),
        ("file, encrypted", NativeFiles::part(Strict, encrypted())),
        ("file, encrypted, relaxed", NativeFiles::part(Relaxed, encrypted())),
        ("file, encrypted, not synced", NativeFiles::part(Unsynced, encrypted())),
        ("file, all layers", NativeFiles::part(Strict, all_layers())),
        ("file, all layers, relaxed", NativeFiles::part(Relaxed, all_layers())),
        ("file, all layers, not synced", NativeFiles::part(Unsynced, all_layers())),
        ("memory, plugin", plugin("memory", Value::Null).await),
        (
            "versions over memory, plugin",
            runtime.part("versions", json!({ "keep": 3 }), layer(StoreForm::Memory)).await.unwrap(),
        ),
        (
            "versions over files, plugin",
            runtime.part("versions", json!({ "keep": 3 }), layer(StoreForm::File)).await.unwrap(),
        ),
        ("memory behind the default cache", native(Arc::new(Cached(EvictionPolicy::Default)))),
        ("memory behind an lru cache", native(Arc::new(Cached(EvictionPolicy::Lru)))),
        ("memory behind a cache of sieve", native(Arc::new(Cached(EvictionPolicy::Custom(sieve))))),
        ("lru", strategy(&EvictionPolicy::Lru, true)),
        ("fifo", strategy(&EvictionPolicy::Fifo, true)),
        ("random", strategy(&EvictionPolicy::Random, false)),
        ("lfu", strategy(&EvictionPolicy::Lfu, true)),
        ("sieve", strategy(&EvictionPolicy::Sieve, true)),
        ("clock", strategy(&EvictionPolicy::Clock, true)),
        ("s3-fifo", strategy(&EvictionPolicy::S3Fifo, true)),
        ("sieve, plugin", plugin("sieve", Value::Null).await),
        ("s3-fifo, plugin", plugin("s3-fifo", Value::Null).await),
        ("tinylfu, plugin", plugin("tinylfu", Value::Null).await),
        ("gdsf, plugin", plugin("gdsf", Value::Null).await),
        ("retention, plugin", plugin("retention", retention()).await),
    ]
}

fn row(cells: [&str; 7]) -> String {
    let [part, kind, kept, broken, unsupported, not_applicable, seconds] = cells;
    format!("{part:<34}{kind:<11}{kept:>6}{broken:>8}{unsupported:>13}{not_applicable:>7}{seconds:>9}\n")
}

fn table(reports: &[Report]) -> String {
    let mut table = row(["PART", "CONTRACT", "KEPT", "BROKEN", "UNSUPPORTED", "N.A.", "SECONDS"]);
    for report in reports {
        let counts = report.counts();
        let numbers =
            [counts.kept, counts.broken, counts.unsupported, counts.not_applicable].map(|count| count.to_string());
        let [kept, broken, unsupported, not_applicable] = numbers.each_ref().map(String::as_str);
        let seconds = format!("{:.1}", report.took().as_secs_f64());
        table += &row([&report.part, report.kind.as_str(), kept, broken, unsupported, not_applicable, &seconds]);
    }
    table
}

/// What there is to be said against a report of a first-party part: it must keep everything that applies to it.
fn complaints(report: &Report) -> Vec<String> {
    let is_kept = |verdict: &Verdict| matches!(verdict, Verdict::Kept | Verdict::NotApplicable);
    let not_kept = report.outcomes.iter().filter(|outcome| !is_kept(&outcome.verdict));
    not_kept.map(|outcome| format!("{}: {outcome}", report.part)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_part_keeps_its_contract() {
    let runtime = Runtime::new();
    let check = |(name, part): (&'static str, Part)| -> BoxFuture<'static, Report> {
        Box::pin(async move { contract::check(name, &part, &Options::default()).await })
    };
    let mut reports = Vec::new();
    // Two at a time: one waits while the other computes, and none is so slow that it runs out of time.
    let mut parts = parts(&runtime).await;
    while !parts.is_empty() {
        let pair = parts.drain(..parts.len().min(2)).map(check).map(tokio::spawn);
        reports.extend(future::try_join_all(pair).await.unwrap());
    }
    let table = table(&reports);
    tell(&format!("\n{table}"));
    let complaints: Vec<String> = reports.iter().flat_map(complaints).collect();
    assert!(complaints.is_empty(), "{table}\n{}", complaints.join("\n"));
    for kind in Kind::ALL {
        let longest = reports.iter().filter(|report| report.kind == kind).map(|report| report.outcomes.len()).max();
        assert_eq!(longest, Some(contract::promises(kind).len()), "nobody was held to all of {kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_under_test_has_state_of_its_own_in_every_home() {
    let runtime = Runtime::new();
    let granted = |mut component: Component| {
        let source: SecretSource = Box::new(|| Ok("unused".to_owned()));
        component.options.grants.secrets = GrantedSecrets::new([("token".to_owned(), source)].into());
        component.options.grants.http = vec!["localhost".parse().unwrap()];
        component.with_state()
    };
    let Part::Provider(subject) = runtime.part("reach", Value::Null, granted).await.unwrap() else {
        panic!("reach is a provider");
    };
    assert!(subject.is_persistent());
    let run = async |home: &str, command: &str| {
        let object = subject.open(home).await?.retrieve(&Key::new(command)?, None).await?;
        object.body.collect(1 << 20).await
    };
    run("one", "put-new k v").await.unwrap();
    assert_eq!(run("one", "get k").await.unwrap(), "v", "it outlives the plugin");
    assert_eq!(run("other", "get k").await.unwrap(), "absent");
}
