use std::ops::Range;

use bytes::Bytes;
use futures::stream::{self, TryStreamExt};

use super::codec::{Decoder, STEP};
use super::coded::of_object;
use super::off_runtime;
use crate::error::Result;
use crate::object::{Body, ByteStream, Key};

/// The bytes of `wanted` among those that `stored` stands for. They come in one piece if they are few; the last ones come
/// only after all that is stored has proved to be whole.
///
/// # Errors
/// Those of `stored`, and the decoder's.
pub(super) async fn decode(key: &Key, stored: Body, decoder: Box<dyn Decoder>, wanted: Range<u64>) -> Result<Body> {
    let few = wanted.end - wanted.start <= STEP as u64;
    let decoding = Decoding {
        key: key.clone(),
        decoder,
        stored: Bytes::new(),
        pieces: stored.into_stream(),
        skip: wanted.start,
        left: wanted.end - wanted.start,
        last: None,
    };
    if few {
        let mut all = Vec::new();
        let mut next = Some(decoding);
        while let Some(decoding) = next {
            let (bytes, rest) = decoding.next().await?;
            if all.is_empty() && rest.is_none() {
                return Ok(Body::Bytes(bytes));
            }
            all.extend_from_slice(&bytes);
            next = rest;
        }
        return Ok(Body::Bytes(all.into()));
    }
    Ok(Body::stream(stream::try_unfold(Some(decoding), |decoding| async move {
        match decoding {
            Some(decoding) => decoding.next().await.map(Some),
            None => Ok(None),
        }
    })))
}

struct Decoding {
    key: Key,
    decoder: Box<dyn Decoder>,
    /// What the decoder has not taken yet.
    stored: Bytes,
    pieces: ByteStream,
    /// How many decoded bytes still come before those that are wanted.
    skip: u64,
    /// How many of those are still to come.
    left: u64,
    /// The last of them, which wait for the end.
    last: Option<Bytes>,
}

impl Decoding {
    /// The next decoded bytes, and what is left to do behind them.
    async fn next(mut self) -> Result<(Bytes, Option<Self>)> {
        loop {
            let (mut decoder, mut stored) = (self.decoder, self.stored);
            let decoded = off_runtime(stored.len(), move || {
                let mut out = Vec::new();
                let done = decoder.push(&mut stored, &mut out)?;
                Ok((decoder, stored, out, done))
            });
            let (decoder, stored, out, done) = decoded.await.map_err(|error| of_object(&self.key, error))?;
            (self.decoder, self.stored) = (decoder, stored);
            let bytes = self.cut(out.into());
            if self.left == 0 && self.last.is_none() {
                self.last = Some(bytes);
            } else if !bytes.is_empty() {
                return Ok((bytes, Some(self)));
            }
            if done {
                match self.pieces.try_next().await? {
                    Some(piece) => self.stored = piece,
                    None => {
                        self.decoder.finish().map_err(|error| of_object(&self.key, error))?;
                        return Ok((self.last.unwrap_or_default(), None));
                    }
                }
            }
        }
    }

    /// Those of the bytes that are wanted.
    fn cut(&mut self, mut bytes: Bytes) -> Bytes {
        // Neither is more than the length of `bytes`, which is a usize.
        let skipped = self.skip.min(bytes.len() as u64);
        let mut bytes = bytes.split_off(skipped as usize);
        self.skip -= skipped;
        bytes.truncate(self.left.min(bytes.len() as u64) as usize);
        self.left -= bytes.len() as u64;
        bytes
    }
}
