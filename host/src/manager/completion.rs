use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::object::{Body, ByteStream};

/// A change of a store, which ends in its own time even if nobody waits for it any more.
///
/// A provider whose call is dropped may still carry it out later, so the end of a change would not be known, and an old
/// version read meanwhile could stay in the cache behind it. A change that is dropped therefore goes on in a task of
/// its own; only a body in pieces is cut off, which makes the change fail.
pub(super) struct Completion<T: Send + 'static> {
    change: Option<BoxFuture<'static, T>>,
    cut_off: CancellationToken,
}

impl<T: Send + 'static> Completion<T> {
    /// Runs `change`; the bodies made from `cut_off` end with an error when it is dropped.
    pub(super) fn new(cut_off: CancellationToken, change: impl Future<Output = T> + Send + 'static) -> Self {
        Self { change: Some(Box::pin(change)), cut_off }
    }
}

impl<T: Send + 'static> Future for Completion<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Taken out while it runs, so that one that panics is not run again.
        let Some(mut change) = self.change.take() else { return Poll::Pending };
        let polled = change.as_mut().poll(context);
        if polled.is_pending() {
            self.change = Some(change);
        }
        polled
    }
}

impl<T: Send + 'static> Drop for Completion<T> {
    fn drop(&mut self) {
        if let Some(change) = self.change.take() {
            self.cut_off.cancel();
            if let Ok(runtime) = Handle::try_current() {
                runtime.spawn(change);
            }
        }
    }
}

/// The body, with an error in place of the rest once `cut_off` is cancelled: a sender that goes away with the caller
/// may well look like the end.
pub(super) fn until(cut_off: &CancellationToken, body: Body) -> Body {
    match body {
        Body::Bytes(bytes) => Body::Bytes(bytes),
        Body::Stream(pieces) => Body::stream(stream::unfold((pieces, cut_off.clone()), next)),
    }
}

type Rest = (ByteStream, CancellationToken);

async fn next((mut pieces, cut_off): Rest) -> Option<(Result<bytes::Bytes>, Rest)> {
    let piece = tokio::select! {
        biased;
        () = cut_off.cancelled() => {
            // Nothing follows the error.
            pieces = stream::empty().boxed();
            Some(Err(Error::internal("the writer went away before the end of the body")))
        }
        piece = pieces.next() => piece,
    };
    piece.map(|piece| (piece, (pieces, cut_off)))
}
