//! The host interface `inner-stores`: granted stores, as a provider plugin sees them.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use wasmtime::component::{Accessor, HasSelf, Resource};

use super::bindings::provider::larder::plugin::inner_stores::{
    Download, Host, HostInnerStore, HostInnerStoreWithStore, Object, StreamedDownload, StreamedUpload, Upload,
};
use super::bindings::provider::larder::plugin::types as wit;
use super::clock::Pace;
use super::convert::error_to_plugin;
use super::state::State;
use super::stream::{self, Incoming, Sent};
use crate::error::{Error, Result};
use crate::object::{Body, ETag, Key, StorageMetadata};
use crate::provider::StorageProvider;

/// The most bytes of an object that a plugin gets in one piece, as `wit/host.wit` says.
const WHOLE: usize = 1 << 20;

/// A store granted to a plugin: what its handle stands for.
#[expect(unreachable_pub, reason = "what `bindgen!` makes names it")]
pub struct InnerStore(Arc<dyn StorageProvider>);

impl fmt::Debug for InnerStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

type Answer<T> = wasmtime::Result<Result<T, wit::Error>>;

impl Host for State {}

impl HostInnerStore for State {
    fn open(&mut self, name: String) -> Answer<Resource<InnerStore>> {
        match self.grants.stores.get(&name) {
            Some(store) => Ok(Ok(self.table.push(InnerStore(Arc::clone(store)))?)),
            None => Ok(Err(error_to_plugin(&Error::permission_denied(format!(
                "no store is granted as {name:?}; to grant one, add under grants: `stores: {{ {name}: STORE }}`"
            ))))),
        }
    }

    fn drop(&mut self, store: Resource<InnerStore>) -> wasmtime::Result<()> {
        self.table.delete(store)?;
        Ok(())
    }
}

/// Runs an operation on a store in a task of its own: the store may stand on a plugin too, and one instance's event loop
/// can not run inside another's. `passed` is how many bytes the plugin passed for it.
async fn on_store<T: Send + 'static>(
    accessor: &Accessor<State>,
    store: &Resource<InnerStore>,
    passed: usize,
    operation: impl FnOnce(Arc<dyn StorageProvider>) -> BoxFuture<'static, Result<T>>,
) -> wasmtime::Result<Result<T>> {
    let (store, permit) = accessor.with(|mut access| {
        let State { table, in_flight, .. } = access.get();
        table.get(store).map(|store| (Arc::clone(&store.0), in_flight.begin(passed)))
    })?;
    let _permit = match permit {
        Ok(permit) => permit,
        Err(error) => return Ok(Err(error)),
    };
    match tokio::spawn(operation(store)).await {
        Ok(result) => Ok(result),
        Err(failed) => Ok(Err(Error::internal(format!("the operation on the inner store did not end: {failed}")))),
    }
}

fn answer<T, U>(result: Result<T>, convert: impl FnOnce(T) -> U) -> Answer<U> {
    Ok(result.map(convert).map_err(|error| error_to_plugin(&error)))
}

/// Turns what a plugin passed into nouns, or returns the plugin its mistake.
macro_rules! parse {
    ($value:expr) => {
        match $value {
            Ok(value) => value,
            Err(error) => return Ok(Err(error_to_plugin(&error))),
        }
    };
}

impl HostInnerStoreWithStore<State> for HasSelf<State> {
    async fn store_object(
        accessor: &Accessor<State, Self>,
        store: Resource<InnerStore>,
        key: String,
        data: Upload,
        options: wit::StoreOptions,
    ) -> Answer<wit::Metadata> {
        let (key, options) = (parse!(Key::new(key)), parse!(options.try_into()));
        let mut passed = 0;
        let body = match data {
            Upload::Whole(bytes) if bytes.len() > WHOLE => {
                let len = bytes.len();
                parse!(Err(Error::too_large(format!("a whole body has at most {WHOLE} bytes, and this has {len}"))))
            }
            Upload::Whole(bytes) => {
                passed = bytes.len();
                Body::from(bytes)
            }
            Upload::Streamed(StreamedUpload { data, end }) => {
                let pace = accessor.with(|mut access| Pace::Instance(access.get().clocks.clone()));
                let Incoming { body, finished: _ } = stream::receive(accessor, data, end, &pace)?;
                body
            }
        };
        let stored =
            on_store(accessor, &store, passed, |store| Box::pin(async move { store.store(&key, body, options).await }));
        answer(stored.await?, |metadata| (&metadata).into())
    }

    async fn retrieve_object(
        accessor: &Accessor<State, Self>,
        store: Resource<InnerStore>,
        key: String,
        range: Option<wit::ByteRange>,
    ) -> Answer<Object> {
        let (key, range) = (parse!(Key::new(key)), parse!(range.map(TryInto::try_into).transpose()));
        let found = on_store(accessor, &store, 0, |store| Box::pin(async move { store.retrieve(&key, range).await }));
        let object = parse!(found.await?);
        let data = match object.body {
            Body::Bytes(bytes) if bytes.len() <= WHOLE => Download::Whole(bytes.into()),
            body => {
                let pace = accessor.with(|mut access| Pace::Instance(access.get().clocks.clone()));
                let outgoing = stream::send(accessor, body.into_stream(), &pace, Sent::default(), |_| ())?;
                Download::Streamed(StreamedDownload { data: outgoing.data, end: outgoing.end })
            }
        };
        Ok(Ok(Object { metadata: (&*object.metadata).into(), data }))
    }

    async fn delete_object(
        accessor: &Accessor<State, Self>,
        store: Resource<InnerStore>,
        key: String,
        if_match: Option<String>,
    ) -> Answer<()> {
        let (key, if_match) = (parse!(Key::new(key)), parse!(if_match.map(ETag::new).transpose()));
        let deleted =
            on_store(accessor, &store, 0, |store| Box::pin(async move { store.delete(&key, if_match.as_ref()).await }));
        answer(deleted.await?, |()| ())
    }

    async fn list_objects(
        accessor: &Accessor<State, Self>,
        store: Resource<InnerStore>,
        query: wit::ListQuery,
    ) -> Answer<wit::Page> {
        let query = query.into();
        let page = on_store(accessor, &store, 0, |store| Box::pin(async move { store.list(&query).await }));
        answer(page.await?, |page| (&page).into())
    }

    async fn read_metadata(
        accessor: &Accessor<State, Self>,
        store: Resource<InnerStore>,
        key: String,
    ) -> Answer<wit::Metadata> {
        let key = parse!(Key::new(key));
        let found = on_store(accessor, &store, 0, |store| Box::pin(async move { store.metadata(&key).await }));
        answer(found.await?, |metadata: StorageMetadata| (&metadata).into())
    }

    async fn update_attributes(
        accessor: &Accessor<State, Self>,
        store: Resource<InnerStore>,
        key: String,
        changes: wit::AttributeChanges,
        if_match: Option<String>,
    ) -> Answer<wit::Metadata> {
        let (key, changes) = (parse!(Key::new(key)), parse!(changes.try_into()));
        let if_match = parse!(if_match.map(ETag::new).transpose());
        let updated = on_store(accessor, &store, 0, |store| {
            Box::pin(async move { store.update(&key, changes, if_match.as_ref()).await })
        });
        answer(updated.await?, |metadata| (&metadata).into())
    }
}
