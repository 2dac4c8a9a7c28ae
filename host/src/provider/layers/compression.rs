use std::fmt;
use std::io;
use std::ops::{Range, RangeInclusive};

use bytes::{Buf, Bytes};
use zstd::bulk::Compressor;
use zstd::stream::raw::{self, Operation};
use zstd::zstd_safe::{CParameter, DParameter, InBuffer, OutBuffer};

use super::codec::{Codec, Decoder, Description, Encoder, Part, STEP};
use crate::error::{Error, Result};
use crate::object::{Checksum, Key};

/// Compresses objects with zstd, in frames of [`FRAME`] bytes each, so that a range is read without what comes before it.
///
/// An object whose first frame does not become smaller is stored as it is. The stored bytes of the others are what
/// `zstd -d` reads: frames with checksums, then two skippable ones, of which the first is the table of the frames' lengths
/// and the second describes the object.
pub(super) struct Zstd {
    level: i32,
}

/// How many bytes of an object share a frame: the least that a range costs to read.
const FRAME: u64 = 128 * 1024;
/// The binary logarithm of the largest window that is taken for reading, so that no input asks for more memory.
const WINDOW_LOG_MAX: u32 = 20;
/// The magic numbers of two of the sixteen kinds of skippable frames (RFC 8878, 3.1.2).
const TABLE_MAGIC: [u8; 4] = 0x184D_2A5A_u32.to_le_bytes();
const DESCRIPTION_MAGIC: [u8; 4] = 0x184D_2A5B_u32.to_le_bytes();
/// Magic number and length of a skippable frame.
const SKIPPABLE_HEAD: u64 = 8;
/// The skippable frame that describes an object: its version, size and checksum.
const DESCRIPTION: u64 = SKIPPABLE_HEAD + 8 + 8 + 8;
const VERSION: u64 = 1;

impl Zstd {
    /// The levels of compression that there are.
    pub(super) const LEVELS: RangeInclusive<i32> = 1..=19;

    pub(super) fn new(level: i32) -> Self {
        Self { level: level.clamp(*Self::LEVELS.start(), *Self::LEVELS.end()) }
    }

    fn compressor(&self) -> Result<Compressor<'static>> {
        let mut compressor = Compressor::new(self.level).map_err(|error| failure(&error))?;
        compressor.set_parameter(CParameter::ChecksumFlag(true)).map_err(|error| failure(&error))?;
        Ok(compressor)
    }
}

impl fmt::Debug for Zstd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zstd").field("level", &self.level).finish()
    }
}

impl Codec for Zstd {
    const MARK: &'static str = "larder-layer-zstd";
    const TAIL: u64 = DESCRIPTION;

    fn encoder(&self, _key: &Key, first: &[u8], is_all: bool) -> Result<Option<Box<dyn Encoder>>> {
        let mut compressor = self.compressor()?;
        let sample = &first[..first.len().min(FRAME as usize)];
        let compressed = compressor.compress(sample).map_err(|error| failure(&error))?;
        let overhead = if is_all { DESCRIPTION + table_len(first.len() as u64) } else { 0 };
        let worth_it = compressed.len() as u64 + overhead < sample.len() as u64 - sample.len() as u64 / 16;
        // What was compressed to find that out need not be compressed again.
        let first = (is_all || sample.len() as u64 == FRAME).then_some(compressed);
        let encoder = ZstdEncoder { compressor, first, pending: Vec::new(), lengths: Vec::new() };
        Ok(worth_it.then(|| Box::new(encoder) as Box<dyn Encoder>))
    }

    fn describe(&self, _key: &Key, mark: &str, stored: u64, tail: Option<&[u8]>) -> Result<Option<Description>> {
        let description = match (mark, tail) {
            (UNKNOWN, None) => return Ok(None),
            (UNKNOWN, Some(tail)) => from_tail(tail).ok_or_else(|| Error::corrupt("it does not end as it should"))?,
            _ => from_mark(mark).ok_or_else(|| Error::corrupt("its description can not be read"))?,
        };
        match stored.checked_sub(DESCRIPTION + table_len(description.size)) {
            Some(_) => Ok(Some(description)),
            None => Err(Error::corrupt("it is too short")),
        }
    }

    fn decoder(&self, _key: &Key, _mark: &str, description: &Description) -> Result<Box<dyn Decoder>> {
        Ok(Box::new(ZstdDecoder::new(description.size)?))
    }

    fn table(&self, description: &Description, stored: u64) -> Range<u64> {
        let end = stored - DESCRIPTION;
        end - table_len(description.size)..end
    }

    fn part(
        &self,
        _key: &Key,
        _mark: &str,
        description: &Description,
        table: &[u8],
        part: &Range<u64>,
    ) -> Result<Part> {
        let lengths = table_from(table, description.size).ok_or_else(|| Error::corrupt("its table can not be read"))?;
        let (first, last) = (part.start / FRAME, (part.end - 1) / FRAME);
        let until = |frame: u64| lengths.clone().take(frame as usize).map(u64::from).sum::<u64>();
        let stored = until(first)..until(last + 1);
        let decoded = ((last + 1) * FRAME).min(description.size) - first * FRAME;
        Ok(Part { stored, decoder: Box::new(ZstdDecoder::new(decoded)?), skip: part.start - first * FRAME })
    }
}

struct ZstdEncoder {
    compressor: Compressor<'static>,
    /// The first frame, if it was compressed before it is pushed.
    first: Option<Vec<u8>>,
    /// Less than a frame.
    pending: Vec<u8>,
    /// Of the frames written so far.
    lengths: Vec<u32>,
}

impl ZstdEncoder {
    fn end_frame(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let frame = match self.first.take() {
            Some(frame) => frame,
            None => self.compressor.compress(bytes).map_err(|error| failure(&error))?,
        };
        // zstd adds a few bytes at most to the 128 KiB.
        self.lengths.push(frame.len() as u32);
        out.extend_from_slice(&frame);
        Ok(())
    }
}

impl Encoder for ZstdEncoder {
    fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
        while self.pending.len() + bytes.len() >= FRAME as usize {
            let (end, rest) = bytes.split_at(FRAME as usize - self.pending.len());
            let mut pending = std::mem::take(&mut self.pending);
            if pending.is_empty() {
                self.end_frame(end, out)?;
            } else {
                pending.extend_from_slice(end);
                self.end_frame(&pending, out)?;
            }
            bytes = rest;
        }
        self.pending.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(&mut self, description: &Description, out: &mut Vec<u8>) -> Result<()> {
        let pending = std::mem::take(&mut self.pending);
        if !pending.is_empty() {
            self.end_frame(&pending, out)?;
        }
        let len = u32::try_from(4 * self.lengths.len()).map_err(|_| Error::too_large("an object of over 128 TiB"))?;
        out.extend(TABLE_MAGIC);
        out.extend(len.to_le_bytes());
        out.extend(self.lengths.iter().flat_map(|length| length.to_le_bytes()));
        out.extend(DESCRIPTION_MAGIC);
        out.extend(((DESCRIPTION - SKIPPABLE_HEAD) as u32).to_le_bytes());
        for number in [VERSION, description.size, description.checksum.as_u64()] {
            out.extend(number.to_le_bytes());
        }
        Ok(())
    }

    fn mark(&self, description: Option<&Description>) -> Result<String> {
        Ok(match description {
            None => UNKNOWN.to_owned(),
            Some(Description { size, checksum }) => format!("{size}:{:016x}", checksum.as_u64()),
        })
    }
}

/// The mark of an object whose size was not known when it was begun.
const UNKNOWN: &str = "?";

fn from_mark(mark: &str) -> Option<Description> {
    let (size, checksum) = mark.split_once(':')?;
    let checksum = Checksum::from_u64(u64::from_str_radix(checksum, 16).ok()?);
    Some(Description { size: size.parse().ok()?, checksum })
}

fn from_tail(tail: &[u8]) -> Option<Description> {
    let (head, numbers) = tail.split_first_chunk::<{ SKIPPABLE_HEAD as usize }>()?;
    let &[version, size, checksum] = numbers.as_chunks::<8>().0 else { return None };
    let is_one = head[..4] == DESCRIPTION_MAGIC && u64::from_le_bytes(version) == VERSION;
    let checksum = Checksum::from_u64(u64::from_le_bytes(checksum));
    is_one.then_some(Description { size: u64::from_le_bytes(size), checksum })
}

/// How many bytes the table of an object of this size has.
fn table_len(size: u64) -> u64 {
    SKIPPABLE_HEAD + 4 * size.div_ceil(FRAME)
}

/// The lengths of the frames of an object of this size.
fn table_from(table: &[u8], size: u64) -> Option<impl Iterator<Item = u32> + Clone> {
    let (head, lengths) = table.split_first_chunk::<{ SKIPPABLE_HEAD as usize }>()?;
    let is_one = head[..4] == TABLE_MAGIC && table.len() as u64 == table_len(size);
    is_one.then(|| lengths.as_chunks::<4>().0.iter().map(|length| u32::from_le_bytes(*length)))
}

struct ZstdDecoder {
    decoder: raw::Decoder<'static>,
    /// How many bytes may still come out.
    left: u64,
    /// Whether the last frame that began has ended.
    between_frames: bool,
}

impl ZstdDecoder {
    fn new(size: u64) -> Result<Self> {
        let mut decoder = raw::Decoder::new().map_err(|error| failure(&error))?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX)).map_err(|error| failure(&error))?;
        Ok(Self { decoder, left: size, between_frames: true })
    }
}

impl Decoder for ZstdDecoder {
    fn push(&mut self, stored: &mut Bytes, out: &mut Vec<u8>) -> Result<bool> {
        while out.len() < STEP {
            let before = out.len();
            out.reserve(FRAME as usize);
            let mut input = InBuffer::around(stored);
            let mut output = OutBuffer::around_pos(out, before);
            let wanted =
                self.decoder.run(&mut input, &mut output).map_err(|error| Error::corrupt(error.to_string()))?;
            let (taken, is_full) = (input.pos(), output.pos() == output.capacity());
            let decoded = output.pos() - before;
            if taken > 0 || decoded > 0 {
                self.between_frames = wanted == 0;
            }
            stored.advance(taken);
            self.left =
                (self.left.checked_sub(decoded as u64)).ok_or_else(|| Error::corrupt("it holds more than it says"))?;
            if stored.is_empty() && !is_full {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn finish(&mut self) -> Result<()> {
        match (self.left, self.between_frames) {
            (0, true) => Ok(()),
            _ => Err(Error::corrupt("it ends too early")),
        }
    }
}

fn failure(error: &io::Error) -> Error {
    Error::internal(format!("zstd does not work: {error}"))
}
