//! The functions that a provider exports, and their parameters and results, as `wit/provider.wit` has them.
//!
//! `bindgen!` would make owned text and vectors of them. These share keys and bytes with the caller instead: a body goes
//! into the plugin in one copy, and comes out in one.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime::component::{
    ComponentExportIndex, ComponentNamedList, ComponentType, FutureReader, Instance, InstancePre, Lift, Lower,
    StreamReader, TypedFunc,
};
use wasmtime::error::Context as _;
use wasmtime::{Result, Store};

use super::bindings::provider::larder::plugin::types as wit;
use super::state::State;

/// The interface.
const PROVIDER: &str = "larder:plugin/provider@0.1.0";

/// What a function returns: a value, or the plugin's error.
pub(super) type Reply<T> = (Result<T, wit::Error>,);

/// A function of the interface.
pub(super) type Function<P, T> = TypedFunc<P, Reply<T>>;

/// A component of which the interface's functions were looked up, ready to be instantiated.
pub(super) struct ProviderPre {
    pre: InstancePre<State>,
    open: ComponentExportIndex,
    store_object: ComponentExportIndex,
    retrieve_object: ComponentExportIndex,
    delete_object: ComponentExportIndex,
    list_objects: ComponentExportIndex,
    read_metadata: ComponentExportIndex,
    update_attributes: ComponentExportIndex,
}

impl ProviderPre {
    /// Looks them up.
    ///
    /// # Errors
    /// The component does not export one.
    pub(super) fn new(pre: InstancePre<State>) -> Result<Self> {
        let component = pre.component();
        let interface = component.get_export_index(None, PROVIDER);
        let interface = interface.with_context(|| format!("it does not export {PROVIDER}"))?;
        let function = |name: &str| {
            let found = component.get_export_index(Some(&interface), name);
            found.with_context(|| format!("{PROVIDER} has no function {name}"))
        };
        Ok(Self {
            open: function("open")?,
            store_object: function("store-object")?,
            retrieve_object: function("retrieve-object")?,
            delete_object: function("delete-object")?,
            list_objects: function("list-objects")?,
            read_metadata: function("read-metadata")?,
            update_attributes: function("update-attributes")?,
            pre,
        })
    }

    /// Makes an instance.
    ///
    /// # Errors
    /// It traps, passes a limit, or a function is of another type.
    pub(super) async fn instantiate(&self, store: &mut Store<State>) -> Result<Exports> {
        let instance = self.pre.instantiate_async(&mut *store).await?;
        Ok(Exports {
            open: function(&instance, store, &self.open)?,
            store_object: function(&instance, store, &self.store_object)?,
            retrieve_object: function(&instance, store, &self.retrieve_object)?,
            delete_object: function(&instance, store, &self.delete_object)?,
            list_objects: function(&instance, store, &self.list_objects)?,
            read_metadata: function(&instance, store, &self.read_metadata)?,
            update_attributes: function(&instance, store, &self.update_attributes)?,
        })
    }
}

fn function<P, T>(instance: &Instance, store: &mut Store<State>, index: &ComponentExportIndex) -> Result<Function<P, T>>
where
    P: ComponentNamedList + Lower,
    T: Lift + 'static,
    Reply<T>: ComponentNamedList + Lift,
{
    instance.get_typed_func(store, index)
}

/// The text of a key.
type Key = Arc<str>;
/// `etag`.
type ETag = Arc<str>;

/// The functions of an instance.
pub(super) struct Exports {
    pub(super) open: Function<(Arc<str>,), ()>,
    pub(super) store_object: Function<(Key, Upload, StoreOptions), Metadata>,
    pub(super) retrieve_object: Function<(Key, Option<wit::ByteRange>), Object>,
    pub(super) delete_object: Function<(Key, Option<ETag>), ()>,
    pub(super) list_objects: Function<(wit::ListQuery,), Page>,
    pub(super) read_metadata: Function<(Key,), Metadata>,
    pub(super) update_attributes: Function<(Key, wit::AttributeChanges, Option<ETag>), Metadata>,
}

/// `upload`.
#[derive(ComponentType, Lower)]
#[component(variant)]
pub(super) enum Upload {
    #[component(name = "whole")]
    Whole(WholeBody),
    #[component(name = "streamed")]
    Streamed(StreamedBody),
}

/// `whole-body`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct WholeBody {
    pub(super) data: Bytes,
    pub(super) checksum: u64,
}

/// `streamed-body`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct StreamedBody {
    pub(super) data: StreamReader<u8>,
    pub(super) end: FutureReader<Result<u64, wit::Error>>,
}

/// `store-options`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct StoreOptions {
    pub(super) attributes: wit::Attributes,
    pub(super) stamp: Stamp,
    pub(super) condition: Option<Condition>,
}

/// `stamp`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct Stamp {
    pub(super) etag: ETag,
    #[component(name = "updated-at")]
    pub(super) updated_at: u64,
    #[component(name = "created-at")]
    pub(super) created_at: Option<u64>,
}

/// `condition`.
#[derive(ComponentType, Lower)]
#[component(variant)]
pub(super) enum Condition {
    #[component(name = "if-absent")]
    IfAbsent,
    #[component(name = "if-match")]
    IfMatch(ETag),
}

/// `metadata`.
#[derive(Clone, Debug, ComponentType, Lift)]
#[component(record)]
pub(super) struct Metadata {
    pub(super) key: Key,
    pub(super) size: u64,
    #[component(name = "created-at")]
    pub(super) created_at: u64,
    #[component(name = "updated-at")]
    pub(super) updated_at: u64,
    pub(super) checksum: u64,
    pub(super) etag: ETag,
    pub(super) attributes: wit::Attributes,
}

/// `object`.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct Object {
    pub(super) metadata: Metadata,
    pub(super) data: Download,
}

/// `download`.
#[derive(ComponentType, Lift)]
#[component(variant)]
pub(super) enum Download {
    #[component(name = "whole")]
    Whole(Bytes),
    #[component(name = "streamed")]
    Streamed(StreamedReply),
}

/// `streamed-reply`.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct StreamedReply {
    pub(super) data: StreamReader<u8>,
    pub(super) end: FutureReader<Result<(), wit::Error>>,
}

/// `page`.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct Page {
    pub(super) objects: Vec<Metadata>,
    pub(super) more: bool,
}
