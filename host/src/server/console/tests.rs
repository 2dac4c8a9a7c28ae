mod access;
mod plan;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body as HttpBody;
use axum::http::header::{AUTHORIZATION, COOKIE, ETAG, HOST, IF_NONE_MATCH, LOCATION, ORIGIN, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use futures::FutureExt;
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::alerts::AlertManager;
use crate::config::StorageType;
use crate::error::{Error, Result};
use crate::events::EventStream;
use crate::host::{HostedStore, PluginReport, ReloadReport};
use crate::lifecycle::{AgeingStep, LifecycleManager, Rule};
use crate::manager::{Probe, StorageManager};
use crate::monitor::{HealthCheck, HealthReport, HealthState, StorageMonitor};
use crate::object::{AttributeChanges, Body, ByteRange, ETag, Key, Object, StorageMetadata, StoreName, Timestamp, now};
use crate::plugin::{Calls, Failure, PluginState, PluginStatus};
use crate::provider::layers::{Ageing, AgeingOptions, Seal};
use crate::provider::memory::MemoryStorageProvider;
use crate::provider::{ListQuery, Page, StorageProvider, StoreOptions, Usage};
use crate::scheduler::{Schedule, ScheduledTask, TaskExecutor, TaskScheduler};
use crate::server::{Inventory, Plugins, Stores, admin};

const TOKEN: &str = "the-token";
const ORIGIN_OF_PAGES: &str = "http://127.0.0.1:9001";
const HOSTILE: &str = "<script>alert('x')</script>&\"";
const ESCAPED: &str = "&lt;script&gt;alert('x')&lt;/script&gt;&amp;&quot;";

/// A host of which everything has a hostile name that can have one.
#[derive(Debug)]
struct Whole {
    stores: Vec<HostedStore>,
    resets: Mutex<Vec<String>>,
}

#[async_trait]
impl Stores for Whole {
    fn store(&self, _: &str) -> Option<Arc<dyn StorageProvider>> {
        None
    }

    fn seal(&self, _: &str) -> Option<Seal> {
        None
    }

    fn names(&self) -> Vec<(StoreName, Timestamp)> {
        Vec::new()
    }

    async fn create(&self, _: &StoreName) -> Result<()> {
        Err(Error::unsupported("not here"))
    }

    async fn remove(&self, _: &StoreName) -> Result<()> {
        Err(Error::unsupported("not here"))
    }

    async fn age(&self, _: &str, _: &Key, _: AgeingStep) -> Result<()> {
        Err(Error::unsupported("not here"))
    }

    fn lifecycle(&self, _: &str) -> Option<Arc<LifecycleManager>> {
        None
    }
}

impl Inventory for Whole {
    fn stores(&self) -> Vec<HostedStore> {
        self.stores.clone()
    }
}

#[async_trait]
impl Plugins for Whole {
    fn reports(&self) -> Vec<PluginReport> {
        let status = PluginStatus {
            state: PluginState::Quarantined { since: now() },
            failures: 10,
            last_failure: Some(Failure { at: now(), message: HOSTILE.to_owned() }),
            calls: Calls { ok: 1, errors: 2, faults: 3 },
            refusals: 0,
            starts: 11,
            instances: 0,
            memory: 1 << 20,
        };
        let (plugin, store) = ("zoo".parse().unwrap(), StoreName::new("documents").unwrap());
        vec![PluginReport { plugin, store, kind: "provider".to_owned(), digest: String::new(), status }]
    }

    fn reset(&self, plugin: &str) -> Result<()> {
        self.resets.lock().push(plugin.to_owned());
        if plugin == "zoo" { Ok(()) } else { Err(Error::invalid_input(format!("no plugin {plugin} is at work"))) }
    }

    async fn reload(&self) -> Result<ReloadReport> {
        Ok(ReloadReport::default())
    }
}

#[derive(Debug, Default)]
struct Counted(AtomicUsize);

#[async_trait]
impl TaskExecutor for Counted {
    async fn execute(&self, _: Timestamp) -> Result<()> {
        match self.0.fetch_add(1, Ordering::SeqCst) {
            0 => Ok(()),
            _ => Err(Error::internal(HOSTILE)),
        }
    }
}

/// Goes on until the host stops.
#[derive(Debug)]
struct Endless;

#[async_trait]
impl TaskExecutor for Endless {
    async fn execute(&self, _: Timestamp) -> Result<()> {
        std::future::pending().await
    }
}

/// A store whose second page never comes.
#[derive(Debug, Default)]
struct Stuck(MemoryStorageProvider);

#[async_trait]
impl StorageProvider for Stuck {
    async fn store(&self, key: &Key, body: Body, options: StoreOptions) -> Result<StorageMetadata> {
        self.0.store(key, body, options).await
    }

    async fn retrieve(&self, key: &Key, range: Option<ByteRange>) -> Result<Object> {
        self.0.retrieve(key, range).await
    }

    async fn delete(&self, key: &Key, if_match: Option<&ETag>) -> Result<()> {
        self.0.delete(key, if_match).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        if query.start_after.is_some() {
            std::future::pending::<()>().await;
        }
        self.0.list(query).await
    }

    async fn metadata(&self, key: &Key) -> Result<StorageMetadata> {
        self.0.metadata(key).await
    }

    async fn update(&self, key: &Key, changes: AttributeChanges, if_match: Option<&ETag>) -> Result<StorageMetadata> {
        self.0.update(key, changes, if_match).await
    }
}

struct Fixture {
    router: Router,
    host: Arc<Whole>,
    tasks: Arc<TaskScheduler>,
    /// How often the host was asked how it is.
    asked: Arc<AtomicUsize>,
    /// How long it takes to answer, in seconds.
    takes: Arc<AtomicU64>,
    stop: CancellationToken,
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// An answer, read to its end.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn header(&self, name: impl axum::http::header::AsHeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A store of objects that a rule wants to delete, but for those below `keep/`. Its second page never comes.
async fn ageing(monitor: &StorageMonitor, keys: &[String]) -> HostedStore {
    let name = StoreName::new("documents").unwrap();
    let clock = Arc::new(now);
    let options = AgeingOptions { store: name.clone(), archive: None, recall: false, lock: None, clock };
    let provider = Arc::new(Ageing::new(Arc::new(Stuck::default()), options));
    let manager = StorageManager::new(name.clone(), provider, None, monitor.store(&name));
    for key in keys {
        manager.store_data(&Key::new(&**key).unwrap(), "12345".into(), StoreOptions::default()).await.unwrap();
    }
    let delete = Rule { delete_after: Some(Duration::ZERO), ..Rule::default() };
    let retain = Rule { prefix: "keep/".to_owned(), retain: Duration::from_secs(3600), ..Rule::default() };
    let lifecycle = LifecycleManager::new(name, Arc::new(manager.clone()))
        .with_policy("old", Arc::new(delete))
        .with_policy("kept", Arc::new(retain));
    HostedStore {
        manager,
        provider: StorageType::Memory,
        created_at: now(),
        internal: false,
        lifecycle: Some(Arc::new(lifecycle)),
        probe: Probe::Read,
    }
}

fn report() -> HealthReport {
    let check = |state, output: Option<&str>| HealthCheck {
        state,
        component_type: "datastore".to_owned(),
        component_id: Some("documents".to_owned()),
        observed_value: None,
        observed_unit: None,
        output: output.map(str::to_owned),
        time: now(),
    };
    let checks = [
        ("disk:data".to_owned(), vec![check(HealthState::Degraded, Some("it is nearly full"))]),
        ("plugin:zoo".to_owned(), vec![check(HealthState::Healthy, None)]),
        ("store:documents".to_owned(), vec![check(HealthState::Failed, Some(HOSTILE))]),
    ];
    HealthReport::new(now(), checks.into())
}

async fn fixture() -> Fixture {
    fixture_with(&[HOSTILE.to_owned(), "keep/this".to_owned()]).await
}

async fn fixture_with(keys: &[String]) -> Fixture {
    let stop = CancellationToken::new();
    let tasks = Arc::new(TaskScheduler::default());
    let executors: [(&str, Arc<dyn TaskExecutor>); 2] =
        [(HOSTILE, Arc::new(Counted::default())), ("endless", Arc::new(Endless))];
    for (name, executor) in executors {
        let new_year = Schedule::Cron("0 0 1 1 *".parse().unwrap(), chrono_tz::Tz::UTC);
        tasks.schedule_task(ScheduledTask::new(name.to_owned(), "counted", new_year, executor)).unwrap();
    }
    let (running, stopped) = (Arc::clone(&tasks), stop.clone());
    tokio::spawn(async move { running.execute_tasks(stopped, Duration::ZERO).await });

    let monitor = StorageMonitor::new().unwrap();
    let store = ageing(&monitor, keys).await;
    store.manager.monitor().record_usage(Usage { objects: 1234, bytes: 4096 });
    monitor.sample(now());
    let asked = Arc::new(AtomicUsize::new(0));
    let takes = Arc::new(AtomicU64::new(0));
    let (counted, taking) = (Arc::clone(&asked), Arc::clone(&takes));
    let host = Arc::new(Whole { stores: vec![store], resets: Mutex::default() });
    let options = AdminOptions {
        stores: Arc::clone(&host) as _,
        plugins: Arc::clone(&host) as _,
        inventory: Arc::clone(&host) as _,
        alerts: Arc::new(AlertManager::new(Vec::new(), EventStream::default(), monitor.registry(), None).unwrap()),
        events: EventStream::default(),
        tasks: Arc::clone(&tasks),
        metrics: Arc::new(String::new),
        health: Arc::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            let takes = Duration::from_secs(taking.load(Ordering::SeqCst));
            async move {
                tokio::time::sleep(takes).await;
                Arc::new(report())
            }
            .boxed()
        }),
        started_at: now(),
        token: TOKEN.to_owned(),
    };
    Fixture { router: admin::routes(options, CancellationToken::new()), host, tasks, asked, takes, stop }
}

impl Fixture {
    async fn send(&self, method: &str, path: &str, headers: &[(HeaderName, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header(HOST, "127.0.0.1:9001");
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        if method == "POST" {
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
        let request = request.body(HttpBody::from(body.to_owned())).unwrap();
        let response = TowerToHyperService::new(self.router.clone()).call(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    async fn get(&self, path: &str, cookie: &str) -> Answer {
        self.send("GET", path, &[(COOKIE, cookie)], "").await
    }

    async fn post(&self, path: &str, cookie: &str, body: &str) -> Answer {
        self.send("POST", path, &[(COOKIE, cookie), (ORIGIN, ORIGIN_OF_PAGES)], body).await
    }

    /// Logs in with the token, and returns the cookie.
    async fn cookie(&self) -> String {
        cookie_of(&self.post("/console/login", "", &format!("token={TOKEN}")).await)
    }

    async fn code(&self) -> String {
        let bearer = format!("Bearer {TOKEN}");
        let answer = self.send("POST", "/v1/console/codes", &[(AUTHORIZATION, &bearer)], "").await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        let body: serde_json::Value = serde_json::from_str(&answer.text).unwrap();
        assert_eq!(body["good_for_seconds"], 60);
        body["code"].as_str().unwrap().to_owned()
    }
}

/// The cookie that begins a session.
fn cookie_of(answer: &Answer) -> String {
    assert_eq!((answer.status, answer.header(LOCATION)), (StatusCode::SEE_OTHER, "/console"), "{}", answer.text);
    let (cookie, rest) = answer.header(SET_COOKIE).split_once(';').unwrap();
    assert_eq!(rest, " Path=/console; HttpOnly; SameSite=Strict");
    cookie.to_owned()
}

#[tokio::test]
async fn every_answer_tells_the_browser_what_not_to_do() {
    let fixture = fixture().await;
    let cookie = fixture.cookie().await;
    for (path, cookie, cached) in [
        ("/console", &*cookie, "no-store"),
        ("/console", "", "no-store"),
        ("/console/login", "", "no-store"),
        ("/console/tasks/endless", &cookie, "no-store"),
        ("/console/tasks/none", &cookie, "no-store"),
        ("/console/plan?store=documents", &cookie, "no-store"),
        ("/console/console.css", "", "no-cache"),
        ("/console/console.js", "", "no-cache"),
        ("/console/icon.svg", "", "no-cache"),
    ] {
        let answer = fixture.get(path, cookie).await;
        assert_eq!(answer.header(CONTENT_SECURITY_POLICY), POLICY, "{path}");
        assert_eq!(answer.header(X_CONTENT_TYPE_OPTIONS), "nosniff", "{path}");
        assert_eq!(answer.header(REFERRER_POLICY), "same-origin", "{path}");
        assert_eq!(answer.header(CACHE_CONTROL), cached, "{path}");
        if cached == "no-store" {
            for inline in ["<style", " style=", " onclick=", "<script>", "javascript:", TOKEN] {
                assert!(!answer.text.contains(inline), "{inline} is in {path}: {}", answer.text);
            }
        }
    }
}

#[tokio::test]
async fn files_are_sent_once() {
    let fixture = fixture().await;
    let first = fixture.get("/console/console.css", "").await;
    assert_eq!((first.status, first.header("content-type")), (StatusCode::OK, "text/css; charset=utf-8"));
    let again = fixture.send("GET", "/console/console.css", &[(IF_NONE_MATCH, first.header(ETAG))], "").await;
    assert_eq!((again.status, &*again.text), (StatusCode::NOT_MODIFIED, ""));
}

#[tokio::test]
async fn hostile_words_are_only_words() {
    let fixture = fixture().await;
    let cookie = fixture.cookie().await;
    let task = format::in_path(HOSTILE);
    for _ in 0..2 {
        fixture.post(&format!("/console/tasks/{task}/run"), &cookie, "on=overview").await;
    }
    for (path, times) in [
        // In health twice, a plugin's failure, a task's name (five times), its failure, and what came of the button.
        ("/console".to_owned(), 10),
        (format!("/console/tasks/{task}"), 8),
        ("/console/plan?store=documents".to_owned(), 1),
        (format!("/console/plan?store={task}"), 0),
        ("/console/tasks/%3Cscript%3E".to_owned(), 0),
    ] {
        let answer = fixture.get(&path, &cookie).await;
        assert!(!answer.text.contains("<script>"), "{path}: {}", answer.text);
        let found = answer.text.matches(ESCAPED).count();
        assert!(found >= times, "{found} in {path}: {}", answer.text);
    }
}

#[tokio::test]
async fn the_page_has_everything() {
    let fixture = fixture().await;
    let page = fixture.get("/console", &fixture.cookie().await).await.text;
    for words in [
        "What is not healthy of 3 parts",
        "it is nearly full",
        "failed</span>",
        "No alerts.",
        concat!("version ", env!("CARGO_PKG_VERSION")),
        "1\u{202f}234",
        "4.0 KiB",
        "Size in the last 0 s",
        "no cache",
        "quarantined",
        "0 0 1 1 * UTC",
        "<option value=\"documents\">",
        "<a class=\"skip\" href=\"#main\">",
        "<th scope=\"col\">Store</th>",
    ] {
        assert!(page.contains(words), "{words} is not in {page}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_host_is_not_asked_for_every_page() {
    let fixture = fixture().await;
    let cookie = fixture.cookie().await;
    let asked = async || {
        fixture.get("/console", &cookie).await;
        fixture.asked.load(Ordering::SeqCst)
    };
    assert_eq!([asked().await, asked().await], [1, 1]);
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(asked().await, 2);
    fixture.post("/console/plugins/zoo/reset", &cookie, "").await;
    assert_eq!(asked().await, 3, "whoever mended something sees whether it helped");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_takes_long_to_ask_holds_up_no_page() {
    let fixture = fixture().await;
    let cookie = fixture.cookie().await;
    fixture.takes.store(5, Ordering::SeqCst);
    let page = async || {
        let begun = tokio::time::Instant::now();
        let page = fixture.get("/console", &cookie).await.text;
        assert!(begun.elapsed() < Duration::from_secs(2));
        page
    };
    assert!(page().await.contains("Every part is being asked."));
    page().await;
    assert_eq!(fixture.asked.load(Ordering::SeqCst), 1, "it is asked once");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(page().await.contains("it is nearly full"));
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(page().await.contains("it is nearly full"), "what was heard before is shown meanwhile");
}

#[tokio::test]
async fn buttons_do_what_they_say_and_tell_what_came_of_it() {
    let fixture = fixture().await;
    let cookie = fixture.cookie().await;
    let press = async |path: &str, on: &str, told: &str| {
        let answer = fixture.post(path, &cookie, on).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}: {}", answer.text);
        let back = answer.header(LOCATION).to_owned();
        let page = fixture.get(back.split('#').next().unwrap(), &cookie).await.text;
        assert!(page.contains(told), "{told} is not in {page}");
        back
    };
    assert_eq!(press("/console/plugins/zoo/reset", "", "zoo may start again").await, "/console#plugins");
    press("/console/plugins/none/reset", "", "no plugin none is at work").await;
    assert_eq!(*fixture.host.resets.lock(), ["zoo", "none"]);

    let paused = || fixture.tasks.status().iter().find(|task| task.name == "endless").unwrap().paused;
    let back = press("/console/tasks/endless/pause", "on=task", "endless is paused").await;
    assert_eq!((&*back, paused()), ("/console/tasks/endless", true));
    let back = press("/console/tasks/endless/resume", "on=overview", "endless goes on").await;
    assert_eq!((&*back, paused()), ("/console#tasks", false));
    press("/console/tasks/none/pause", "on=overview", "there is no task &quot;none&quot;").await;

    let task = format!("/console/tasks/{}", format::in_path(HOSTILE));
    press(&format!("{task}/run"), "on=task", "succeeded in 0.0 s").await;
    press(&format!("{task}/run"), "on=task", "failed: ").await;
    let history = fixture.get(&task, &cookie).await.text;
    assert_eq!(history.matches("<td data-label=\"Outcome\">").count(), 2, "{history}");
}

#[tokio::test(start_paused = true)]
async fn a_long_run_keeps_nobody_waiting() {
    let fixture = fixture().await;
    let cookie = fixture.cookie().await;
    let answer = fixture.post("/console/tasks/endless/run", &cookie, "on=task").await;
    assert_eq!(answer.header(LOCATION), "/console/tasks/endless");
    let page = fixture.get("/console/tasks/endless", &cookie).await.text;
    assert!(page.contains("endless runs, and goes on.") && page.contains("running"), "{page}");
    fixture.post("/console/tasks/endless/run", &cookie, "on=task").await;
    let page = fixture.get("/console/tasks/endless", &cookie).await.text;
    assert!(page.contains("the task endless runs already"), "{page}");
    tokio::time::advance(Duration::from_secs(31)).await;
    let page = fixture.get("/console/tasks/endless", &cookie).await.text;
    assert!(!page.contains("runs already"), "it is told for a while only: {page}");
}
