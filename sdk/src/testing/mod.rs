//! Twins of what the host provides, so that a plugin is tested by plain `cargo test`. Not there in wasm.
//!
//! Each test runs on a thread of its own, and has its own grants.

mod executor;
mod store;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

pub use executor::{run, run_for, run_interleaved};
pub use store::MemoryStore;

use crate::checksum::Checksum;
use crate::config;
use crate::error::{Error, Result};
use crate::eviction::{EvictionStrategy, Shard};
use crate::lifecycle::LifecyclePolicy;
use crate::object::{Attributes, ETag, Metadata};
use crate::provider::{Stamp, StorageProvider, StoreOptions};
use crate::timestamp::Timestamp;

thread_local! {
    static GRANTS: RefCell<BTreeMap<String, Rc<MemoryStore>>> = const { RefCell::new(BTreeMap::new()) };
    static WRITES: Cell<u64> = const { Cell::new(0) };
}

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
