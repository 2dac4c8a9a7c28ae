use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use wit_bindgen::{FutureReader, FutureWriter, StreamReader, StreamResult, StreamWriter};

use super::bindings::larder::plugin::types as wit;
use super::bindings::{wit_future, wit_stream};
use super::convert::error;
use crate::body::{Body, BodyStream, CHUNK_SIZE};
use crate::checksum::Checksum;
use crate::error::{Error, Result};

/// How the host says whether what came was all.
type Outcome = std::result::Result<(), wit::Error>;

/// Bytes in pieces from the host, and its word that they were all.
#[derive(Debug)]
pub(crate) struct HostStream {
    data: StreamReader<u8>,
    /// Taken when the bytes have ended.
    end: Option<End>,
    untouched: bool,
}

#[derive(Debug)]
enum End {
    /// Of what the host sends to be stored: with the checksum.
    Upload(FutureReader<std::result::Result<u64, wit::Error>>),
    /// Of what an inner store returns.
    Download(FutureReader<Outcome>),
}

impl HostStream {
    pub(super) fn upload(data: StreamReader<u8>, end: FutureReader<std::result::Result<u64, wit::Error>>) -> Self {
        Self { data, end: Some(End::Upload(end)), untouched: true }
    }

    pub(super) fn download(data: StreamReader<u8>, end: FutureReader<Outcome>) -> Self {
        Self { data, end: Some(End::Download(end)), untouched: true }
    }

    /// Whether nothing was read yet, so that it can be handed on as it is.
    pub(crate) const fn is_untouched(&self) -> bool {
        self.untouched
    }

    /// The next piece; `None` after the last one. An upload then has its checksum.
    pub(crate) async fn next(&mut self, checksum: &mut Option<Checksum>) -> Result<Option<Vec<u8>>> {
        self.untouched = false;
        let (result, piece) = self.data.read(Vec::with_capacity(CHUNK_SIZE)).await;
        if let StreamResult::Complete(_) = result {
            return Ok(Some(piece));
        }
        match self.end.take() {
            Some(End::Upload(end)) => *checksum = Some(Checksum(end.await.map_err(error)?)),
            Some(End::Download(end)) => end.await.map_err(error)?,
            None => {}
        }
        Ok(None)
    }
}

/// A body on its way to the host.
pub(super) enum Outgoing {
    /// All of it.
    Whole(Vec<u8>),
    /// The ends that the host gets, and what must run until it has read them.
    Streamed { data: StreamReader<u8>, end: FutureReader<Outcome>, pump: Option<Pump> },
}

/// Moves a body, or the end of one, to the host.
pub(super) enum Pump {
    /// The bytes go from the host to the host; only the word that they were all is translated.
    End { from: FutureReader<std::result::Result<u64, wit::Error>>, to: FutureWriter<Outcome> },
    /// The bytes go through the plugin.
    Bytes { from: BodyStream, to: StreamWriter<u8>, end: FutureWriter<Outcome> },
}

impl Outgoing {
    pub(super) fn new(body: Body) -> Self {
        let stream = match body {
            Body::Bytes(bytes) => return Self::Whole(bytes),
            Body::Stream(stream) => stream,
        };
        match stream.into_untouched() {
            Ok(HostStream { data, end: Some(End::Download(end)), .. }) => Self::Streamed { data, end, pump: None },
            Ok(HostStream { data, end: Some(End::Upload(from)), .. }) => {
                let (to, end) = wit_future::new::<Outcome>(gave_up);
                Self::Streamed { data, end, pump: Some(Pump::End { from, to }) }
            }
            Ok(stream @ HostStream { end: None, .. }) => Self::pumped(BodyStream::from_host(stream)),
            Err(stream) => Self::pumped(stream),
        }
    }

    fn pumped(from: BodyStream) -> Self {
        let (to, data) = wit_stream::new::<u8>();
        let (end_to, end) = wit_future::new::<Outcome>(gave_up);
        Self::Streamed { data, end, pump: Some(Pump::Bytes { from, to, end: end_to }) }
    }
}

/// What the host hears of a body that was dropped before its end.
fn gave_up() -> Outcome {
    Err(Error::internal("the plugin stopped in the middle of a body").into())
}

impl Pump {
    /// Runs until the host has everything, or wants no more of it.
    pub(super) async fn run(self) {
        // A write fails when the host has gone away, who then has no use for the outcome.
        match self {
            Self::End { from, to } => {
                let outcome = from.await.map(|_checksum| ());
                let _ = to.write(outcome).await;
            }
            Self::Bytes { mut from, mut to, end } => {
                let outcome = loop {
                    match from.next().await {
                        Ok(Some(piece)) => {
                            let unread = to.write_all(piece).await;
                            if !unread.is_empty() {
                                break Err(Error::internal("the reader went away"));
                            }
                        }
                        Ok(None) => break Ok(()),
                        Err(error) => break Err(error),
                    }
                };
                drop(to);
                let _ = end.write(outcome.map_err(Into::into)).await;
            }
        }
    }
}

/// Waits for `call`, and keeps `beside` going as long.
pub(super) async fn with<T>(call: impl Future<Output = T>, beside: impl Future<Output = ()>) -> T {
    let (mut call, mut beside) = (pin!(call), pin!(beside));
    let mut running = true;
    poll_fn(|context| {
        if let Poll::Ready(result) = call.as_mut().poll(context) {
            return Poll::Ready(result);
        }
        if running && beside.as_mut().poll(context).is_ready() {
            running = false;
        }
        Poll::Pending
    })
    .await
}
