//! The calls of the functions that a provider exports.

use bytesize::ByteSize;
use futures::StreamExt;
use wasmtime::component::Accessor;

use super::bindings::provider::exports::larder::plugin::provider::{Download, Guest, StreamedBody, Upload, WholeBody};
use super::bindings::provider::larder::plugin::types as wit;
use super::clock::Pace;
use super::operation::Operation;
use super::state::State;
use super::stream::{self, Sent};
use super::supervisor::Supervisor;
use super::work::{Answer, Work};
use crate::error::Error;
use crate::object::{Body, ByteStream, Checksum};

/// `store-object`.
pub(super) struct Store {
    pub(super) key: String,
    pub(super) body: Outgoing,
    pub(super) options: wit::StoreOptions,
}

/// The bytes of an object on their way to the plugin.
pub(super) enum Outgoing {
    /// In one piece.
    Whole(WholeBody),
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
    type Reply = wit::Metadata;
    const OPERATION: Operation = Operation::Store;

    async fn run<'a>(
        self,
        accessor: &'a Accessor<State>,
        guest: &'a Guest,
        answer: Answer<Self::Reply>,
    ) -> wasmtime::Result<()> {
        let Self { key, body, options } = self;
        let upload = match body {
            Outgoing::Whole(whole) => Upload::Whole(whole),
            Outgoing::Pieces(pieces, sent) => {
                let pace = Pace::Call(answer.clock().clone());
                let outgoing = stream::send(accessor, pieces, &pace, sent, Checksum::as_u64)?;
                Upload::Streamed(StreamedBody { data: outgoing.data, end: outgoing.end })
            }
        };
        answer.give(guest.call_store_object(accessor, key, upload, options).await?);
        Ok(())
    }
}

/// `retrieve-object`.
pub(super) struct Retrieve {
    pub(super) key: String,
    pub(super) range: Option<wit::ByteRange>,
}

impl Work for Retrieve {
    type Reply = (wit::Metadata, Body);
    const OPERATION: Operation = Operation::Retrieve;

    async fn run<'a>(
        self,
        accessor: &'a Accessor<State>,
        guest: &'a Guest,
        answer: Answer<Self::Reply>,
    ) -> wasmtime::Result<()> {
        let object = match guest.call_retrieve_object(accessor, self.key, self.range).await? {
            Ok(object) => object,
            Err(error) => {
                answer.give(Err(error));
                return Ok(());
            }
        };
        match object.data {
            Download::Whole(bytes) => answer.give(Ok((object.metadata, Body::from(bytes)))),
            Download::Streamed(reply) => {
                let pace = Pace::Call(answer.clock().clone());
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
    pub(super) key: String,
    pub(super) if_match: Option<String>,
}

impl Work for Delete {
    type Reply = ();
    const OPERATION: Operation = Operation::Delete;

    async fn run<'a>(
        self,
        accessor: &'a Accessor<State>,
        guest: &'a Guest,
        answer: Answer<Self::Reply>,
    ) -> wasmtime::Result<()> {
        answer.give(guest.call_delete_object(accessor, self.key, self.if_match).await?);
        Ok(())
    }
}

/// `list-objects`.
pub(super) struct List(pub(super) wit::ListQuery);

impl Work for List {
    type Reply = wit::Page;
    const OPERATION: Operation = Operation::List;

    async fn run<'a>(
        self,
        accessor: &'a Accessor<State>,
        guest: &'a Guest,
        answer: Answer<Self::Reply>,
    ) -> wasmtime::Result<()> {
        answer.give(guest.call_list_objects(accessor, self.0).await?);
        Ok(())
    }
}

/// `read-metadata`.
pub(super) struct Metadata(pub(super) String);

impl Work for Metadata {
    type Reply = wit::Metadata;
    const OPERATION: Operation = Operation::Metadata;

    async fn run<'a>(
        self,
        accessor: &'a Accessor<State>,
        guest: &'a Guest,
        answer: Answer<Self::Reply>,
    ) -> wasmtime::Result<()> {
        answer.give(guest.call_read_metadata(accessor, self.0).await?);
        Ok(())
    }
}

/// `update-attributes`.
pub(super) struct Update {
    pub(super) key: String,
    pub(super) changes: wit::AttributeChanges,
    pub(super) if_match: Option<String>,
}

impl Work for Update {
    type Reply = wit::Metadata;
    const OPERATION: Operation = Operation::Update;

    async fn run<'a>(
        self,
        accessor: &'a Accessor<State>,
        guest: &'a Guest,
        answer: Answer<Self::Reply>,
    ) -> wasmtime::Result<()> {
        let Self { key, changes, if_match } = self;
        answer.give(guest.call_update_attributes(accessor, key, changes, if_match).await?);
        Ok(())
    }
}
