use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use crate::error::Result;
use crate::object::{Checksum, Key};

/// How a layer writes the bytes of an object, and reads them back. Nothing here waits; what takes a while is called on a
/// thread made for that.
pub(super) trait Codec: fmt::Debug + Send + Sync + 'static {
    /// The user metadata of the inner object that says how it was written. Objects without it are as they are.
    const MARK: &'static str;

    /// How many of its last bytes describe an object that its mark does not describe.
    const TAIL: u64;

    /// Begins an object that begins with these bytes, which are all of it if `is_all`. `None`: it is to be stored as it is.
    ///
    /// # Errors
    /// It can not be coded.
    fn encoder(&self, key: &Key, first: &[u8], is_all: bool) -> Result<Option<Box<dyn Encoder>>>;

    /// What a mark, and the tail of the object if need be, say of an object of which `stored` bytes are stored; `None` if
    /// that takes the tail.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::error::Error::Corrupt), with the reason only; what keeps it from being read.
    fn describe(&self, key: &Key, mark: &str, stored: u64, tail: Option<&[u8]>) -> Result<Option<Description>>;

    /// What decodes all stored bytes of an object.
    ///
    /// # Errors
    /// What keeps it from being read.
    fn decoder(&self, key: &Key, mark: &str, description: &Description) -> Result<Box<dyn Decoder>>;

    /// Where among the stored bytes the table lies that is wanted to find a part; empty if there is none.
    fn table(&self, description: &Description, stored: u64) -> Range<u64>;

    /// Where among the stored bytes a part of an object lies, and what decodes it. The part is not empty, and lies within
    /// the object.
    ///
    /// # Errors
    /// The table is not one; what keeps the object from being read.
    fn part(&self, key: &Key, mark: &str, description: &Description, table: &[u8], part: &Range<u64>) -> Result<Part>;
}

/// What is known of an object before a byte of it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Description {
    pub(super) size: u64,
    pub(super) checksum: Checksum,
}

/// A part of an object among the stored bytes.
pub(super) struct Part {
    /// The stored bytes that it takes.
    pub(super) stored: Range<u64>,
    pub(super) decoder: Box<dyn Decoder>,
    /// How many decoded bytes come before those that were asked for.
    pub(super) skip: u64,
}

/// Writes one object.
pub(super) trait Encoder: Send {
    /// Takes the next bytes, and appends what is to be stored to `out`.
    ///
    /// # Errors
    /// They can not be coded.
    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<()>;

    /// Ends the object.
    ///
    /// # Errors
    /// What is left can not be coded.
    fn finish(&mut self, description: &Description, out: &mut Vec<u8>) -> Result<()>;

    /// The mark of the object, which does not describe it before its end is known.
    ///
    /// # Errors
    /// The description can not be coded.
    fn mark(&self, description: Option<&Description>) -> Result<String>;
}

/// Reads stored bytes back.
pub(super) trait Decoder: Send {
    /// Takes bytes from the front of `stored`, and appends what they stand for to `out`, [`STEP`] bytes or a little more.
    /// Returns whether it has done with these bytes: if not, it wants to be called again with what is left.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::error::Error::Corrupt), with the reason only.
    fn push(&mut self, stored: &mut Bytes, out: &mut Vec<u8>) -> Result<bool>;

    /// Takes note that there are no more.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::error::Error::Corrupt): there should have been.
    fn finish(&mut self) -> Result<()>;
}

/// About how many bytes are decoded at a time, however many the stored ones may stand for.
pub(super) const STEP: usize = 256 * 1024;
