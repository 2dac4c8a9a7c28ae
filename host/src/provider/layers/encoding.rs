use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, TryStreamExt};
use parking_lot::Mutex;

use super::codec::{Description, Encoder};
use super::off_runtime;
use crate::error::Result;
use crate::object::{Body, ByteStream, Checksum, Hasher};

/// What is known of an object at the end of its body.
pub(super) struct End {
    pub(super) description: Description,
    pub(super) mark: String,
}

/// The pieces as they are to be stored. Once all of them were taken, `end` holds what they came to.
pub(super) fn encode(encoder: Box<dyn Encoder>, pieces: ByteStream, end: Arc<Mutex<Option<End>>>) -> Body {
    let encoding = Encoding { encoder, hasher: Checksum::hasher(), pieces, end };
    Body::stream(stream::try_unfold(Some(encoding), |encoding| async move {
        match encoding {
            Some(encoding) => encoding.next().await.map(Some),
            None => Ok(None),
        }
    }))
}

struct Encoding {
    encoder: Box<dyn Encoder>,
    /// Of the bytes before they are coded.
    hasher: Hasher,
    pieces: ByteStream,
    end: Arc<Mutex<Option<End>>>,
}

impl Encoding {
    /// The next bytes to store, and what is left to do behind them.
    async fn next(mut self) -> Result<(Bytes, Option<Self>)> {
        loop {
            let piece = self.pieces.try_next().await?;
            let (mut encoder, mut hasher) = (self.encoder, self.hasher);
            let Some(piece) = piece else {
                let description = Description { size: hasher.size(), checksum: hasher.finish() };
                let mut out = Vec::new();
                encoder.finish(&description, &mut out)?;
                *self.end.lock() = Some(End { description, mark: encoder.mark(Some(&description))? });
                return Ok((out.into(), None));
            };
            let out;
            (self.encoder, self.hasher, out) = off_runtime(piece.len(), move || {
                let mut out = Vec::with_capacity(piece.len());
                encoder.push(&piece, &mut out)?;
                hasher.update(&piece);
                Ok((encoder, hasher, out))
            })
            .await?;
            if !out.is_empty() {
                return Ok((out.into(), Some(self)));
            }
        }
    }
}
