use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::stream;

use super::format::{BLOCK, MAX_HEAD, TABLE_ENTRY, TRAILER, Trailer, table_size};
use crate::error::{Error, Result};
use crate::object::{Body, Checksum, Hasher, StorageMetadata};
use crate::provider::file::blocking;
use crate::provider::file::fault::of_io;
use crate::provider::file::layout::Generation;

/// How many bytes of a stream are read at a time: whole blocks.
const PIECE: u64 = 4 * BLOCK;

/// How many bytes are read at the end of a file at once: most heads, and the trailer.
const TAIL: u64 = 4096;

/// Reads a body from its file, and returns no byte that is not the one stored. All of its functions block.
#[derive(Debug)]
pub(in super::super) struct BodyReader {
    file: File,
    path: PathBuf,
    metadata: StorageMetadata,
}

impl BodyReader {
    /// Opens the body that the index says is in this file, or `None` if there is no such file.
    pub(in super::super) fn open(
        path: &Path,
        generation: Generation,
        metadata: &StorageMetadata,
    ) -> Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(of_io(&error, "could not open", path)),
        };
        let mut reader = Self { file, path: path.to_owned(), metadata: metadata.clone() };
        reader.check_footer(generation)?;
        Ok(Some(reader))
    }

    /// Opens a body by what its file says of itself.
    pub(in super::super) fn open_described(path: &Path, generation: Generation) -> Result<Self> {
        let file = File::open(path).map_err(|error| of_io(&error, "could not open", path))?;
        let length = file.metadata().map_err(|error| of_io(&error, "could not read", path))?.len();
        let metadata = describe(&file, length, generation).map_err(|why| match why {
            NoBody::Unreadable(error) => of_io(&error, "could not read", path),
            NoBody::Damaged(why) => {
                Error::corrupt(format!("\u{2018}{}\u{2019} is no whole body: {why}", path.display()))
            }
        })?;
        Ok(Self { file, path: path.to_owned(), metadata })
    }

    /// The object, as the index says or else the file.
    pub(in super::super) fn metadata(&self) -> &StorageMetadata {
        &self.metadata
    }

    /// Holds all bytes against their checksums; `read` is told how many were read.
    pub(in super::super) fn verify(self, mut read: impl FnMut(u64)) -> Result<()> {
        let range = 0..self.metadata.size;
        let mut rest = (!range.is_empty()).then(|| Rest::new(self, range));
        while let Some(some) = rest {
            let (piece, left) = some.next()?;
            read(piece.len() as u64);
            rest = left;
        }
        Ok(())
    }

    /// Holds head and trailer against the index: that this is the file of this write, and complete.
    fn check_footer(&mut self, generation: Generation) -> Result<()> {
        let length = self.file.metadata().map_err(|error| self.failure(&error))?.len();
        let found = describe(&self.file, length, generation).map_err(|why| match why {
            NoBody::Unreadable(error) => self.failure(&error),
            NoBody::Damaged(why) => self.corrupt(&why),
        })?;
        let StorageMetadata { key, size, checksum, etag, .. } = &self.metadata;
        let same = (&found.key, found.size, found.checksum, &found.etag) == (key, *size, *checksum, etag);
        if same { Ok(()) } else { Err(self.corrupt("it holds another object than the index says")) }
    }

    /// These bytes of the object; the range lies within it.
    pub(in super::super) fn read(&mut self, range: Range<u64>) -> Result<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let blocks = range.start / BLOCK..range.end.div_ceil(BLOCK);
        let covered = blocks.start * BLOCK..(blocks.end * BLOCK).min(self.metadata.size);
        let bytes = self.read_at(covered.clone())?;
        let table = self.metadata.size;
        let table = self.read_at(table + blocks.start * TABLE_ENTRY..table + blocks.end * TABLE_ENTRY)?;
        let checksums = table.as_chunks::<{ TABLE_ENTRY as usize }>().0;
        for ((number, block), checksum) in blocks.zip(bytes.chunks(BLOCK as usize)).zip(checksums) {
            if Checksum::of(block).as_u64() != u64::from_le_bytes(*checksum) {
                let start = number * BLOCK;
                let end = start + block.len() as u64;
                return Err(self.corrupt(&format!("the bytes {start} to {end} do not have their checksum")));
            }
        }
        if range == (0..self.metadata.size) && Checksum::of(&bytes) != self.metadata.checksum {
            return Err(self.not_the_whole());
        }
        // Both ends lie within what was just read.
        Ok(bytes.slice((range.start - covered.start) as usize..(range.end - covered.start) as usize))
    }

    fn read_at(&mut self, range: Range<u64>) -> Result<Bytes> {
        let length = range.end - range.start;
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        self.file
            .seek(SeekFrom::Start(range.start))
            .and_then(|_| (&self.file).take(length).read_to_end(&mut bytes))
            .map_err(|error| self.failure(&error))?;
        if (bytes.len() as u64) < length {
            return Err(self.corrupt("it is too short"));
        }
        Ok(bytes.into())
    }

    fn not_the_whole(&self) -> Error {
        self.corrupt("all bytes together do not have their checksum")
    }

    fn corrupt(&self, why: &str) -> Error {
        let (key, path) = (&self.metadata.key, self.path.display());
        Error::corrupt(format!(
            "the object \u{2018}{key}\u{2019} is damaged in its file \u{2018}{path}\u{2019}: {why}; store it again"
        ))
    }

    fn failure(&self, error: &io::Error) -> Error {
        of_io(error, "could not read", &self.path)
    }
}

/// Why a file is no body.
enum NoBody {
    Unreadable(io::Error),
    Damaged(String),
}

/// The metadata in the head of a body of this length, which is whole as far as its length and its head tell.
fn describe(mut file: &File, length: u64, generation: Generation) -> Result<StorageMetadata, NoBody> {
    let damaged = |why: &str| NoBody::Damaged(why.to_owned());
    let too_short = || damaged("it is too short");
    let mut read = |start: u64, bytes: &mut [u8]| {
        file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(bytes)).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => too_short(),
            _ => NoBody::Unreadable(error),
        })
    };
    let end = length.checked_sub(TRAILER as u64).ok_or_else(too_short)?;
    // At most `TAIL`.
    let mut tail = vec![0; length.min(TAIL) as usize];
    read(length - tail.len() as u64, &mut tail)?;
    let trailer = *tail.last_chunk::<TRAILER>().ok_or_else(too_short)?;
    let trailer = Trailer::parse(trailer).map_err(NoBody::Damaged)?;
    if trailer.head > MAX_HEAD {
        return Err(damaged("its description is too long to be one"));
    }
    let start = end.checked_sub(trailer.head).ok_or_else(too_short)?;
    // At most `MAX_HEAD`.
    let head = trailer.head as usize;
    if head + TRAILER > tail.len() {
        tail.resize(head + TRAILER, 0);
        read(start, &mut tail)?;
    }
    let head = &tail[tail.len() - TRAILER - head..tail.len() - TRAILER];
    let metadata = trailer.open(head).map_err(NoBody::Damaged)?;
    if metadata.size.checked_add(table_size(metadata.size)) != Some(start) {
        return Err(damaged("it does not have the length that it says"));
    }
    if trailer.generation != generation {
        return Err(damaged("it is the body of another write"));
    }
    Ok(metadata)
}

/// These bytes of the object in pieces, one of them read ahead: half a mebibyte of memory, however long the object is.
pub(in super::super) fn stream(reader: BodyReader, range: Range<u64>) -> Body {
    let rest = Rest::new(reader, range);
    Body::stream(stream::try_unfold(Some(rest.read_ahead()), |coming| async {
        let Some(coming) = coming else { return Ok(None) };
        let (piece, rest) = coming.await?;
        Ok(Some((piece, rest.map(Rest::read_ahead))))
    }))
}

/// What of a stream is still to be read.
struct Rest {
    reader: BodyReader,
    /// Not empty.
    range: Range<u64>,
    /// The checksum up to here, if the stream is of the whole object.
    whole: Option<Hasher>,
}

impl Rest {
    fn new(reader: BodyReader, range: Range<u64>) -> Self {
        let whole = (range == (0..reader.metadata.size)).then(Checksum::hasher);
        Self { reader, range, whole }
    }

    /// Starts to read the next piece.
    fn read_ahead(self) -> impl Future<Output = Result<(Bytes, Option<Self>)>> + Send {
        blocking(move || self.next())
    }

    fn next(mut self) -> Result<(Bytes, Option<Self>)> {
        let end = (self.range.start / PIECE * PIECE + PIECE).min(self.range.end);
        let piece = self.reader.read(self.range.start..end)?;
        self.range.start = end;
        if let Some(whole) = &mut self.whole {
            whole.update(&piece);
        }
        if !self.range.is_empty() {
            return Ok((piece, Some(self)));
        }
        match &self.whole {
            Some(whole) if whole.finish() != self.reader.metadata.checksum => Err(self.reader.not_the_whole()),
            _ => Ok((piece, None)),
        }
    }
}
