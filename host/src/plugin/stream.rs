//! Bodies in pieces across the boundary, with bounded memory both ways.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::channel::{mpsc, oneshot};
use futures::stream::{StreamExt, try_unfold};
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Accessor, Destination, FutureConsumer, FutureReader, Lift, Lower, Source, StreamConsumer, StreamProducer,
    StreamReader, StreamResult,
};

use super::bindings::provider::larder::plugin::types as wit;
use super::clock::Pace;
use super::convert::{error_from_plugin, error_to_plugin};
use super::state::State;
use crate::error::{Error, Result};
use crate::object::{Body, ByteStream, Checksum, Hasher};

/// The largest piece that is taken from a plugin at once.
const MAX_PIECE: usize = 256 << 10;

/// How many bytes were sent to a plugin, and their checksum; known once all were.
pub(super) type Sent = Arc<OnceLock<(u64, Checksum)>>;

/// A body on its way into a plugin, and the future that tells its end.
pub(super) struct Outgoing<T: 'static> {
    pub(super) data: StreamReader<u8>,
    pub(super) end: FutureReader<Result<T, wit::Error>>,
}

/// Hands a body to a plugin as a stream. If that was all, `sent` is set in the end, and the plugin is told `summary`.
///
/// # Errors
/// wasmtime's, when the instance has no room for another stream.
pub(super) fn send<T: Lower + Lift + Send + Sync + 'static>(
    accessor: &Accessor<State>,
    body: ByteStream,
    pace: &Pace,
    sent: Sent,
    summary: fn(Checksum) -> T,
) -> wasmtime::Result<Outgoing<T>> {
    let (told, end) = oneshot::channel();
    let pieces = Pieces { body, hasher: Checksum::hasher(), sent, told: Some(told), summary, pace: pace.clone() };
    let end = async {
        let gone = || Err(error_to_plugin(&Error::internal("the body was not read to its end")));
        wasmtime::error::Ok(end.await.unwrap_or_else(|_| gone()))
    };
    accessor.with(|mut access| {
        Ok(Outgoing { data: StreamReader::new(&mut access, pieces)?, end: FutureReader::new(&mut access, end)? })
    })
}

/// The host's end of a stream into a plugin.
struct Pieces<T> {
    body: ByteStream,
    hasher: Hasher,
    sent: Sent,
    told: Option<oneshot::Sender<Result<T, wit::Error>>>,
    summary: fn(Checksum) -> T,
    pace: Pace,
}

impl<T> Pieces<T> {
    fn tell(&mut self, end: Result<T, wit::Error>) {
        if let Some(told) = self.told.take() {
            // The plugin may have no interest in the end; then nobody listens.
            let _ = told.send(end);
        }
    }
}

impl<T: Send + 'static> StreamProducer<State> for Pieces<T> {
    type Item = u8;
    type Buffer = Bytes;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, State>,
        mut destination: Destination<'a, u8, Bytes>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if destination.remaining(&mut store) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        loop {
            let next = match self.body.poll_next_unpin(cx) {
                Poll::Ready(next) => next,
                Poll::Pending => {
                    self.pace.wait();
                    return if finish { Poll::Ready(Ok(StreamResult::Cancelled)) } else { Poll::Pending };
                }
            };
            let moved = next.as_ref().map_or(0, |piece| piece.as_ref().map_or(0, Bytes::len));
            self.pace.advance(moved);
            match next {
                Some(Ok(piece)) if piece.is_empty() => {}
                Some(Ok(piece)) => {
                    self.hasher.update(&piece);
                    destination.set_buffer(piece);
                    return Poll::Ready(Ok(StreamResult::Completed));
                }
                Some(Err(error)) => {
                    self.tell(Err(error_to_plugin(&error)));
                    return Poll::Ready(Ok(StreamResult::Dropped));
                }
                None => {
                    let checksum = self.hasher.finish();
                    let _ = self.sent.set((self.hasher.size(), checksum));
                    let summary = (self.summary)(checksum);
                    self.tell(Ok(summary));
                    return Poll::Ready(Ok(StreamResult::Dropped));
                }
            }
        }
    }
}

/// A body on its way out of a plugin.
pub(super) struct Incoming {
    /// The pieces, and then how it ended.
    pub(super) body: Body,
    /// Until that has happened, the instance must be kept going.
    pub(super) finished: Finished,
}

/// When a plugin's stream is done and it has told how that ended.
pub(super) struct Finished(oneshot::Receiver<()>, oneshot::Receiver<()>);

impl Finished {
    pub(super) async fn wait(self) {
        // Each sender is dropped when its part is done, and sends nothing.
        let _ = self.0.await;
        let _ = self.1.await;
    }
}

/// Takes a stream from a plugin.
///
/// # Errors
/// wasmtime's, when the handles are not what they should be.
pub(super) fn receive(
    accessor: &Accessor<State>,
    data: StreamReader<u8>,
    end: FutureReader<Result<(), wit::Error>>,
    pace: &Pace,
) -> wasmtime::Result<Incoming> {
    // One piece on its way beside the one that the sender may always place: memory stays flat.
    let (sender, pieces) = mpsc::channel(1);
    let (told, end_told) = oneshot::channel();
    let (data_going, data_done) = oneshot::channel();
    let (end_going, end_done) = oneshot::channel();
    let secrets = accessor.with(|mut access| {
        data.pipe(&mut access, Sink { sender, pace: pace.clone(), _going: data_going })?;
        end.pipe(&mut access, End { told: Some(told), _going: end_going })?;
        wasmtime::error::Ok(access.get().grants.secrets.clone())
    })?;
    let body = Body::stream(try_unfold((pieces, Some(end_told), secrets), |(mut pieces, end_told, secrets)| async {
        if let Some(piece) = pieces.next().await {
            return Ok(Some((piece, (pieces, end_told, secrets))));
        }
        match end_told {
            Some(end_told) => match end_told.await {
                Ok(Ok(())) => Ok(None),
                Ok(Err(error)) => Err(error_from_plugin(error, None, &secrets)),
                Err(_) => Err(Error::unavailable("the plugin stopped in the middle of the body; its log says why")),
            },
            None => Ok(None),
        }
    }));
    Ok(Incoming { body, finished: Finished(data_done, end_done) })
}

/// The host's end of a stream out of a plugin.
struct Sink {
    sender: mpsc::Sender<Bytes>,
    pace: Pace,
    /// Dropped with the sink, which tells that the stream is done.
    _going: oneshot::Sender<()>,
}

impl StreamConsumer<State> for Sink {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, State>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let room = match self.sender.poll_ready(cx) {
            Poll::Ready(room) => room,
            Poll::Pending => {
                self.pace.wait();
                return if finish { Poll::Ready(Ok(StreamResult::Cancelled)) } else { Poll::Pending };
            }
        };
        if room.is_err() {
            self.pace.advance(0);
            return Poll::Ready(Ok(StreamResult::Dropped));
        }
        let mut source = source.as_direct(store);
        let bytes = source.remaining();
        let piece = Bytes::copy_from_slice(&bytes[..bytes.len().min(MAX_PIECE)]);
        source.mark_read(piece.len());
        self.pace.advance(piece.len());
        if !piece.is_empty() && self.sender.start_send(piece).is_err() {
            return Poll::Ready(Ok(StreamResult::Dropped));
        }
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

/// The host's end of the future that tells how a stream out of a plugin ended.
struct End {
    told: Option<oneshot::Sender<Result<(), wit::Error>>>,
    /// Dropped with this, which tells that the end was told or never will be.
    _going: oneshot::Sender<()>,
}

impl FutureConsumer<State> for End {
    type Item = Result<(), wit::Error>;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'_, State>,
        mut source: Source<'_, Self::Item>,
        _: bool,
    ) -> Poll<wasmtime::Result<()>> {
        let mut end = None;
        source.read(store, &mut end)?;
        if let (Some(told), Some(end)) = (self.told.take(), end) {
            let _ = told.send(end);
        }
        Poll::Ready(Ok(()))
    }
}
