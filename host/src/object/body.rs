use std::fmt;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::{Checksum, Hasher};
use crate::error::{Error, Result};

/// Bytes in pieces. It ends after the last one; an error ends it too, and means that what came before is not all.
pub type ByteStream = BoxStream<'static, Result<Bytes>>;

/// The bytes of an object, or of a range of it.
pub enum Body {
    /// In one piece.
    Bytes(Bytes),
    /// In pieces, as they come.
    Stream(ByteStream),
}

impl Body {
    /// A body that comes in pieces. Asked again after its end, it stays at its end.
    pub fn stream(pieces: impl stream::Stream<Item = Result<Bytes>> + Send + 'static) -> Self {
        Self::Stream(pieces.fuse().boxed())
    }

    /// The body with its bytes checked as they pass: it ends in [`Error::Corrupt`] if they are not `size` bytes with this
    /// checksum, if one is given. `what` names the object.
    pub fn verified(self, size: u64, checksum: Option<Checksum>, what: impl fmt::Display + Send + 'static) -> Self {
        let is_wanted =
            move |hasher: &Hasher| hasher.size() == size && checksum.is_none_or(|checksum| checksum == hasher.finish());
        let pieces = stream::try_unfold(
            (self.into_stream(), Checksum::hasher(), what),
            move |(mut pieces, mut hasher, what)| async move {
                if let Some(piece) = pieces.try_next().await? {
                    hasher.update(&piece);
                    if hasher.size() <= size {
                        return Ok(Some((piece, (pieces, hasher, what))));
                    }
                } else if is_wanted(&hasher) {
                    return Ok(None);
                }
                let found = hasher.size();
                Err(Error::corrupt(format!("{what} came with {found} bytes that are not the {size} that were stored")))
            },
        );
        Self::stream(pieces)
    }

    /// All bytes in one piece, at most `limit` of them. Those of a stream are copied into memory of just their size: a
    /// piece may be a small part of a large buffer, which whoever keeps the piece would keep whole.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if there are more, and whatever the stream fails with.
    pub async fn collect(self, limit: u64) -> Result<Bytes> {
        let too_large = || Error::too_large(format!("the body is larger than the {limit} bytes that fit here"));
        let mut pieces = match self {
            Self::Bytes(bytes) if bytes.len() as u64 > limit => return Err(too_large()),
            Self::Bytes(bytes) => return Ok(bytes),
            Self::Stream(pieces) => pieces,
        };
        let mut all = Vec::new();
        while let Some(piece) = pieces.try_next().await? {
            if (all.len() + piece.len()) as u64 > limit {
                return Err(too_large());
            }
            all.extend_from_slice(&piece);
        }
        Ok(Bytes::from(all.into_boxed_slice()))
    }

    /// The bytes as a stream, whatever form they have.
    pub fn into_stream(self) -> ByteStream {
        match self {
            Self::Bytes(bytes) if bytes.is_empty() => stream::empty().boxed(),
            Self::Bytes(bytes) => stream::once(async { Ok(bytes) }).boxed(),
            Self::Stream(pieces) => pieces,
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Body of {} bytes", bytes.len()),
            Self::Stream(_) => f.write_str("Body in pieces"),
        }
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Self::Bytes(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(texts: &'static [&'static str]) -> Body {
        Body::stream(stream::iter(texts).map(|text| Ok(Bytes::from(*text))))
    }

    #[tokio::test]
    async fn pieces_are_joined_up_to_the_limit() {
        for texts in [&["abc", "", "def"][..], &["abcdef"], &["a", "b", "cdef"]] {
            assert_eq!(pieces(texts).collect(6).await.unwrap(), "abcdef");
            assert!(matches!(pieces(texts).collect(5).await, Err(Error::TooLarge { .. })));
        }
        assert_eq!(pieces(&[]).collect(0).await.unwrap(), "");
        assert!(Body::from("abcdef").collect(5).await.is_err());
    }

    #[tokio::test]
    async fn collected_bytes_keep_no_buffer_that_they_came_in() {
        let buffer = Bytes::from(vec![7; 8192]);
        let collected = Body::stream(stream::iter([Ok(buffer.slice(100..105))])).collect(5).await.unwrap();
        assert_eq!(collected, [7; 5][..]);
        assert!(!buffer.as_ptr_range().contains(&collected.as_ptr()));
        let memory = collected.try_into_mut().unwrap().capacity();
        assert_eq!(memory, 5);
    }

    #[tokio::test]
    async fn only_the_bytes_that_were_stored_pass() {
        let checksum = Some(Checksum::of(b"abcde"));
        let pass = |texts, size, checksum| pieces(texts).verified(size, checksum, "it").collect(100);
        assert_eq!(pass(&["abc", "de"], 5, checksum).await.unwrap(), "abcde");
        assert_eq!(pass(&["abc", "dX"], 5, None).await.unwrap(), "abcdX");
        for texts in [&["abc", "dX"][..], &["abcd"], &["abcde", "f"], &[]] {
            assert!(matches!(pass(texts, 5, checksum).await, Err(Error::Corrupt { .. })), "{texts:?}");
        }
    }

    #[tokio::test]
    async fn a_stream_stays_at_its_end() {
        let once = stream::try_unfold(Some(()), |state| async move { Ok(state.map(|()| (Bytes::from("x"), None))) });
        let mut pieces = Body::stream(once).into_stream();
        assert!(pieces.next().await.is_some());
        assert!(pieces.next().await.is_none() && pieces.next().await.is_none());
    }

    #[tokio::test]
    async fn a_failure_in_the_middle_is_not_the_end() {
        let body = Body::stream(stream::iter([Ok(Bytes::from("abc")), Err(Error::internal("cut off"))]));
        assert!(matches!(body.collect(100).await, Err(Error::Internal { .. })));
    }
}
