use std::fmt;
use std::future::Future;
use std::pin::Pin;

#[cfg(target_arch = "wasm32")]
use crate::abi;
use crate::checksum::{Checksum, Running};
use crate::error::{Error, Result};

/// The most bytes that one piece of a stream from the host has.
pub const CHUNK_SIZE: usize = 64 * 1024;

/// The bytes of an object, or of a range of it.
///
/// A body from the host can be handed on as it is, to an [`InnerStore`](crate::InnerStore) or back to the host: its
/// bytes then do not pass through the plugin's memory.
#[derive(Debug)]
pub enum Body {
    /// In one piece.
    Bytes(Vec<u8>),
    /// In pieces, as they come.
    Stream(BodyStream),
}

impl Body {
    /// A body made by the plugin piece by piece.
    ///
    /// ```
    /// use larder_sdk::{Body, ByteSource, Result};
    ///
    /// /// Zeros, without ever holding more than a piece of them.
    /// struct Zeros { left: usize }
    ///
    /// impl ByteSource for Zeros {
    ///     async fn next(&mut self) -> Result<Option<Vec<u8>>> {
    ///         let count = self.left.min(larder_sdk::CHUNK_SIZE);
    ///         self.left -= count;
    ///         Ok((count > 0).then(|| vec![0; count]))
    ///     }
    /// }
    ///
    /// let body = Body::stream(Zeros { left: 1_000_000 });
    /// let bytes = larder_sdk::testing::run(body.collect(2_000_000)).unwrap();
    /// assert_eq!(bytes.len(), 1_000_000);
    /// ```
    pub fn stream(source: impl ByteSource + 'static) -> Self {
        Self::Stream(BodyStream::made(source))
    }

    /// A body of pieces that are there already; it ends with the first error.
    pub fn pieces(pieces: impl IntoIterator<Item = Result<Vec<u8>>, IntoIter: 'static>) -> Self {
        Self::stream(Pieces(pieces.into_iter()))
    }

    /// The next piece, never empty; `None` after the last one, and then only if it was all.
    ///
    /// # Errors
    /// Whatever the sender failed with: what came before is not all.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        match self {
            Self::Bytes(bytes) if bytes.is_empty() => Ok(None),
            Self::Bytes(bytes) => Ok(Some(std::mem::take(bytes))),
            Self::Stream(stream) => stream.next().await,
        }
    }

    /// All bytes in one piece, at most `limit` of them.
    ///
    /// # Errors
    /// [`TooLarge`](crate::ErrorKind::TooLarge) if there are more, and whatever the sender failed with.
    pub async fn collect(mut self, limit: usize) -> Result<Vec<u8>> {
        gather(&mut self, limit).await
    }
}

impl<T: Into<Vec<u8>>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Self::Bytes(bytes.into())
    }
}

/// Makes bytes piece by piece.
#[allow(async_fn_in_trait, reason = "a plugin has one thread, so nothing need be Send")]
pub trait ByteSource {
    /// The next piece; `None` after the last one. An empty piece is passed over.
    ///
    /// # Errors
    /// Any failure: the receiver hears of it, and never takes what came before for all.
    async fn next(&mut self) -> Result<Option<Vec<u8>>>;
}

struct Pieces<I>(I);

impl<I: Iterator<Item = Result<Vec<u8>>>> ByteSource for Pieces<I> {
    async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        self.0.next().transpose()
    }
}

/// A piece to come.
type Piece<'a> = Pin<Box<dyn Future<Output = Result<Option<Vec<u8>>>> + 'a>>;

/// [`ByteSource`] as an object.
trait DynSource {
    fn next(&mut self) -> Piece<'_>;
}

impl<S: ByteSource> DynSource for S {
    fn next(&mut self) -> Piece<'_> {
        Box::pin(ByteSource::next(self))
    }
}

/// Bytes in pieces: from the host, or from a [`ByteSource`].
pub struct BodyStream {
    source: Source,
    /// Runs along with an upload that did not come from the host.
    running: Option<Running>,
    checksum: Option<Checksum>,
}

enum Source {
    #[cfg(target_arch = "wasm32")]
    Host(abi::HostStream),
    Made(Box<dyn DynSource>),
    Ended,
}

impl BodyStream {
    fn made(source: impl ByteSource + 'static) -> Self {
        Self { source: Source::Made(Box::new(source)), running: None, checksum: None }
    }

    #[cfg(target_arch = "wasm32")]
    pub(crate) fn from_host(stream: abi::HostStream) -> Self {
        Self { source: Source::Host(stream), running: None, checksum: None }
    }

    /// The host's stream, if this is one of which nothing was read.
    #[cfg(target_arch = "wasm32")]
    pub(crate) fn into_untouched(self) -> Result<abi::HostStream, Self> {
        match self.source {
            Source::Host(stream) if stream.is_untouched() => Ok(stream),
            source => Err(Self { source, ..self }),
        }
    }

    /// The next piece, never empty; `None` after the last one, and then only if it was all.
    ///
    /// # Errors
    /// Whatever the sender failed with: what came before is not all.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            let piece = match &mut self.source {
                #[cfg(target_arch = "wasm32")]
                Source::Host(stream) => stream.next(&mut self.checksum).await,
                Source::Made(source) => source.next().await,
                Source::Ended => return Ok(None),
            };
            match piece {
                Ok(Some(piece)) if piece.is_empty() => {}
                Ok(Some(piece)) => {
                    if let Some(running) = &mut self.running {
                        running.update(&piece);
                    }
                    return Ok(Some(piece));
                }
                Ok(None) => {
                    self.source = Source::Ended;
                    self.checksum = self.checksum.or_else(|| self.running.take().map(Running::finish));
                    return Ok(None);
                }
                Err(error) => {
                    self.source = Source::Ended;
                    return Err(error);
                }
            }
        }
    }
}

impl fmt::Debug for BodyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyStream").field("checksum", &self.checksum).finish_non_exhaustive()
    }
}

/// The bytes of an object to be stored, with the checksum that the host computed on their way.
///
/// A layer hands them on as they are: an upload is `Into<Body>`.
#[derive(Debug)]
pub struct Upload {
    body: Body,
    checksum: Option<Checksum>,
}

impl Upload {
    /// An upload as the host would make it, in one piece or in several: for tests of a provider.
    pub fn new(body: impl Into<Body>) -> Self {
        let mut body = body.into();
        let checksum = match &mut body {
            Body::Bytes(bytes) => Some(Checksum::of(bytes)),
            Body::Stream(stream) => {
                stream.running = Some(Running::new());
                None
            }
        };
        Self { body, checksum }
    }

    #[cfg(target_arch = "wasm32")]
    pub(crate) fn whole(bytes: Vec<u8>, checksum: u64) -> Self {
        Self { body: Body::Bytes(bytes), checksum: Some(Checksum(checksum)) }
    }

    #[cfg(target_arch = "wasm32")]
    pub(crate) fn streamed(stream: abi::HostStream) -> Self {
        Self { body: Body::Stream(BodyStream::from_host(stream)), checksum: None }
    }

    /// The next piece, never empty; `None` after the last one, and then only if it was all.
    ///
    /// # Errors
    /// Whatever the sender failed with: the object must then not be stored, and the old one stays.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        self.body.next().await
    }

    /// The checksum of all the bytes: at once for those in one piece, else after [`next`](Self::next) returned `None`.
    pub fn checksum(&self) -> Option<Checksum> {
        match &self.body {
            Body::Stream(stream) => stream.checksum,
            Body::Bytes(_) => self.checksum,
        }
    }

    /// All bytes in one piece, at most `limit` of them, and their checksum.
    ///
    /// # Errors
    /// [`TooLarge`](crate::ErrorKind::TooLarge) if there are more, and whatever the sender failed with: the object must
    /// then not be stored, and the old one stays.
    pub async fn collect(mut self, limit: usize) -> Result<(Vec<u8>, Checksum)> {
        let bytes = gather(&mut self.body, limit).await?;
        let checksum = self.checksum().ok_or_else(|| Error::internal("the upload ended without a checksum"))?;
        Ok((bytes, checksum))
    }
}

impl From<Upload> for Body {
    fn from(upload: Upload) -> Self {
        upload.body
    }
}

async fn gather(body: &mut Body, limit: usize) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(piece) = body.next().await? {
        if piece.len() > limit - all.len() {
            return Err(Error::too_large(format!("there is more than the {limit} bytes that fit here")));
        }
        if all.is_empty() {
            all = piece;
        } else {
            all.extend_from_slice(&piece);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::testing::run;

    fn pieces(texts: &'static [&'static str]) -> Body {
        Body::pieces(texts.iter().map(|text| Ok(text.as_bytes().to_vec())))
    }

    #[test]
    fn pieces_are_joined_up_to_the_limit() {
        for texts in [&["abc", "", "def"][..], &["abcdef"], &["a", "b", "cdef"]] {
            assert_eq!(run(pieces(texts).collect(6)).unwrap(), b"abcdef");
            assert_eq!(run(pieces(texts).collect(5)).unwrap_err().kind, ErrorKind::TooLarge);
        }
        assert_eq!(run(Body::from("abcdef").collect(6)).unwrap(), b"abcdef");
        assert_eq!(run(pieces(&[]).collect(0)).unwrap(), b"");
    }

    #[test]
    fn a_failure_in_the_middle_is_not_the_end() {
        let mut body = Body::pieces([Ok(b"abc".to_vec()), Err(Error::timeout("cut off")), Ok(b"def".to_vec())]);
        assert_eq!(run(body.next()).unwrap().unwrap(), b"abc");
        assert_eq!(run(body.next()).unwrap_err().kind, ErrorKind::Timeout);
        assert_eq!(run(body.next()).unwrap(), None);
    }

    #[test]
    fn the_checksum_is_known_at_once_or_after_the_end() {
        assert_eq!(Upload::new("abcdef").checksum(), Some(Checksum::of(b"abcdef")));
        let mut upload = Upload::new(pieces(&["abc", "def"]));
        assert!(run(upload.next()).unwrap().is_some() && run(upload.next()).unwrap().is_some());
        assert_eq!(upload.checksum(), None);
        assert_eq!(run(upload.next()).unwrap(), None);
        assert_eq!(upload.checksum(), Some(Checksum::of(b"abcdef")));
        let (bytes, checksum) = run(Upload::new(pieces(&["abc", "def"])).collect(6)).unwrap();
        assert_eq!((bytes.as_slice(), checksum), (&b"abcdef"[..], Checksum::of(b"abcdef")));
    }
}
