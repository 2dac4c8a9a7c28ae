//! The calls of the functions that a provider exports.

use std::sync::Arc;

use bytes::Bytes;
use bytesize::ByteSize;
use futures::StreamExt;
use wasmtime::component::Accessor;

use super::bindings::provider::larder::plugin::types as wit;
use super::clock::Pace;
use super::exports::{self, Download, Exports, StreamedBody, Upload, WholeBody};
use super::operation::Operation;
use super::state::State;
use super::stream::{self, Sent};
use super::supervisor::Supervisor;
use super::work::{Answer, Work};
use crate::error::Error;
use crate::object::{Body, ByteStream, Checksum};

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
        let (reply,) = exports.store_object.call_concurrent(accessor, (key, upload, options)).await?;
        answer.give(reply);
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
        let (reply,) = exports.retrieve_object.call_concurrent(accessor, (self.key, self.range)).await?;
        let object = match reply {
            Ok(object) => object,
            Err(error) => {
                answer.give(Err(error));
                return Ok(());
            }
        };
        match object.data {
            Download::Whole(bytes) => answer.give(Ok((object.metadata, Body::Bytes(bytes)))),
            Download::Streamed(reply) => {
                let pace = Pace::Call(answer.shared_clock());
                let incoming = stream::receive(accessor, reply.data, reply.end, &pace)?;
                // If the caller has gone, the pieces find no taker, and the guest is told so when it writes.
                answer.give(Ok((object.metadata, incoming.body)));
                incoming.finished.wait().await;
            }
        }
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
        let (reply,) = exports.delete_object.call_concurrent(accessor, (self.key, self.if_match)).await?;
        answer.give(reply);
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
        let (reply,) = exports.list_objects.call_concurrent(accessor, (self.0,)).await?;
        answer.give(reply);
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
        let (reply,) = exports.read_metadata.call_concurrent(accessor, (self.0,)).await?;
        answer.give(reply);
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
        let (reply,) = exports.update_attributes.call_concurrent(accessor, (key, changes, if_match)).await?;
        answer.give(reply);
        Ok(())
    }
}
