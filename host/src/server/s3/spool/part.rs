use std::cmp::Reverse;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use base64_simd::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures::stream::{self, Stream, TryStreamExt};
use hex_simd::AsciiCase;
use parking_lot::Mutex;
use s3s::crypto::{Checksum as _, Md5};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio_util::io::ReaderStream;
use ulid::Ulid;

use super::{failure, run};
use crate::error::{Error, Result};
use crate::object::{Body, Checksum, Key};
use crate::provider::layers::Seal;

const PIECE: usize = 256 * 1024;

/// A part that was uploaded.
#[derive(Clone, Debug)]
pub(in super::super) struct Part {
    pub(in super::super) number: u16,
    pub(in super::super) md5: String,
    pub(in super::super) checksum: Checksum,
    pub(in super::super) size: u64,
    pub(in super::super) modified: SystemTime,
    pub(super) file: PartFile,
}

/// The file of a part: `<number>.<md5>.<crc64nvme>`, or, if it is sealed, `<number>.<both of them sealed>`.
#[derive(Clone, Debug)]
pub(super) struct PartFile {
    number: u16,
    pub(super) name: String,
    sealed: bool,
}

impl PartFile {
    /// The file of this name, if it is one of a part.
    fn of(name: &str) -> Option<Self> {
        let (number, label) = name.split_once('.')?;
        Some(Self { number: number.parse().ok()?, name: name.to_owned(), sealed: !label.contains('.') })
    }
}

/// What the name of a part's file says of its bytes.
fn label(md5: &str, checksum: Checksum) -> String {
    format!("{md5}.{:016x}", checksum.as_u64())
}

fn parse_label(label: &str) -> Option<(String, Checksum)> {
    let (md5, checksum) = label.split_once('.')?;
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_label = md5.len() == 32 && checksum.len() == 16 && are_digits(md5) && are_digits(checksum);
    let checksum = u64::from_str_radix(checksum, 16).ok().filter(|_| is_label)?;
    Some((md5.to_owned(), Checksum::from_u64(checksum)))
}

/// The parts of one upload.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    /// The upload's id, which parts are sealed under.
    pub(super) id: String,
    pub(super) folder: PathBuf,
    /// What parts are sealed with, if their store's objects are.
    pub(super) seal: Option<Seal>,
}

impl Parts {
    /// What the bytes of a part, or the label of its file, are sealed under.
    fn name(&self, number: u16, what: &str) -> Result<Key> {
        Key::new(format!("{}/{number:05}/{what}", self.id))
    }

    fn seal_of(&self, number: u16) -> Result<&Seal> {
        let message = || format!("part {number} is encrypted, and its store no longer is: abort the upload");
        self.seal.as_ref().ok_or_else(|| Error::permission_denied(message()))
    }

    /// Writes a part, in place of an earlier one of that number. `None`: the upload has ended.
    ///
    /// `replacing` is held while it is put there, so that of two neither removes the other.
    pub(super) async fn write(self, number: u16, body: Body, replacing: Arc<Mutex<()>>) -> Result<Option<Part>> {
        let temporary = Temporary(self.folder.join(format!("{}.tmp", Ulid::generate())));
        let fail = |error: io::Error| failure("write", &temporary.0, &error);
        let mut file = match File::create(&temporary.0).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(fail)?,
        };
        let mut sealed = match &self.seal {
            None => None,
            Some(seal) => Some(seal.begin(&self.name(number, "bytes")?)?),
        };
        let (mut md5, mut hasher) = (Md5::new(), Checksum::hasher());
        let mut pieces = body.into_stream();
        while let Some(piece) = pieces.try_next().await? {
            md5.update(&piece);
            hasher.update(&piece);
            match &mut sealed {
                None => file.write_all(&piece).await.map_err(fail)?,
                Some(sealed) => file.write_all(&sealed.push(&piece)?).await.map_err(fail)?,
            }
        }
        if let Some(sealed) = sealed {
            file.write_all(&sealed.finish()?).await.map_err(fail)?;
        }
        file.flush().await.map_err(fail)?;
        let (md5, checksum) = (hex_simd::encode_to_string(md5.finalize(), AsciiCase::Lower), hasher.finish());
        let file = self.file(number, &label(&md5, checksum))?;
        let part = Part { number, md5, checksum, size: hasher.size(), modified: SystemTime::now(), file };
        run(move || {
            let _alone = replacing.lock();
            match std::fs::rename(&temporary.0, self.folder.join(&part.file.name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                renamed => renamed.map_err(|error| failure("place", &temporary.0, &error))?,
            }
            for (earlier, _) in self.files()?.into_iter().flatten() {
                if earlier.number == number && earlier.name != part.file.name {
                    let path = self.folder.join(&earlier.name);
                    std::fs::remove_file(&path).map_err(|error| failure("remove", &path, &error))?;
                }
            }
            Ok(Some(part))
        })
        .await
    }

    /// The file of a part with this label.
    fn file(&self, number: u16, label: &str) -> Result<PartFile> {
        let label = match &self.seal {
            None => label.to_owned(),
            Some(seal) => {
                let sealed = seal.seal(&self.name(number, "label")?, label.as_bytes())?;
                URL_SAFE_NO_PAD.encode_to_string(sealed)
            }
        };
        Ok(PartFile { number, name: format!("{number:05}.{label}"), sealed: self.seal.is_some() })
    }

    /// All parts, by rising number; of one number, of which a crash may leave two, the latest first. `None`: the upload has
    /// ended.
    pub(super) async fn read_all(self) -> Result<Option<Vec<Part>>> {
        run(move || {
            let Some(files) = self.files()? else { return Ok(None) };
            let mut parts = Vec::with_capacity(files.len());
            for (file, metadata) in files {
                let modified = metadata.modified().map_err(|error| failure("read", &self.folder, &error))?;
                parts.extend(self.part(file, metadata.len(), modified)?);
            }
            parts.sort_by_key(|part| (part.number, Reverse(part.modified)));
            Ok(Some(parts))
        })
        .await
    }

    /// The files of parts, or what may be some.
    fn files(&self) -> Result<Option<Vec<(PartFile, std::fs::Metadata)>>> {
        let read = || -> io::Result<Vec<_>> {
            let mut files = Vec::new();
            for entry in std::fs::read_dir(&self.folder)? {
                let entry = entry?;
                if let Some(file) = entry.file_name().to_str().and_then(PartFile::of) {
                    files.push((file, entry.metadata()?));
                }
            }
            Ok(files)
        };
        match read() {
            Ok(files) => Ok(Some(files)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failure("read", &self.folder, &error)),
        }
    }

    /// The part in a file of so many bytes, if it is one.
    fn part(&self, file: PartFile, stored: u64, modified: SystemTime) -> Result<Option<Part>> {
        let number = file.number;
        let Some((_, label)) = file.name.split_once('.') else { return Ok(None) };
        let (label, size) = if file.sealed {
            let Ok(sealed) = URL_SAFE_NO_PAD.decode_to_vec(label) else { return Ok(None) };
            let label = self.seal_of(number)?.unseal(&self.name(number, "label")?, sealed);
            let label = label.map_err(|error| of_part(number, error))?;
            (String::from_utf8(label).unwrap_or_default(), Seal::size(stored).map_err(|error| of_part(number, error))?)
        } else {
            (label.to_owned(), stored)
        };
        let Some((md5, checksum)) = parse_label(&label) else { return Ok(None) };
        Ok(Some(Part { number, md5, checksum, size, modified, file }))
    }

    /// The bytes of a part, which end in [`Error::Corrupt`] if they are not those that were uploaded.
    pub(super) fn read(self, part: Part) -> impl Stream<Item = Result<Bytes>> + Send {
        let number = part.number;
        let opened = async move { self.open(part).await.map(Body::into_stream) };
        stream::once(opened).try_flatten().map_err(move |error| of_part(number, error))
    }

    async fn open(self, part: Part) -> Result<Body> {
        let path = self.folder.join(&part.file.name);
        let fail = |error: io::Error| failure("read", &path, &error);
        let mut file = File::open(&path).await.map_err(fail)?;
        let seal = if part.file.sealed { Some(self.seal_of(part.number)?) } else { None };
        let mut head = Vec::new();
        if seal.is_some() {
            (&mut file).take(Seal::HEAD).read_to_end(&mut head).await.map_err(fail)?;
            file.rewind().await.map_err(fail)?;
        }
        let stored = file.metadata().await.map_err(fail)?.len();
        let pieces = ReaderStream::with_capacity(file, PIECE);
        let read = path.clone();
        let mut body = Body::stream(pieces.map_err(move |error| failure("read", &read, &error)));
        if let Some(seal) = seal {
            body = seal.open(&self.name(part.number, "bytes")?, &head, stored, body).await?;
        }
        Ok(body.verified(part.size, Some(part.checksum), format!("part {}", part.number)))
    }
}

/// An error on the way to a part's bytes.
fn of_part(number: u16, error: Error) -> Error {
    match error {
        Error::Corrupt { .. } => {
            Error::corrupt(format!("part {number} is no longer what was uploaded: upload it again"))
        }
        error => error,
    }
}

struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // Once placed it is no longer there.
        let _ = std::fs::remove_file(&self.0);
    }
}
