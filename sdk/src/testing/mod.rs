//! Twins of what the host provides, so that a plugin is tested by plain `cargo test`. Not there in wasm.
//!
//! Each test runs on a thread of its own, and has its own grants.

mod cache;
mod executor;
mod state;
mod store;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

pub use cache::Cache;
pub use executor::{run, run_for, run_interleaved};
pub(crate) use state::MemoryState;
pub use store::MemoryStore;

use crate::checksum::Checksum;
use crate::config;
use crate::error::{Error, Result};
use crate::eviction::{EvictionStrategy, Shard};
use crate::http::{Request, Response};
use crate::lifecycle::LifecyclePolicy;
use crate::object::{Attributes, ETag, Metadata};
use crate::provider::{Stamp, StorageProvider, StoreOptions};
use crate::timestamp::Timestamp;

thread_local! {
    static GRANTS: RefCell<BTreeMap<String, Rc<MemoryStore>>> = const { RefCell::new(BTreeMap::new()) };
    static STATE: RefCell<Option<Rc<MemoryState>>> = const { RefCell::new(None) };
    static SECRETS: RefCell<BTreeMap<String, String>> = const { RefCell::new(BTreeMap::new()) };
    static SERVER: RefCell<Option<Server>> = const { RefCell::new(None) };
    static WRITES: Cell<u64> = const { Cell::new(0) };
}

/// What answers a test's requests.
type Server = Rc<dyn Fn(Request) -> Result<Response>>;

/// Grants an empty store in memory under this name, and returns it for the test to look into.
pub fn grant(name: &str) -> Rc<MemoryStore> {
    let store = Rc::new(MemoryStore::default());
    GRANTS.with_borrow_mut(|grants| grants.insert(name.to_owned(), Rc::clone(&store)));
    store
}

pub(crate) fn granted(name: &str) -> Result<Rc<MemoryStore>> {
    GRANTS.with_borrow(|grants| grants.get(name).cloned()).ok_or_else(|| {
        Error::permission_denied(format!(
            "no store is granted as \u{2018}{name}\u{2019}: call testing::grant({name:?})"
        ))
    })
}

/// Grants entries of the plugin's own, in memory and empty: what [`state`](crate::state) works on.
pub fn grant_state() {
    STATE.set(Some(Rc::default()));
}

pub(crate) fn granted_state() -> Result<Rc<MemoryState>> {
    STATE
        .with_borrow(Clone::clone)
        .ok_or_else(|| Error::permission_denied("no state is granted: call testing::grant_state()"))
}

/// Grants a secret under this name: what [`secrets::get`](crate::secrets::get) returns.
pub fn grant_secret(name: &str, secret: &str) {
    SECRETS.with_borrow_mut(|secrets| secrets.insert(name.to_owned(), secret.to_owned()));
}

pub(crate) fn granted_secret(name: &str) -> Result<String> {
    SECRETS.with_borrow(|secrets| secrets.get(name).cloned()).ok_or_else(|| {
        Error::permission_denied(format!(
            "no secret is granted as \u{2018}{name}\u{2019}: call testing::grant_secret({name:?}, ...)"
        ))
    })
}

/// Grants requests to every host, and answers them: what [`http::Request::send`](crate::http::Request::send) returns. An
/// error stands for a server that can not be reached.
pub fn grant_http(answer: impl Fn(Request) -> Result<Response> + 'static) {
    SERVER.set(Some(Rc::new(answer)));
}

pub(crate) fn answer(request: Request) -> Result<Response> {
    let server = SERVER.with_borrow(Clone::clone);
    let server = server.ok_or_else(|| Error::permission_denied("no host is granted: call testing::grant_http(...)"))?;
    server(request)
}

/// Opens a provider with configuration in JSON, as the host would.
///
/// # Errors
/// What does not fit the configuration's type, and what `open` fails with.
pub async fn open_provider<P: StorageProvider>(settings: &str) -> Result<P> {
    P::open(config::parse(settings)?).await
}

/// Opens a strategy with configuration in JSON for a shard of this capacity, as the host would.
///
/// # Errors
/// What does not fit the configuration's type, and what `open` fails with.
pub fn open_strategy<S: EvictionStrategy>(settings: &str, capacity: u64) -> Result<Shard<S>> {
    S::open(config::parse(settings)?, capacity).map(Shard::new)
}

/// Opens a policy with configuration in JSON, as the host would.
///
/// # Errors
/// What does not fit the configuration's type, and what `open` fails with.
pub fn open_policy<L: LifecyclePolicy>(settings: &str) -> Result<L> {
    L::open(config::parse(settings)?)
}

/// Options of a write as the host makes them: an etag that was never there before in this test, a millisecond after the
/// write before, no attributes, no condition.
pub fn options() -> StoreOptions {
    let number = WRITES.replace(WRITES.get() + 1);
    let etag = ETag::new(format!("etag-{number}"));
    let stamp = Stamp { etag, updated_at: Timestamp::from_millis(1_700_000_000_000 + number), created_at: None };
    StoreOptions { attributes: Attributes::default(), stamp, condition: None }
}

/// The metadata of an empty object that was stored at this moment.
pub fn metadata(key: &str, updated_at: Timestamp) -> Metadata {
    let options = options();
    let stamp = Stamp { updated_at, ..options.stamp };
    StoreOptions { stamp, ..options }.into_metadata(key, 0, Checksum::of(b""), None)
}
