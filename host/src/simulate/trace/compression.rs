//! What a trace was compressed with is told from its first bytes.

use std::io::{BufRead, BufReader};
use std::path::Path;

use super::error::Fault;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compression {
    Xz,
    Zstd,
    Gzip,
}

impl Compression {
    const ALL: [Self; 3] = [Self::Xz, Self::Zstd, Self::Gzip];

    fn extension(self) -> &'static str {
        match self {
            Self::Xz => "xz",
            Self::Zstd => "zst",
            Self::Gzip => "gz",
        }
    }

    /// How what it compressed begins.
    fn magic(self) -> &'static [u8] {
        match self {
            Self::Xz => &[0xfd, b'7', b'z', b'X', b'Z', 0],
            Self::Zstd => &[0x28, 0xb5, 0x2f, 0xfd],
            // The third byte is the method, and there is but one.
            Self::Gzip => &[0x1f, 0x8b, 8],
        }
    }
}

/// What was written before it was compressed, if it was.
pub(super) fn plain<'a>(path: &Path, mut file: impl BufRead + 'a) -> Result<Box<dyn BufRead + 'a>, Fault> {
    let begin = file.fill_buf()?;
    let found = Compression::ALL.into_iter().find(|compression| begin.starts_with(compression.magic()));
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase()).unwrap_or_default();
    let named = Compression::ALL.into_iter().find(|compression| compression.extension() == extension);
    if let Some(named) = named.filter(|named| found.is_none_or(|found| found != *named)) {
        let extension = named.extension();
        return Err(Fault::Other(format!("its name ends with .{extension}, and what is in it is no {named:?} data")));
    }
    Ok(match found {
        None => Box::new(file),
        Some(Compression::Xz) => Box::new(BufReader::new(lzma_rust2::XzReader::new(file, true))),
        Some(Compression::Gzip) => Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(file))),
        Some(Compression::Zstd) => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(file)?;
            // What `zstd --long=31` makes; the default takes windows of up to 128 MiB.
            decoder.window_log_max(31)?;
            Box::new(BufReader::new(decoder))
        }
    })
}
