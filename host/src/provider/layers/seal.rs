use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::Encryption;
use super::codec::{Codec, Description, Encoder};
use super::decoding::decode;
use super::encryption::{HEAD, Sealing};
use crate::error::{Error, Result};
use crate::object::{Body, Checksum, Hasher, Key};

/// Seals what is on its way into an encrypted store while it is kept elsewhere, as the store seals its objects. What was
/// sealed under one name opens under no other.
#[derive(Clone, Debug)]
pub struct Seal(Arc<Sealing>);

/// Seals one body.
pub(crate) struct Sealed {
    encoder: Box<dyn Encoder>,
    hasher: Hasher,
}

impl Seal {
    /// How many bytes of a sealed body are wanted to open it.
    pub(crate) const HEAD: u64 = HEAD;

    /// What seals with these keys.
    pub fn new(encryption: Encryption) -> Self {
        Self(Arc::new(Sealing::new(encryption)))
    }

    /// Begins a body that is kept under this name.
    pub(crate) fn begin(&self, name: &Key) -> Result<Sealed> {
        let encoder = self.0.encoder(name, &[], false)?;
        let encoder = encoder.ok_or_else(|| Error::internal("what is to be sealed is not left as it is"))?;
        Ok(Sealed { encoder, hasher: Checksum::hasher() })
    }

    /// What was sealed under this name: `stored` bytes, which begin with `head`, and are all in `body`. It ends in
    /// [`Error::Corrupt`] if they were changed.
    ///
    /// # Errors
    /// [`Error::Corrupt`], and [`Error::PermissionDenied`] if it was sealed with another key.
    pub(crate) async fn open(&self, name: &Key, head: &[u8], stored: u64, body: Body) -> Result<Body> {
        let (mark, description) = Self::describe(head, stored)?;
        decode(name, body, self.0.decoder(name, &mark, &description)?, 0..description.size).await
    }

    /// Seals a few bytes.
    pub(crate) fn seal(&self, name: &Key, bytes: &[u8]) -> Result<Vec<u8>> {
        let mut sealed = self.begin(name)?;
        let mut out = sealed.push(bytes)?;
        out.append(&mut sealed.finish()?);
        Ok(out)
    }

    /// A few bytes that [`Seal::seal`] has sealed under this name.
    ///
    /// # Errors
    /// Those of [`Seal::open`].
    pub(crate) fn unseal(&self, name: &Key, sealed: Vec<u8>) -> Result<Vec<u8>> {
        let (mark, description) = Self::describe(&sealed, sealed.len() as u64)?;
        let mut decoder = self.0.decoder(name, &mark, &description)?;
        let (mut stored, mut out) = (Bytes::from(sealed), Vec::new());
        while !decoder.push(&mut stored, &mut out)? {}
        decoder.finish()?;
        Ok(out)
    }

    /// How many bytes there are in a sealed body of so many.
    ///
    /// # Errors
    /// [`Error::Corrupt`]: it is too short to be one.
    pub(crate) fn size(stored: u64) -> Result<u64> {
        Sealing::opened_len(stored).ok_or_else(|| Error::corrupt("it is too short to be what was sealed"))
    }

    /// The mark of what was sealed, and its size. What checksum it has is sealed too, and not looked at.
    fn describe(head: &[u8], stored: u64) -> Result<(String, Description)> {
        let mark = Sealing::mark_in(head).ok_or_else(|| Error::corrupt("it does not begin as what is sealed does"))?;
        Ok((mark, Description { size: Self::size(stored)?, checksum: Checksum::from_u64(0) }))
    }
}

impl Sealed {
    /// Takes the next bytes, and returns what is to be kept.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity(bytes.len());
        self.encoder.push(bytes, &mut out)?;
        self.hasher.update(bytes);
        Ok(out)
    }

    /// Ends the body, and returns the last of what is to be kept.
    pub(crate) fn finish(mut self) -> Result<Vec<u8>> {
        let description = Description { size: self.hasher.size(), checksum: self.hasher.finish() };
        let mut out = Vec::new();
        self.encoder.finish(&description, &mut out)?;
        Ok(out)
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed").field("size", &self.hasher.size()).finish_non_exhaustive()
    }
}
