//! From the generated `Guest` traits to those of authors: the macros make the plugin's instance and its exports, which
//! call the functions here.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::thread::LocalKey;

pub use super::bindings::eviction::__export_eviction_strategy;
pub use super::bindings::eviction::exports::larder::plugin::{eviction, eviction_memory};
pub use super::bindings::exports::larder::plugin::provider;
pub use super::bindings::foresight::__export_lifecycle_foresight;
pub use super::bindings::foresight::exports::larder::plugin::lifecycle_foresight;
pub use super::bindings::larder::plugin::types;
pub use super::bindings::lifecycle::__export_lifecycle_policy;
pub use super::bindings::lifecycle::exports::larder::plugin::lifecycle;
pub use super::bindings::{self, __export_storage_provider};

use super::convert::millis;
use super::stream::{HostStream, Outgoing};
use crate::body::Upload;
use crate::config;
use crate::error::Error;
use crate::eviction::{Batch, EvictionStrategy, Shard};
use crate::lifecycle::{Candidate, Foresight, LifecyclePolicy};
use crate::log;
use crate::object::ETag;
use crate::provider::StorageProvider;
use crate::timestamp::Timestamp;

pub type Result<T> = std::result::Result<T, types::Error>;

/// A panic ends the instance: its message is the last that the operator hears of it.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| log::error!("{panic}")));
}

fn not_open() -> types::Error {
    Error::internal("the plugin was called before it was opened").into()
}

fn open_twice() -> types::Error {
    Error::internal("the plugin was opened twice").into()
}

pub type ProviderCell<P> = OnceCell<Rc<P>>;

fn instance<P>(cell: &'static LocalKey<ProviderCell<P>>) -> Result<Rc<P>> {
    cell.with(|cell| cell.get().cloned()).ok_or_else(not_open)
}

pub async fn open_provider<P: StorageProvider>(
    cell: &'static LocalKey<ProviderCell<P>>,
    settings: String,
) -> Result<()> {
    log_panics();
    let provider = P::open(config::parse(&settings)?).await?;
    cell.with(|cell| cell.set(Rc::new(provider))).map_err(|_| open_twice())
}

pub async fn store_object<P: StorageProvider>(
    cell: &'static LocalKey<ProviderCell<P>>,
    key: String,
    data: provider::Upload,
    options: types::StoreOptions,
) -> Result<types::Metadata> {
    let upload = match data {
        provider::Upload::Whole(provider::WholeBody { data, checksum }) => Upload::whole(data, checksum),
        provider::Upload::Streamed(provider::StreamedBody { data, end }) => {
            Upload::streamed(HostStream::upload(data, end))
        }
    };
    Ok(instance(cell)?.store(&key, upload, options.into()).await?.into())
}

pub async fn retrieve_object<P: StorageProvider>(
    cell: &'static LocalKey<ProviderCell<P>>,
    key: String,
    range: Option<types::ByteRange>,
) -> Result<provider::Object> {
    let object = instance(cell)?.retrieve(&key, range.map(Into::into)).await?;
    let data = match Outgoing::new(object.body) {
        Outgoing::Whole(bytes) => provider::Download::Whole(bytes),
        Outgoing::Streamed { data, end, pump } => {
            if let Some(pump) = pump {
                wit_bindgen::spawn_local(pump.run());
            }
            provider::Download::Streamed(provider::StreamedReply { data, end })
        }
    };
    Ok(provider::Object { metadata: object.metadata.into(), data })
}

pub async fn delete_object<P: StorageProvider>(
    cell: &'static LocalKey<ProviderCell<P>>,
    key: String,
    if_match: Option<String>,
) -> Result<()> {
    Ok(instance(cell)?.delete(&key, if_match.map(ETag::new).as_ref()).await?)
}

pub async fn list_objects<P: StorageProvider>(
    cell: &'static LocalKey<ProviderCell<P>>,
    query: types::ListQuery,
) -> Result<types::Page> {
    Ok(instance(cell)?.list(&query.into()).await?.into())
}

pub async fn read_metadata<P: StorageProvider>(
    cell: &'static LocalKey<ProviderCell<P>>,
    key: String,
) -> Result<types::Metadata> {
    Ok(instance(cell)?.metadata(&key).await?.into())
}

pub async fn update_attributes<P: StorageProvider>(
    cell: &'static LocalKey<ProviderCell<P>>,
    key: String,
    changes: types::AttributeChanges,
    if_match: Option<String>,
) -> Result<types::Metadata> {
    Ok(instance(cell)?.update(&key, changes.into(), if_match.map(ETag::new).as_ref()).await?.into())
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_provider {
    ($type:ty) => {
        use $crate::__private::{self as private, provider as wit, types};

        ::std::thread_local! {
            static INSTANCE: private::ProviderCell<$type> = const { ::std::cell::OnceCell::new() };
        }

        struct Component;

        impl wit::Guest for Component {
            async fn open(settings: String) -> private::Result<()> {
                private::open_provider(&INSTANCE, settings).await
            }

            async fn store_object(
                key: String,
                data: wit::Upload,
                options: types::StoreOptions,
            ) -> private::Result<types::Metadata> {
                private::store_object(&INSTANCE, key, data, options).await
            }

            async fn retrieve_object(
                key: String,
                range: Option<types::ByteRange>,
            ) -> private::Result<wit::Object> {
                private::retrieve_object(&INSTANCE, key, range).await
            }

            async fn delete_object(key: String, if_match: Option<String>) -> private::Result<()> {
                private::delete_object(&INSTANCE, key, if_match).await
            }

            async fn list_objects(query: types::ListQuery) -> private::Result<types::Page> {
                private::list_objects(&INSTANCE, query).await
            }

            async fn read_metadata(key: String) -> private::Result<types::Metadata> {
                private::read_metadata(&INSTANCE, key).await
            }

            async fn update_attributes(
                key: String,
                changes: types::AttributeChanges,
                if_match: Option<String>,
            ) -> private::Result<types::Metadata> {
                private::update_attributes(&INSTANCE, key, changes, if_match).await
            }
        }

        private::__export_storage_provider!(Component with_types_in $crate::__private::bindings);
    };
}

pub type ShardCell<S> = RefCell<Option<Shard<S>>>;

pub fn open_strategy<S: EvictionStrategy>(
    cell: &'static LocalKey<ShardCell<S>>,
    settings: &str,
    capacity: u64,
) -> Result<()> {
    log_panics();
    let shard = Shard::new(S::open(config::parse(settings)?, capacity)?);
    match cell.replace(Some(shard)) {
        None => Ok(()),
        Some(_) => Err(open_twice()),
    }
}

pub fn step<S: EvictionStrategy>(
    cell: &'static LocalKey<ShardCell<S>>,
    events: &eviction::Batch,
    wanted: u64,
    max_victims: u32,
) -> Vec<u64> {
    let eviction::Batch { inserted, hashes, weights, accessed, removed } = events;
    let events = Batch { inserted, hashes, weights, accessed, removed };
    cell.with_borrow_mut(|shard| match shard {
        Some(shard) => shard.step(events, wanted, max_victims as usize),
        None => Vec::new(),
    })
}

pub fn snapshot<S: EvictionStrategy>(cell: &'static LocalKey<ShardCell<S>>) -> Vec<u8> {
    cell.with_borrow_mut(|shard| shard.as_mut().map(Shard::snapshot).unwrap_or_default())
}

pub fn restore<S: EvictionStrategy>(cell: &'static LocalKey<ShardCell<S>>, memory: &[u8]) {
    cell.with_borrow_mut(|shard| {
        if let Some(shard) = shard {
            shard.restore(memory);
        }
    });
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_eviction {
    ($type:ty) => {
        use $crate::__private::{self as private, eviction as wit, eviction_memory};

        ::std::thread_local! {
            static SHARD: private::ShardCell<$type> = const { ::std::cell::RefCell::new(None) };
        }

        struct Component;

        impl wit::Guest for Component {
            fn open(settings: String, capacity: u64) -> private::Result<()> {
                private::open_strategy(&SHARD, &settings, capacity)
            }

            fn step(events: wit::Batch, wanted: u64, max_victims: u32) -> Vec<wit::EntryId> {
                private::step(&SHARD, &events, wanted, max_victims)
            }
        }

        impl eviction_memory::Guest for Component {
            fn snapshot() -> Vec<u8> {
                private::snapshot(&SHARD)
            }

            fn restore(memory: Vec<u8>) {
                private::restore(&SHARD, &memory);
            }
        }

        private::__export_eviction_strategy!(Component with_types_in $crate::__private::bindings::eviction);
    };
}

pub type PolicyCell<L> = OnceCell<L>;

pub fn open_policy<L: LifecyclePolicy>(cell: &'static LocalKey<PolicyCell<L>>, settings: &str) -> Result<()> {
    log_panics();
    let policy = L::open(config::parse(settings)?)?;
    cell.with(|cell| cell.set(policy)).map_err(|_| open_twice())
}

pub fn decide<L: LifecyclePolicy>(
    cell: &'static LocalKey<PolicyCell<L>>,
    candidates: Vec<types::Candidate>,
    now: u64,
) -> Result<Vec<lifecycle::Decision>> {
    answer(cell, candidates, now, |policy, candidate, now| lifecycle::Decision {
        archive: policy.should_archive(&candidate, now),
        delete: policy.should_delete(&candidate, now),
        retain: millis(policy.retention_period(&candidate)),
    })
}

pub fn next_changes<L: Foresight>(
    cell: &'static LocalKey<PolicyCell<L>>,
    candidates: Vec<types::Candidate>,
    now: u64,
) -> Result<Vec<Option<u64>>> {
    answer(cell, candidates, now, |policy, candidate, now| {
        policy.next_change(&candidate, now).map(Timestamp::as_millis)
    })
}

fn answer<L, T>(
    cell: &'static LocalKey<PolicyCell<L>>,
    candidates: Vec<types::Candidate>,
    now: u64,
    answer: impl Fn(&L, Candidate, Timestamp) -> T,
) -> Result<Vec<T>> {
    let now = Timestamp::from_millis(now);
    cell.with(|cell| {
        let policy = cell.get().ok_or_else(not_open)?;
        Ok(candidates.into_iter().map(|candidate| answer(policy, candidate.into(), now)).collect())
    })
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_lifecycle {
    ($type:ty) => {
        use $crate::__private::{self as private, lifecycle as wit};

        ::std::thread_local! {
            static POLICY: private::PolicyCell<$type> = const { ::std::cell::OnceCell::new() };
        }

        struct Component;

        impl wit::Guest for Component {
            fn open(settings: String) -> private::Result<()> {
                private::open_policy(&POLICY, &settings)
            }

            fn decide(candidates: Vec<wit::Candidate>, now: u64) -> private::Result<Vec<wit::Decision>> {
                private::decide(&POLICY, candidates, now)
            }
        }

        private::__export_lifecycle_policy!(Component with_types_in $crate::__private::bindings::lifecycle);
    };
    ($type:ty, foresight) => {
        $crate::__export_lifecycle!($type);

        impl private::lifecycle_foresight::Guest for Component {
            fn next_changes(candidates: Vec<wit::Candidate>, now: u64) -> private::Result<Vec<Option<u64>>> {
                private::next_changes(&POLICY, candidates, now)
            }
        }

        private::__export_lifecycle_foresight!(Component with_types_in $crate::__private::bindings::foresight);
    };
}
