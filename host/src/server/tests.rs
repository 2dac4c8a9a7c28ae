use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytesize::ByteSize;
use futures::FutureExt;
use parking_lot::Mutex;
use prometheus::Registry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::s3::{Credential, S3Options};
use super::*;
use crate::alerts::AlertManager;
use crate::cache::{CacheConfig, CacheManager, EvictionPolicy};
use crate::client::{Invalidation, RemoteHost};
use crate::config::StorageType;
use crate::contract::{self, Options, Part, provider::Subject};
use crate::events::EventStream;
use crate::host::{HostedStore, PluginReport, ReloadReport};
use crate::lifecycle::{AgeingStep, LifecycleManager};
use crate::manager::{Probe, StorageManager};
use crate::monitor::{HealthCheck, HealthReport, HealthState, Sample, StorageMonitor};
use crate::object::{Body, Key, StoreName, Timestamp, now};
use crate::provider::layers::Seal;
use crate::provider::memory::MemoryStorageProvider;
use crate::provider::{StorageProvider, StoreOptions};
use crate::scheduler::{RunOutcome, Schedule, ScheduledTask, TaskExecutor, TaskScheduler};

/// Stores in memory, all of them made by `create`.
#[derive(Debug, Default)]
struct Shelves(Mutex<BTreeMap<StoreName, Arc<dyn StorageProvider>>>);

#[async_trait]
impl Stores for Shelves {
    async fn age(&self, _: &str, _: &Key, _: AgeingStep) -> Result<()> {
        Err(Error::unsupported("nothing ages here"))
    }

    fn lifecycle(&self, _: &str) -> Option<Arc<LifecycleManager>> {
        None
    }

    fn store(&self, name: &str) -> Option<Arc<dyn StorageProvider>> {
        self.0.lock().get(name).cloned()
    }

    fn seal(&self, _: &str) -> Option<Seal> {
        None
    }

    fn names(&self) -> Vec<(StoreName, Timestamp)> {
        self.0.lock().keys().map(|name| (name.clone(), now())).collect()
    }

    async fn create(&self, name: &StoreName) -> Result<()> {
        self.0.lock().insert(name.clone(), Arc::new(MemoryStorageProvider::new()));
        Ok(())
    }

    async fn remove(&self, name: &StoreName) -> Result<()> {
        self.0.lock().remove(name.as_str());
        Ok(())
    }
}

struct Running {
    s3: SocketAddr,
    admin: SocketAddr,
    stores: Arc<Shelves>,
    inventory: Arc<TwoStores>,
    stop: CancellationToken,
    _dir: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn options(dir: &tempfile::TempDir, credentials: Vec<Credential>) -> ServerOptions {
    let local = "127.0.0.1:0".to_owned();
    let s3 = S3Options { region: "us-east-1".into(), credentials, multipart_dir: dir.path().join("multipart") };
    ServerOptions { s3_listen: local.clone(), s3, admin_listen: local, limits: Limits::default() }
}

#[derive(Debug)]
struct NoPlugins;

/// A store with a cache, and one without.
#[derive(Debug)]
struct TwoStores([StorageManager; 2]);

impl Inventory for TwoStores {
    fn stores(&self) -> Vec<HostedStore> {
        let store = |manager: &StorageManager| HostedStore {
            manager: manager.clone(),
            provider: StorageType::Memory,
            created_at: now(),
            internal: false,
            lifecycle: None,
            probe: Probe::Read,
        };
        self.0.iter().map(store).collect()
    }
}

fn two_stores() -> TwoStores {
    let monitor = StorageMonitor::new().unwrap();
    let store = |name: &str, cache: Option<CacheConfig>| {
        let name = StoreName::new(name).unwrap();
        let monitor = monitor.store(&name);
        let cache = cache.map(|config| CacheManager::new(&config).unwrap());
        StorageManager::new(name, Arc::new(MemoryStorageProvider::new()), cache, monitor)
    };
    let config = CacheConfig { eviction_policy: EvictionPolicy::Lru, ..CacheConfig::new(ByteSize::mib(1)) };
    TwoStores([store("documents", Some(config)), store("scratch", None)])
}

/// Fails every second time.
#[derive(Debug, Default)]
struct Moody(AtomicUsize);

#[async_trait]
impl TaskExecutor for Moody {
    async fn execute(&self, _: Timestamp) -> Result<()> {
        match self.0.fetch_add(1, Ordering::SeqCst) % 2 {
            0 => Ok(()),
            _ => Err(Error::internal("not today")),
        }
    }
}

/// A scheduler at work until `stop`, with a task that is not due.
fn tasks(stop: &CancellationToken) -> Arc<TaskScheduler> {
    let scheduler = Arc::new(TaskScheduler::default());
    let new_year = Schedule::Cron("0 0 1 1 *".parse().unwrap(), chrono_tz::Tz::UTC);
    let task = ScheduledTask::new("moody:documents".to_owned(), "moody", new_year, Arc::new(Moody::default()));
    scheduler.schedule_task(task).unwrap();
    let (running, stop) = (Arc::clone(&scheduler), stop.clone());
    tokio::spawn(async move { running.execute_tasks(stop, Duration::ZERO).await });
    scheduler
}

#[async_trait]
impl Plugins for NoPlugins {
    fn reports(&self) -> Vec<PluginReport> {
        Vec::new()
    }

    fn reset(&self, plugin: &str) -> Result<()> {
        Err(Error::invalid_input(format!("no plugin {plugin} is at work")))
    }

    async fn reload(&self) -> Result<ReloadReport> {
        Ok(ReloadReport::default())
    }
}

async fn start(credentials: Vec<Credential>) -> Running {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::bind(options(&dir, credentials)).await.unwrap();
    let (s3, admin) = (server.s3_address(), server.admin_address());
    let stores = Arc::new(Shelves::default());
    stores.create(&StoreName::new("documents").unwrap()).await.unwrap();
    let inventory = Arc::new(two_stores());
    let stop = CancellationToken::new();
    let admin_options = AdminOptions {
        stores: Arc::<Shelves>::clone(&stores),
        plugins: Arc::new(NoPlugins),
        started_at: now(),
        inventory: Arc::<TwoStores>::clone(&inventory),
        tasks: tasks(&stop),
        metrics: Arc::new(|| "larder_up 1\n".to_owned()),
        health: Arc::new(|| {
            let check = HealthCheck {
                state: HealthState::Failed,
                component_type: "datastore".into(),
                component_id: None,
                observed_value: None,
                observed_unit: None,
                output: Some("asleep".into()),
                time: now(),
            };
            let checks = BTreeMap::from([("store:documents".to_owned(), vec![check])]);
            async { Arc::new(HealthReport::new(now(), checks)) }.boxed()
        }),
        alerts: Arc::new(AlertManager::new(Vec::new(), EventStream::default(), &Registry::new(), None).unwrap()),
        events: EventStream::default(),
        token: "the-token".into(),
    };
    let stopped = stop.clone();
    let served = Arc::<Shelves>::clone(&stores);
    tokio::spawn(async move { server.run(served, admin_options, stopped.cancelled()).await });
    Running { s3, admin, stores, inventory, stop, _dir: dir }
}

fn key_pair() -> Vec<Credential> {
    vec![Credential { access_key: "larder".into(), secret_key: "larder-secret".into() }]
}

async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn get(address: SocketAddr, target: &str, header: &str) -> String {
    exchange(address, &format!("GET {target} HTTP/1.1\r\nHost: x\r\n{header}Connection: close\r\n\r\n")).await
}

#[tokio::test]
async fn who_does_not_sign_with_version_4_is_refused() {
    let running = start(key_pair()).await;
    let old = get(running.s3, "/documents/k", "Authorization: AWS larder:c2lnbmF0dXJl\r\n").await;
    assert!(old.starts_with("HTTP/1.1 403") && old.contains("signature version 2 is not accepted"), "{old}");
    let presigned = get(running.s3, "/documents/k?AWSAccessKeyId=larder&Expires=9999999999&Signature=x", "").await;
    assert!(presigned.starts_with("HTTP/1.1 403") && presigned.contains("<Code>AccessDenied</Code>"), "{presigned}");
    let anonymous = get(running.s3, "/documents/k", "").await;
    assert!(anonymous.starts_with("HTTP/1.1 403"), "{anonymous}");
}

#[tokio::test]
async fn a_put_cut_off_leaves_the_old_object() {
    let running = start(vec![]).await;
    let store = running.stores.store("documents").unwrap();
    let key = Key::new("k").unwrap();
    let old = store.store(&key, Body::from("old"), StoreOptions::default()).await.unwrap();
    // Small enough to be collected first, and large enough to be streamed.
    for announced in [100, 10_000_000] {
        let mut stream = TcpStream::connect(running.s3).await.unwrap();
        let head = format!("PUT /documents/k HTTP/1.1\r\nHost: x\r\nContent-Length: {announced}\r\n\r\nnew");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
        assert_eq!(store.metadata(&key).await.unwrap(), old);
    }
}

#[tokio::test]
async fn the_admin_listener_tells_how_the_host_is() {
    let running = start(vec![]).await;
    assert!(get(running.admin, "/healthz", "").await.starts_with("HTTP/1.1 200"));
    assert!(get(running.admin, "/metrics", "").await.ends_with("larder_up 1\n"));
    let ready = get(running.admin, "/readyz", "").await;
    assert!(ready.starts_with("HTTP/1.1 503") && ready.contains(r#""output":"asleep""#), "{ready}");
    assert!(ready.contains("content-type: application/health+json") && ready.contains(r#""status":"fail""#), "{ready}");
}

#[tokio::test]
async fn the_object_api_asks_for_the_token_of_the_run() {
    let running = start(vec![]).await;
    for header in ["", "Authorization: Bearer the-tokem\r\n", "Authorization: Basic the-token\r\n"] {
        assert!(get(running.admin, "/v1/stores", header).await.starts_with("HTTP/1.1 401"), "{header}");
    }
    let error = RemoteHost::new(running.admin, "wrong").stores().await.unwrap_err();
    assert!(matches!(error, Error::PermissionDenied { .. }), "{error:?}");
    let names = RemoteHost::new(running.admin, "the-token").stores().await.unwrap();
    assert_eq!(names[0].0.as_str(), "documents");
}

#[tokio::test]
async fn a_port_in_use_is_named_with_its_setting() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(&dir, vec![]);
    options.s3_listen = taken.local_addr().unwrap().to_string();
    let message = Server::bind(options.clone()).await.unwrap_err().to_string();
    let expected = format!("address in use: {} (server.s3.listen); stop the other program", options.s3_listen);
    assert!(message.starts_with(&expected), "{message}");
}

#[tokio::test]
async fn off_loopback_there_is_no_start_without_credentials() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(&dir, vec![]);
    options.s3_listen = "0.0.0.0:0".into();
    let error = Server::bind(options.clone()).await.unwrap_err();
    assert!(matches!(&error, Error::InvalidInput { message } if message.contains("server.s3.credentials")), "{error}");
    options.s3.credentials = key_pair();
    assert!(Server::bind(options).await.is_ok());
}

#[tokio::test]
async fn a_request_in_flight_ends_before_the_host_does() {
    let running = start(vec![]).await;
    let mut stream = TcpStream::connect(running.s3).await.unwrap();
    stream.write_all(b"PUT /documents/k HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nn").await.unwrap();
    // The head must have been read, or the connection is idle and may be closed.
    tokio::time::sleep(Duration::from_millis(200)).await;
    running.stop.cancel();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(TcpStream::connect(running.s3).await.is_err());
    stream.write_all(b"ew").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

struct Remote {
    running: Running,
    opened: AtomicUsize,
}

#[async_trait]
impl Subject for Remote {
    async fn open(&self, _home: &str) -> Result<Arc<dyn StorageProvider>> {
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        let name = StoreName::new(format!("home-{number}"))?;
        self.running.stores.create(&name).await?;
        Ok(Arc::new(RemoteHost::new(self.running.admin, "the-token").store(&name)))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_a_running_host_keeps_the_contract() {
    let subject = Remote { running: start(vec![]).await, opened: AtomicUsize::new(0) };
    let report = contract::check("remote", &Part::Provider(Arc::new(subject)), &Options::default()).await;
    assert!(report.counts().kept > 100 && report.counts().broken == 0, "{report}");
}

#[tokio::test]
async fn caches_are_seen_and_cleared_over_http() {
    let running = start(vec![]).await;
    let host = RemoteHost::new(running.admin, "the-token");
    let (cached, uncached) = (StoreName::new("documents").unwrap(), StoreName::new("scratch").unwrap());
    let store = &running.inventory.0[0];
    for text in ["a/1", "a/2", "b/ä?&"] {
        let key = Key::new(text).unwrap();
        store.store_data(&key, "x".into(), StoreOptions::default()).await.unwrap();
        store.retrieve_data(&key, None).await.unwrap();
    }
    let caches = host.caches().await.unwrap();
    let [(name, report)] = &caches[..] else { panic!("one store has a cache: {caches:?}") };
    assert_eq!((name, report.eviction_policy.as_str(), report.size_limit), (&cached, "lru", 1 << 20));
    assert_eq!((report.stats.entries, report.stats.hits), (3, 3));

    assert!(host.top_keys(&cached, 5).await.unwrap().keys.len() <= 3);
    for (store, limit) in [(&cached, 0), (&cached, 257), (&uncached, 5), (&StoreName::new("none").unwrap(), 5)] {
        assert!(host.top_keys(store, limit).await.is_err(), "{store} {limit}");
    }

    let key = Invalidation::Key(Key::new("b/ä?&").unwrap());
    assert_eq!([host.invalidate(&cached, &key).await.unwrap(), host.invalidate(&cached, &key).await.unwrap()], [1, 0]);
    let [all_of_a, all] = ["a/", ""].map(|prefix| Invalidation::Prefix(prefix.to_owned()));
    assert_eq!(
        [host.invalidate(&cached, &all_of_a).await.unwrap(), host.invalidate(&cached, &all).await.unwrap()],
        [2, 0]
    );
    assert!(host.invalidate(&uncached, &all).await.is_err());
    assert_eq!(host.caches().await.unwrap()[0].1.stats.entries, 0);
}

#[tokio::test]
async fn the_last_day_of_a_store_is_told_over_http() {
    let running = start(Vec::new()).await;
    let store = &running.inventory.0[0];
    store.store_data(&Key::new("k").unwrap(), "12345".into(), StoreOptions::default()).await.unwrap();
    for _ in 0..2 {
        store.retrieve_data(&Key::new("k").unwrap(), None).await.unwrap();
    }
    store.monitor().sample(now());
    let bearer = "Authorization: Bearer the-token\r\n";
    let answer = get(running.admin, "/v1/stores/documents/history", bearer).await;
    let samples: Vec<Sample> = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let [sample] = &samples[..] else { panic!("{answer}") };
    assert_eq!((sample.writes, sample.reads, sample.cache_hits, sample.bytes), (1, 2, 2, None));
    assert!(get(running.admin, "/v1/stores/none/history", bearer).await.starts_with("HTTP/1.1 404"));
    assert!(get(running.admin, "/v1/stores/documents/history", "").await.starts_with("HTTP/1.1 401"));
}

#[tokio::test]
async fn tasks_are_seen_run_and_paused_over_http() {
    let running = start(Vec::new()).await;
    let host = RemoteHost::new(running.admin, "the-token");
    let name = "moody:documents";
    let tasks = host.tasks().await.unwrap();
    let [task, sweep] = &tasks[..] else { panic!("{tasks:?}") };
    assert_eq!((sweep.name.as_str(), sweep.kind.as_str()), ("sweep:uploads", "sweep"));
    assert_eq!((task.name.as_str(), task.kind.as_str(), task.schedule.as_str()), (name, "moody", "0 0 1 1 * UTC"));
    assert!(task.next_run.is_some() && task.last_run.is_none() && !task.paused);

    let first = host.run_task(name).await.unwrap();
    assert_eq!(first.outcome, RunOutcome::Succeeded);
    let second = host.run_task(name).await.unwrap();
    assert_eq!((second.outcome, second.message.as_deref()), (RunOutcome::Failed, Some("not today")));
    assert_eq!(host.task_history(name).await.unwrap(), [second, first]);

    host.pause_task(name).await.unwrap();
    assert!(host.tasks().await.unwrap()[0].paused);
    host.resume_task(name).await.unwrap();
    assert!(!host.tasks().await.unwrap()[0].paused);

    for refused in [host.task_history("a b/c").await.map(drop), host.pause_task("none").await] {
        let error = refused.unwrap_err();
        assert!(matches!(error, Error::InvalidInput { .. }) && error.to_string().contains("larder task ls"), "{error}");
    }
    let answer = get(running.admin, "/v1/tasks", "").await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    let answer = get(running.admin, "/v1/tasks/none/history", "Authorization: Bearer the-token\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}
