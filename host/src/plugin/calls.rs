//! The calls of the functions that a provider exports.

use std::sync::Arc;

use bytes::Bytes;
use bytesize::ByteSize;
use futures::StreamExt;
use wasmtime::component::{Accessor, ComponentNamedList, GuestTaskId, Lift, Lower};

use super::bindings::provider::larder::plugin::types as wit;
use super::clock::Pace;
use super::exports::{self, Download, Exports, Function, Object, Reply, StreamedBody, Upload, WholeBody};
use super::operation::Operation;
use super::state::State;
use super::stream::{self, Sent};
use super::supervisor::Supervisor;
use super::work::{Answer, Work};
use crate::error::Error;
use crate::object::{Body, ByteStream, Checksum};

/// A function that was called, and the task that this is on its instance.
struct Called<T> {
    task: GuestTaskId,
    reply: Result<T, wit::Error>,
}

/// Calls a function. From now on the instance knows its task, and so whose line it is that comes to the log.
async fn begin<P, T>(
    accessor: &Accessor<State>,
    operation: Operation,
    function: Function<P, T>,
    params: P,
) -> wasmtime::Result<Called<T>>
where
    P: ComponentNamedList + Lower + Send + Sync + 'static,
    T: Lift + Send + Sync + 'static,
    Reply<T>: ComponentNamedList + Lift,
{
    let call = accessor.with(|mut access| {
        let call = function.start_call_concurrent(&mut access, params)?;
        access.get().running.begin(call.task(), operation);
        wasmtime::error::Ok(call)
    })?;
    let task = call.task();
    let (reply,) = function.finish_call_concurrent(accessor, call).await?;
    Ok(Called { task, reply })
}

/// A call ended, and nothing of it goes on.
fn end(accessor: &Accessor<State>, task: GuestTaskId) {
    accessor.with(|mut access| access.get().running.end(task));
}

/// Calls a function that has ended when it returned.
async fn call<W: Work, P>(
    accessor: &Accessor<State>,
    function: Function<P, W::Reply>,
    params: P,
) -> wasmtime::Result<Result<W::Reply, wit::Error>>
where
    P: ComponentNamedList + Lower + Send + Sync + 'static,
    W::Reply: Lift + Send + Sync + 'static,
    Reply<W::Reply>: ComponentNamedList + Lift,
{
    let Called { task, reply } = begin(accessor, W::OPERATION, function, params).await?;
    end(accessor, task);
    Ok(reply)
}

/// `store-object`.
pub(super) struct Store {
    pub(super) key: Arc<str>,
    pub(super) body: Outgoing,
    pub(super) options: exports::StoreOptions,
}

/// The bytes of an object on their way to the plugin.
pub(super) enum Outgoing {
    /// In one piece.
    Whole { data: Bytes, checksum: Checksum },
    /// In pieces; what was sent is known in the end.
    Pieces(ByteStream, Sent),
}

/// A body that ends in an error where it becomes larger than an object of the plugin's may be.
pub(super) fn at_most(pieces: ByteStream, supervisor: &Supervisor) -> ByteStream {
    let Some(limit) = supervisor.limits.object_size else { return pieces };
    let plugin = supervisor.plugin.clone();
    let mut size = 0;
    Box::pin(pieces.map(move |piece| {
        let piece = piece?;
        size += piece.len() as u64;
        if size <= limit {
            return Ok(piece);
        }
        let limit = ByteSize::b(limit);
        Err(Error::too_large(format!("an object of the plugin {plugin} has at most {limit} (limits.object_size)")))
    }))
}

impl Work for Store {
    type Reply = exports::Metadata;
    const OPERATION: Operation = Operation::Store;

    async fn run<'a>(
        self,
        accessor: &'a Accessor<State>,
        exports: &'a Exports,
        answer: Answer<Self::Reply>,
    ) -> wasmtime::Result<()> {
        let Self { key, body, options } = self;
        let upload = match body {
            Outgoing::Whole { data, checksum } => Upload::Whole(WholeBody { data, checksum: checksum.as_u64() }),
            Outgoing::Pieces(pieces, sent) => {
                let pace = Pace::Call(answer.shared_clock());
                let outgoing = stream::send(accessor, pieces, &pace, sent, Checksum::as_u64)?;
                Upload::Streamed(StreamedBody { data: outgoing.data, end: outgoing.end })
            }
        };
        answer.give(call::<Self, _>(accessor, exports.store_object, (key, upload, options)).await?);
        Ok(())
    }
}

/// `retrieve-object`.
pub(super) struct Retrieve {
    pub(super) key: Arc<str>,
    pub(super) range: Option<wit::ByteRange>,
}

impl Work for Retrieve {
    type Reply = (exports::Metadata, Body);
    const OPERATION: Operation = Operation::Retrieve;

    async fn run<'a>(
        self,
        accessor: &'a Accessor<State>,
        exports: &'a Exports,
        answer: Answer<Self::Reply>,
    ) -> wasmtime::Result<()> {
        let Called { task, reply } =
            begin(accessor, Self::OPERATION, exports.retrieve_object, (self.key, self.range)).await?;
        match reply {
            Err(error) => answer.give(Err(error)),
            Ok(Object { metadata, data: Download::Whole(bytes) }) => answer.give(Ok((metadata, Body::Bytes(bytes)))),
            Ok(Object { metadata, data: Download::Streamed(reply) }) => {
                let pace = Pace::Call(answer.shared_clock());
                let incoming = stream::receive(accessor, reply.data, reply.end, &pace)?;
                // If the caller has gone, the pieces find no taker, and the guest is told so when it writes.
                answer.give(Ok((metadata, incoming.body)));
                incoming.finished.wait().await;
            }
        }
        end(accessor, task);
        Ok(())
    }
}

/// `delete-object`.
pub(super) struct Delete {
    pub(super) key: Arc<str>,
    pub(super) if_match: Option<Arc<str>>,
}

impl Work for Delete {
    type Reply = ();
    const OPERATION: Operation = Operation::Delete;

    async fn run<'a>(
        self,
        accessor: &'a Accessor<State>,
        exports: &'a Exports,
        answer: Answer<Self::Reply>,
    ) -> wasmtime::Result<()> {
        answer.give(call::<Self, _>(accessor, exports.delete_object, (self.key, self.if_match)).await?);
        Ok(())
    }
}

/// `list-objects`.
pub(super) struct List(pub(super) wit::ListQuery);

impl Work for List {
    type Reply = exports::Page;
    const OPERATION: Operation = Operation::List;

    async fn run<'a>(
        self,
        accessor: &'a Accessor<State>,
        exports: &'a Exports,
        answer: Answer<Self::Reply>,
    ) -> wasmtime::Result<()> {
        answer.give(call::<Self, _>(accessor, exports.list_objects, (self.0,)).await?);
        Ok(())
    }
}

/// `read-metadata`.
pub(super) struct Metadata(pub(super) Arc<str>);

impl Work for Metadata {
    type Reply = exports::Metadata;
    const OPERATION: Operation = Operation::Metadata;

    async fn run<'a>(
        self,
        accessor: &'a Accessor<State>,
        exports: &'a Exports,
        answer: Answer<Self::Reply>,
    ) -> wasmtime::Result<()> {
        answer.give(call::<Self, _>(accessor, exports.read_metadata, (self.0,)).await?);
        Ok(())
    }
}

/// `update-attributes`.
pub(super) struct Update {
    pub(super) key: Arc<str>,
    pub(super) changes: wit::AttributeChanges,
    pub(super) if_match: Option<Arc<str>>,
}

impl Work for Update {
    type Reply = exports::Metadata;
    const OPERATION: Operation = Operation::Update;

    async fn run<'a>(
        self,
        accessor: &'a Accessor<State>,
        exports: &'a Exports,
        answer: Answer<Self::Reply>,
    ) -> wasmtime::Result<()> {
        let Self { key, changes, if_match } = self;
        answer.give(call::<Self, _>(accessor, exports.update_attributes, (key, changes, if_match)).await?);
        Ok(())
    }
}
