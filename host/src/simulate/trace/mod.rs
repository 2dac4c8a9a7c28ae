//! The requests of a trace, and the formats that traces come in.

mod arc;
mod columns;
mod compression;
mod csv;
mod error;
mod format;
mod lines;
mod lirs;
mod oracle_general;
mod recorder;
mod records;
#[cfg(test)]
mod tests;
mod text;
mod u32be;
mod u64be;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

pub use self::columns::{Column, Columns};
pub use self::error::TraceError;
pub use self::format::Format;
pub(super) use self::recorder::Recorder;

use self::error::Fault;

/// Requests of a cache, in the order in which they came.
///
/// It is held in memory: 4 bytes a request, and 8 more where the format has sizes. While a trace is read, each distinct
/// key takes another 16 to 24 bytes, and as many as it is long in formats that have text for keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// For each request, the number of its key: the first key is 0, the next one that was not there before is 1.
    keys: Vec<u32>,
    /// For each request, the bytes of the object, if the trace tells.
    sizes: Option<Vec<u64>>,
    distinct: u64,
    bytes: u64,
    distinct_bytes: u64,
}

/// What is read of a trace, and how.
#[derive(Clone, Debug, Default)]
pub struct TraceOptions {
    /// The format; absent: as the name of the file says.
    pub format: Option<Format>,
    /// Where keys and sizes stand in a CSV file.
    pub columns: Columns,
    /// How many requests are read; absent: all.
    pub limit: Option<u64>,
    /// Leaves sizes out, though the format has them.
    pub ignore_sizes: bool,
}

/// The key and the size of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The number of the key, from 0 without gaps.
    pub key: u32,
    /// The bytes of the object; 1 where the trace has no sizes.
    pub size: u64,
}

impl Trace {
    /// Reads a file, which may be compressed by xz, zstd or gzip. `on_read` hears how many bytes more of the file were
    /// read.
    ///
    /// # Errors
    /// [`TraceError`]: the file can not be read, is not in the format, or has no request.
    pub fn read(path: &Path, options: &TraceOptions, on_read: impl FnMut(u64)) -> Result<Self, TraceError> {
        let in_file = |fault| TraceError { path: path.to_owned(), fault };
        let format = match options.format {
            Some(format) => format,
            None => Format::of_name(path).ok_or_else(|| in_file(Fault::UnknownFormat))?,
        };
        let opened = || {
            let file = File::open(path)?;
            // The system opens a folder, and then says no more than that it can not read it.
            if file.metadata()?.is_dir() {
                return Err(io::Error::from(io::ErrorKind::IsADirectory));
            }
            Ok(file)
        };
        let file = opened().map_err(|error| in_file(Fault::Read(error)))?;
        let file = BufReader::with_capacity(64 << 10, Counted { inner: file, on_read });
        let mut input = compression::plain(path, file).map_err(in_file)?;
        Self::parse(&mut input, format, options).map_err(in_file)
    }

    /// Reads uncompressed requests.
    fn parse(input: &mut dyn BufRead, format: Format, options: &TraceOptions) -> Result<Self, Fault> {
        let mut recorder = Recorder::new(options.limit, !options.ignore_sizes);
        format.parse(input, &options.columns, &mut recorder)?;
        recorder.finish()
    }

    /// Its requests, in order.
    pub fn requests(&self) -> impl Iterator<Item = Request> {
        self.keys.iter().enumerate().map(|(index, &key)| {
            let size = self.sizes.as_ref().map_or(1, |sizes| sizes[index]);
            Request { key, size }
        })
    }

    /// How many requests it has; at least 1.
    #[expect(clippy::len_without_is_empty, reason = "no trace is empty")]
    pub fn len(&self) -> u64 {
        self.keys.len() as u64
    }

    /// How many distinct keys it has.
    pub fn distinct(&self) -> u64 {
        self.distinct
    }

    /// Whether it tells the sizes of objects.
    pub fn has_sizes(&self) -> bool {
        self.sizes.is_some()
    }

    /// The bytes of all requests together, or their number where there are no sizes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The bytes of all objects together, each by the size it had first, or their number where there are no sizes.
    pub fn distinct_bytes(&self) -> u64 {
        self.distinct_bytes
    }

    /// The share of requests that a cache without bounds would answer: all but the first of each key. No cache hits
    /// more often.
    pub fn ceiling(&self) -> f64 {
        1.0 - self.distinct as f64 / self.len() as f64
    }

    /// The share of bytes that a cache without bounds would answer.
    pub fn byte_ceiling(&self) -> f64 {
        1.0 - self.distinct_bytes as f64 / self.bytes.max(1) as f64
    }
}

/// Tells how much is read.
struct Counted<R, F> {
    inner: R,
    on_read: F,
}

impl<R: Read, F: FnMut(u64)> Read for Counted<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        (self.on_read)(count as u64);
        Ok(count)
    }
}
