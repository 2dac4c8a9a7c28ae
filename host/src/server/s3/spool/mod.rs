//! Parts of multipart uploads, kept as files until the upload is completed.
//!
//! An upload is a folder named for its id, with what it is for in `upload.json`, and a file for each part. Parts on their
//! way into an encrypted store are sealed as its objects are. Renaming the folder to `<id>.completing` is what one of
//! several completions wins, and what keeps parts and aborts out meanwhile. An upload begins and ends whole, whatever is
//! killed: its folder is `<id>.beginning` until its record is there, and `<id>.ended` before its files are removed. Parts
//! are not synced to the disk: an upload that a power loss took is uploaded again, and a part that it damaged is found by
//! its checksum.

mod part;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use parking_lot::Mutex;
use s3s::{S3Result, s3_error};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use self::part::Parts;
use super::errors;
use crate::error::{Error, Result};
use crate::object::{Attributes, Body, Key, StoreName, Timestamp, now};
use crate::provider::layers::Seal;

pub(super) use self::part::Part;

const RECORD: &str = "upload.json";
const BEGINNING: &str = "beginning";
const COMPLETING: &str = "completing";
const ENDED: &str = "ended";

/// The version of how uploads and their parts are written down, and the last that is read.
const FORMAT: u32 = 1;

/// What an upload is for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    #[serde(default)]
    format: u32,
    pub(super) store: StoreName,
    pub(super) key: Key,
    pub(super) attributes: Attributes,
    pub(super) initiated: Timestamp,
}

impl Record {
    /// An upload that begins now.
    pub(super) fn new(store: StoreName, key: Key, attributes: Attributes) -> Self {
        Self { format: FORMAT, store, key, attributes, initiated: now() }
    }
}

/// The folder of all uploads.
#[derive(Clone, Debug)]
pub(super) struct Spool {
    dir: PathBuf,
    /// Held while a part is put in the place of an earlier one.
    replacing: Arc<Mutex<()>>,
}

impl Spool {
    /// Opens the folder, making it if need be. Completions that a crash cut off can be tried again, and what it left of
    /// uploads that had not begun or had ended is removed.
    pub(super) fn open(dir: &Path) -> Result<Self> {
        let open = || -> io::Result<()> {
            std::fs::create_dir_all(dir)?;
            for entry in std::fs::read_dir(dir)? {
                let path = entry?.path();
                match path.extension().and_then(|extension| extension.to_str()) {
                    Some(COMPLETING) => std::fs::rename(&path, path.with_extension(""))?,
                    Some(BEGINNING | ENDED) => std::fs::remove_dir_all(&path)?,
                    _ => {}
                }
            }
            Ok(())
        };
        open().map_err(|error| failure("open", dir, &error))?;
        Ok(Self { dir: dir.to_owned(), replacing: Arc::default() })
    }

    fn path(&self, id: &str) -> S3Result<PathBuf> {
        // An id names a folder: nothing but an id may get there.
        let known = id.len() == ulid::ULID_LEN && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if known { Ok(self.dir.join(id)) } else { Err(no_such_upload(id)) }
    }

    /// Begins an upload and returns its id.
    pub(super) async fn begin(&self, record: &Record) -> S3Result<String> {
        let id = Ulid::generate().to_string();
        let path = self.dir.join(&id);
        let beginning = path.with_extension(BEGINNING);
        let json = serde_json::to_vec(record).map_err(|error| s3_error!(error, InternalError))?;
        let write = async {
            tokio::fs::create_dir(&beginning).await?;
            tokio::fs::write(beginning.join(RECORD), json).await?;
            tokio::fs::rename(&beginning, &path).await
        };
        if let Err(error) = write.await {
            let _ = tokio::fs::remove_dir_all(&beginning).await;
            return Err(errors::s3_error(failure("write", &path, &error)));
        }
        Ok(id)
    }

    /// What the upload is for.
    pub(super) async fn record(&self, id: &str) -> S3Result<Record> {
        read_record(&self.path(id)?).await.map_err(errors::s3_error)?.ok_or_else(|| no_such_upload(id))
    }

    /// Writes a part, in place of an earlier one of that number. `None`: the upload has ended.
    pub(super) async fn write_part(
        &self,
        id: &str,
        number: u16,
        body: Body,
        seal: Option<Seal>,
    ) -> Result<Option<Part>> {
        match self.all_parts(id, seal) {
            Ok(parts) => parts.write(number, body, Arc::clone(&self.replacing)).await,
            Err(_) => Ok(None),
        }
    }

    /// The parts of an upload, by rising number, each number once: a crash may leave a part and the one in its place.
    pub(super) async fn parts(&self, id: &str, seal: Option<Seal>) -> S3Result<Vec<Part>> {
        let parts = self.all_parts(id, seal)?.read_all().await.map_err(errors::s3_error)?;
        let mut parts = parts.ok_or_else(|| no_such_upload(id))?;
        parts.dedup_by_key(|part| part.number);
        Ok(parts)
    }

    fn all_parts(&self, id: &str, seal: Option<Seal>) -> S3Result<Parts> {
        Ok(Parts { id: id.to_owned(), folder: self.path(id)?, seal })
    }

    /// All uploads, by rising id and so by rising time.
    pub(super) async fn uploads(&self) -> S3Result<Vec<(String, Record)>> {
        let dir = self.dir.clone();
        let folders = run(move || read_folders(&dir)).await.map_err(errors::s3_error)?;
        let mut uploads = Vec::new();
        for folder in folders {
            let id = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            // An upload that ends while this looks is no longer there.
            if let Ok(Some(record)) = read_record(&folder).await {
                uploads.push((id, record));
            }
        }
        uploads.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(uploads)
    }

    /// Ends an upload and removes its parts.
    pub(super) async fn abort(&self, id: &str) -> S3Result<()> {
        let path = self.path(id)?;
        let ended = run(move || end(&path)).await.map_err(errors::s3_error)?;
        if ended { Ok(()) } else { Err(no_such_upload(id)) }
    }

    /// Takes an upload for completion. Until the returned value is dropped, nobody else can do anything with it.
    pub(super) async fn complete(&self, id: &str, seal: Option<Seal>) -> S3Result<Completion> {
        let from = self.path(id)?;
        let taken = from.with_extension(COMPLETING);
        match tokio::fs::rename(&from, &taken).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(no_such_upload(id)),
            Err(error) => Err(errors::s3_error(failure("take", &from, &error))),
            Ok(()) => Ok(Completion { from, parts: Parts { id: id.to_owned(), folder: taken, seal } }),
        }
    }

    /// Removes uploads in which nothing happened for so long, and returns how many.
    pub(super) async fn collect(&self, idle: Duration) -> Result<usize> {
        let dir = self.dir.clone();
        run(move || {
            let mut count = 0;
            for folder in read_folders(&dir)? {
                let modified = std::fs::metadata(&folder).and_then(|metadata| metadata.modified());
                let abandoned = modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > idle));
                if abandoned && end(&folder).is_ok_and(|ended| ended) {
                    count += 1;
                }
            }
            Ok(count)
        })
        .await
    }
}

/// An upload that is being completed. Dropped, it is as it was before.
#[derive(Debug)]
pub(super) struct Completion {
    from: PathBuf,
    parts: Parts,
}

impl Completion {
    /// The parts, by rising number; of one number the latest first.
    pub(super) async fn parts(&self) -> Result<Vec<Part>> {
        Ok(self.parts.clone().read_all().await?.unwrap_or_default())
    }

    /// The bytes of the parts one after the other, each held against its checksum.
    pub(super) fn body(&self, chosen: Vec<Part>) -> Body {
        let parts = self.parts.clone();
        Body::stream(stream::iter(chosen).flat_map(move |part| parts.clone().read(part).boxed()))
    }

    /// The object is stored: removes the upload.
    pub(super) async fn finish(self) {
        let taken = self.parts.folder.clone();
        if let Err(error) = run(move || end(&taken)).await {
            tracing::warn!(upload = %self.parts.folder.display(), %error, "a completed upload remains");
        }
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        // After `finish` there is nothing to rename, and at the next start `open` does it otherwise.
        let _ = std::fs::rename(&self.parts.folder, &self.from);
    }
}

/// Ends the upload in this folder, all of it at once, and removes its files. Returns whether it was there.
fn end(folder: &Path) -> Result<bool> {
    let ended = folder.with_extension(ENDED);
    match std::fs::rename(folder, &ended) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        renamed => renamed.map_err(|error| failure("end", folder, &error))?,
    }
    if let Err(error) = std::fs::remove_dir_all(&ended) {
        tracing::warn!(upload = %ended.display(), %error, "the parts of an upload remain until the next start");
    }
    Ok(true)
}

async fn read_record(folder: &Path) -> Result<Option<Record>> {
    let path = folder.join(RECORD);
    match tokio::fs::read(&path).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failure("read", &path, &error)),
        Ok(json) => match serde_json::from_slice::<Record>(&json) {
            Ok(record) if record.format > FORMAT => Err(Error::unsupported(format!(
                "{} is of version {}, and this larder knows versions up to {FORMAT}: use the larder that wrote it, or a newer one",
                path.display(),
                record.format
            ))),
            Ok(record) => Ok(Some(record)),
            Err(error) => Err(Error::corrupt(format!("{} is damaged: {error}; abort the upload", path.display()))),
        },
    }
}

fn read_folders(dir: &Path) -> Result<Vec<PathBuf>> {
    let read = || -> io::Result<Vec<PathBuf>> {
        let mut folders = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            if path.extension().is_none() {
                folders.push(path);
            }
        }
        Ok(folders)
    };
    read().map_err(|error| failure("read", dir, &error))
}

async fn run<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Error::internal(format!("a task on uploaded parts died: {error}"))))
}

fn no_such_upload(id: &str) -> s3s::S3Error {
    s3_error!(NoSuchUpload, "there is no upload {id:?}: it was completed, aborted or abandoned")
}

fn failure(what: &str, path: &Path, error: &io::Error) -> Error {
    let message = format!("could not {what} {}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::exhausted(message),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Error::permission_denied(message),
        _ => Error::internal(message),
    }
}
