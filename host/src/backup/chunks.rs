use bytes::Bytes;
use fastcdc::v2020::FastCDC;
use futures::TryStreamExt;

use crate::error::Result;
use crate::object::{ByteStream, Digest};
use crate::provider::layers::off_runtime;

/// The lengths of chunks, in bytes: of all but the last of an object at least, of random bytes on average, and at most.
/// Small ones find more that is equal, large ones are fewer.
const MIN: usize = 128 * 1024;
const AVERAGE: usize = 512 * 1024;
pub(super) const MAX: usize = 2 * 1024 * 1024;

/// Cuts bytes where their content says so (FastCDC, Xia et al., 2020), so that a change in the middle of an object leaves
/// most chunks of it as they were.
pub(super) struct Chunks {
    pieces: ByteStream,
    /// What came and is not cut yet.
    rest: Vec<u8>,
    ended: bool,
}

impl Chunks {
    pub(super) fn of(pieces: ByteStream) -> Self {
        Self { pieces, rest: Vec::new(), ended: false }
    }

    /// The next chunk and its digest, or `None` behind the last.
    ///
    /// # Errors
    /// Those of the stream.
    pub(super) async fn next(&mut self) -> Result<Option<(Digest, Bytes)>> {
        while !self.ended && self.rest.len() < MAX {
            match self.pieces.try_next().await? {
                Some(piece) => self.rest.extend_from_slice(&piece),
                None => self.ended = true,
            }
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        let mut rest = std::mem::take(&mut self.rest);
        let cut = move || {
            let first = FastCDC::new(&rest, MIN, AVERAGE, MAX).next();
            let behind = rest.split_off(first.map_or(rest.len(), |chunk| chunk.length));
            Ok((Digest::of(&rest), Bytes::from(rest), behind))
        };
        let (digest, chunk, behind) = off_runtime(MAX, cut).await?;
        self.rest = behind;
        Ok(Some((digest, chunk)))
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use futures::stream;

    use super::*;
    use crate::random::Random;

    async fn cut(bytes: &[u8], piece: usize) -> Vec<(Digest, usize)> {
        let pieces: Vec<_> = bytes.chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let mut chunks = Chunks::of(stream::iter(pieces).boxed());
        let (mut cut, mut joined) = (Vec::new(), Vec::new());
        while let Some((digest, chunk)) = chunks.next().await.unwrap() {
            assert_eq!(digest, Digest::of(&chunk));
            cut.push((digest, chunk.len()));
            joined.extend_from_slice(&chunk);
        }
        assert!(joined == bytes);
        cut
    }

    #[tokio::test]
    async fn a_change_in_the_middle_leaves_most_chunks_as_they_were() {
        let mut random = Random::new(3);
        let mut bytes: Vec<u8> = (0..12 << 20).map(|_| random.next() as u8).collect();
        let before = cut(&bytes, 70_000).await;
        assert!(before.len() > 6 && before.iter().all(|(_, size)| *size <= MAX));
        assert_eq!(cut(&bytes, 3 << 20).await, before, "however the bytes come");
        bytes.splice(5 << 20..5 << 20, *b"something new");
        let after = cut(&bytes, 70_000).await;
        let new = after.iter().filter(|chunk| !before.contains(chunk)).count();
        assert!((1..=3).contains(&new), "{new} new chunks of {}", after.len());
    }

    #[tokio::test]
    async fn what_is_small_is_one_chunk_and_nothing_is_none() {
        assert_eq!(cut(b"small", 2).await, [(Digest::of(b"small"), 5)]);
        assert_eq!(cut(b"", 1).await, []);
    }
}
