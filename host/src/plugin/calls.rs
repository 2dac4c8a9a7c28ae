//! The calls of the functions that a provider exports.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use bytesize::ByteSize;
use futures::StreamExt;
use wasmtime::component::{Accessor, ComponentNamedList, GuestTaskId, Lift, Lower, TypedFuncCallConcurrent};

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

/// A call that has begun, and the task that it is on its instance.
struct Begun<P: 'static, T: 'static> {
    task: GuestTaskId,
    call: TypedFuncCallConcurrent<State, P, Reply<T>>,
    function: Function<P, T>,
}

/// Begins the call of a function. From now on the instance knows its task, and so whose line it is that comes to the log.
///
/// This is no `async fn`, and what returns futures below calls it before it makes them: what a call takes with it is then
/// in none of the futures around it, which would each have room for it.
fn begin<P, T>(
    accessor: &Accessor<State>,
    operation: Operation,
    function: Function<P, T>,
    params: P,
) -> wasmtime::Result<Begun<P, T>>
where
    P: ComponentNamedList + Lower + Send + Sync + 'static,
    T: Lift + Send + Sync + 'static,
    Reply<T>: ComponentNamedList + Lift,
{
    accessor.with(|mut access| {
        let call = function.start_call_concurrent(&mut access, params)?;
        let task = call.task();
        access.get().running.begin(task, operation);
        Ok(Begun { task, call, function })
    })
}

impl<P, T> Begun<P, T>
where
    P: ComponentNamedList + Lower + Send + Sync + 'static,
    T: Lift + Send + Sync + 'static,
    Reply<T>: ComponentNamedList + Lift,
{
    /// Waits for what the function returns.
    async fn reply(self, accessor: &Accessor<State>) -> wasmtime::Result<Result<T, wit::Error>> {
        let (reply,) = self.function.finish_call_concurrent(accessor, self.call).await?;
        Ok(reply)
    }
}

/// A call ended, and nothing of it goes on.
fn end(accessor: &Accessor<State>, task: GuestTaskId) {
    accessor.with(|mut access| access.get().running.end(task));
}

/// Waits for what a function returns that has ended then, and gives it as the answer.
async fn answer_with<P, T>(
    accessor: &Accessor<State>,
    begun: wasmtime::Result<Begun<P, T>>,
    answer: Answer<T>,
) -> wasmtime::Result<()>
where
    P: ComponentNamedList + Lower + Send + Sync + 'static,
    T: Lift + Send + Sync + 'static,
    Reply<T>: ComponentNamedList + Lift,
{
    let begun = begun?;
    let task = begun.task;
    let reply = begun.reply(accessor).await?;
    end(accessor, task);
    answer.give(reply);
    Ok(())
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

    fn run<'a>(
        self: Box<Self>,
        accessor: &'a Accessor<State>,
        exports: &'a Exports,
        answer: Answer<Self::Reply>,
    ) -> impl Future<Output = wasmtime::Result<()>> + Send + 'a {
        let begun = (*self).begin(accessor, exports, &answer);
        answer_with(accessor, begun, answer)
    }
}

/// The parameters of `store-object`.
type StoreParams = (Arc<str>, Upload, exports::StoreOptions);

impl Store {
    fn begin(
        self,
        accessor: &Accessor<State>,
        exports: &Exports,
        answer: &Answer<exports::Metadata>,
    ) -> wasmtime::Result<Begun<StoreParams, exports::Metadata>> {
        let Self { key, body, options } = self;
        let upload = match body {
            Outgoing::Whole { data, checksum } => Upload::Whole(WholeBody { data, checksum: checksum.as_u64() }),
            Outgoing::Pieces(pieces, sent) => {
                let pace = Pace::Call(answer.shared_clock());
                let outgoing = stream::send(accessor, pieces, &pace, sent, Checksum::as_u64)?;
                Upload::Streamed(StreamedBody { data: outgoing.data, end: outgoing.end })
            }
        };
        begin(accessor, Self::OPERATION, exports.store_object, (key, upload, options))
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

    fn run<'a>(
        self: Box<Self>,
        accessor: &'a Accessor<State>,
        exports: &'a Exports,
        answer: Answer<Self::Reply>,
    ) -> impl Future<Output = wasmtime::Result<()>> + Send + 'a {
        let begun = begin(accessor, Self::OPERATION, exports.retrieve_object, (self.key, self.range));
        async move {
            let begun = begun?;
            let task = begun.task;
            match begun.reply(accessor).await? {
                Err(error) => answer.give(Err(error)),
                Ok(Object { metadata, data: Download::Whole(bytes) }) => {
                    answer.give(Ok((metadata, Body::Bytes(bytes))));
                }
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
}

/// `delete-object`.
pub(super) struct Delete {
    pub(super) key: Arc<str>,
    pub(super) if_match: Option<Arc<str>>,
}

impl Work for Delete {
    type Reply = ();
    const OPERATION: Operation = Operation::Delete;

    fn run<'a>(
        self: Box<Self>,
        accessor: &'a Accessor<State>,
        exports: &'a Exports,
        answer: Answer<Self::Reply>,
    ) -> impl Future<Output = wasmtime::Result<()>> + Send + 'a {
        answer_with(
            accessor,
            begin(accessor, Self::OPERATION, exports.delete_object, (self.key, self.if_match)),
            answer,
        )
    }
}

/// `list-objects`.
pub(super) struct List(pub(super) wit::ListQuery);

impl Work for List {
    type Reply = exports::Page;
    const OPERATION: Operation = Operation::List;

    fn run<'a>(
        self: Box<Self>,
        accessor: &'a Accessor<State>,
        exports: &'a Exports,
        answer: Answer<Self::Reply>,
    ) -> impl Future<Output = wasmtime::Result<()>> + Send + 'a {
        answer_with(accessor, begin(accessor, Self::OPERATION, exports.list_objects, (self.0,)), answer)
    }
}

/// `read-metadata`.
pub(super) struct Metadata(pub(super) Arc<str>);

impl Work for Metadata {
    type Reply = exports::Metadata;
    const OPERATION: Operation = Operation::Metadata;

    fn run<'a>(
        self: Box<Self>,
        accessor: &'a Accessor<State>,
        exports: &'a Exports,
        answer: Answer<Self::Reply>,
    ) -> impl Future<Output = wasmtime::Result<()>> + Send + 'a {
        answer_with(accessor, begin(accessor, Self::OPERATION, exports.read_metadata, (self.0,)), answer)
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

    fn run<'a>(
        self: Box<Self>,
        accessor: &'a Accessor<State>,
        exports: &'a Exports,
        answer: Answer<Self::Reply>,
    ) -> impl Future<Output = wasmtime::Result<()>> + Send + 'a {
        let Self { key, changes, if_match } = *self;
        answer_with(
            accessor,
            begin(accessor, Self::OPERATION, exports.update_attributes, (key, changes, if_match)),
            answer,
        )
    }
}
