//! Parts of multipart uploads, kept as files until the upload is completed.
//!
//! An upload is a folder named for its id, with what it is for in `upload.json`, and each part a file
//! `<number>.<md5>.<crc64nvme>`. Renaming the folder to `<id>.completing` is what one of several completions wins, and
//! what keeps parts and aborts out meanwhile. An upload begins and ends whole, whatever is killed: its folder is
//! `<id>.beginning` until its record is there, and `<id>.ended` before its files are removed. Parts are not synced to the
//! disk: an upload that a power loss took is uploaded again, and a part that it damaged is found by its checksum.

use std::cmp::Reverse;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use parking_lot::Mutex;
use s3s::crypto::{Checksum as _, Md5};
use s3s::{S3Result, s3_error};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use ulid::Ulid;

use super::errors;
use crate::error::{Error, Result};
use crate::object::{Attributes, Body, Checksum, Hasher, Key, StoreName, Timestamp};

const RECORD: &str = "upload.json";
const BEGINNING: &str = "beginning";
const COMPLETING: &str = "completing";
const ENDED: &str = "ended";
const PIECE: usize = 256 * 1024;

/// What an upload is for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) store: StoreName,
    pub(super) key: Key,
    pub(super) attributes: Attributes,
    pub(super) initiated: Timestamp,
}

/// A part that was uploaded.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) number: u16,
    pub(super) md5: String,
    pub(super) checksum: Checksum,
    pub(super) size: u64,
    pub(super) modified: SystemTime,
}

impl Part {
    fn file_name(&self) -> String {
        format!("{:05}.{}.{:016x}", self.number, self.md5, self.checksum.as_u64())
    }

    fn from_file_name(name: &str, size: u64, modified: SystemTime) -> Option<Self> {
        let mut fields = name.split('.');
        let (number, md5, checksum) = (fields.next()?, fields.next()?, fields.next()?);
        if md5.len() != 32 || checksum.len() != 16 || fields.next().is_some() {
            return None;
        }
        let checksum = Checksum::from_u64(u64::from_str_radix(checksum, 16).ok()?);
        Some(Self { number: number.parse().ok()?, md5: md5.to_owned(), checksum, size, modified })
    }
}

/// The folder of all uploads.
#[derive(Clone, Debug)]
pub(super) struct Spool {
    dir: PathBuf,
    // Held while a part is put in the place of an earlier one, so that of two neither removes the other.
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

    /// Writes a part, in place of an earlier one of that number.
    pub(super) async fn write_part(&self, id: &str, number: u16, body: Body) -> Result<Option<Part>> {
        let Ok(folder) = self.path(id) else { return Ok(None) };
        let temporary = Temporary(folder.join(format!("{}.tmp", Ulid::generate())));
        let mut file = match tokio::fs::File::create(&temporary.0).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|error| failure("write", &temporary.0, &error))?,
        };
        let (mut md5, mut hasher) = (Md5::new(), Checksum::hasher());
        let mut pieces = body.into_stream();
        while let Some(piece) = pieces.try_next().await? {
            md5.update(&piece);
            hasher.update(&piece);
            file.write_all(&piece).await.map_err(|error| failure("write", &temporary.0, &error))?;
        }
        file.flush().await.map_err(|error| failure("write", &temporary.0, &error))?;
        let part = Part {
            number,
            md5: hex(&md5.finalize()),
            checksum: hasher.finish(),
            size: hasher.size(),
            modified: SystemTime::now(),
        };
        let (replacing, placed) = (Arc::clone(&self.replacing), part.clone());
        run(move || {
            let _alone = replacing.lock();
            match std::fs::rename(&temporary.0, folder.join(placed.file_name())) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                renamed => renamed.map_err(|error| failure("place", &temporary.0, &error))?,
            }
            for earlier in read_parts(&folder)?.into_iter().flatten() {
                if earlier.number == placed.number && earlier.file_name() != placed.file_name() {
                    let path = folder.join(earlier.file_name());
                    std::fs::remove_file(&path).map_err(|error| failure("remove", &path, &error))?;
                }
            }
            Ok(Some(placed))
        })
        .await
    }

    /// The parts of an upload, by rising number, each number once: a crash may leave a part and the one in its place.
    pub(super) async fn parts(&self, id: &str) -> S3Result<Vec<Part>> {
        let folder = self.path(id)?;
        let parts = run(move || read_parts(&folder)).await.map_err(errors::s3_error)?;
        let mut parts = parts.ok_or_else(|| no_such_upload(id))?;
        parts.dedup_by_key(|part| part.number);
        Ok(parts)
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
    pub(super) async fn complete(&self, id: &str) -> S3Result<Completion> {
        let from = self.path(id)?;
        let taken = from.with_extension(COMPLETING);
        match tokio::fs::rename(&from, &taken).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(no_such_upload(id)),
            Err(error) => Err(errors::s3_error(failure("take", &from, &error))),
            Ok(()) => Ok(Completion { from, taken }),
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
    taken: PathBuf,
}

impl Completion {
    /// The parts, by rising number; of one number the latest first.
    pub(super) async fn parts(&self) -> Result<Vec<Part>> {
        let folder = self.taken.clone();
        Ok(run(move || read_parts(&folder)).await?.unwrap_or_default())
    }

    /// The bytes of the parts one after the other, each held against its checksum.
    pub(super) fn body(&self, parts: Vec<Part>) -> Body {
        let folder = self.taken.clone();
        Body::stream(stream::iter(parts).flat_map(move |part| read_part(folder.clone(), part).boxed()))
    }

    /// The object is stored: removes the upload.
    pub(super) async fn finish(self) {
        let taken = self.taken.clone();
        if let Err(error) = run(move || end(&taken)).await {
            tracing::warn!(upload = %self.taken.display(), %error, "a completed upload remains");
        }
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        // After `finish` there is nothing to rename, and at the next start `open` does it otherwise.
        let _ = std::fs::rename(&self.taken, &self.from);
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

struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // Once placed it is no longer there.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn read_part(folder: PathBuf, part: Part) -> impl futures::Stream<Item = Result<Bytes>> + Send {
    struct Reading {
        path: PathBuf,
        part: Part,
        file: Option<tokio::fs::File>,
        hasher: Hasher,
    }
    let path = folder.join(part.file_name());
    let start = Reading { path, part, file: None, hasher: Checksum::hasher() };
    stream::try_unfold(start, |mut reading| async move {
        let fail = |error: &io::Error| failure("read", &reading.path, error);
        let mut file = match reading.file.take() {
            Some(file) => file,
            None => tokio::fs::File::open(&reading.path).await.map_err(|error| fail(&error))?,
        };
        let mut piece = bytes::BytesMut::with_capacity(PIECE);
        if file.read_buf(&mut piece).await.map_err(|error| fail(&error))? == 0 {
            let Part { number, size, checksum, .. } = reading.part;
            return if reading.hasher.size() == size && reading.hasher.finish() == checksum {
                Ok(None)
            } else {
                Err(Error::corrupt(format!("part {number} is no longer what was uploaded: upload it again")))
            };
        }
        reading.hasher.update(&piece);
        reading.file = Some(file);
        Ok(Some((piece.freeze(), reading)))
    })
}

async fn read_record(folder: &Path) -> Result<Option<Record>> {
    let path = folder.join(RECORD);
    match tokio::fs::read(&path).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failure("read", &path, &error)),
        Ok(json) => serde_json::from_slice(&json)
            .map(Some)
            .map_err(|error| Error::corrupt(format!("{} is damaged: {error}; abort the upload", path.display()))),
    }
}

fn read_parts(folder: &Path) -> Result<Option<Vec<Part>>> {
    let read = || -> io::Result<Vec<Part>> {
        let mut parts = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            let name = entry.file_name();
            let modified = metadata.modified()?;
            parts.extend(name.to_str().and_then(|name| Part::from_file_name(name, metadata.len(), modified)));
        }
        parts.sort_by_key(|part| (part.number, Reverse(part.modified)));
        Ok(parts)
    };
    match read() {
        Ok(parts) => Ok(Some(parts)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failure("read", folder, &error)),
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::now;

    async fn upload() -> (tempfile::TempDir, Spool, String) {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::open(dir.path()).unwrap();
        let record = Record {
            store: StoreName::new("documents").unwrap(),
            key: Key::new("big").unwrap(),
            attributes: Attributes::default(),
            initiated: now(),
        };
        let id = spool.begin(&record).await.unwrap();
        (dir, spool, id)
    }

    #[tokio::test]
    async fn parts_are_read_in_order_and_the_last_of_a_number_counts() {
        let (_dir, spool, id) = upload().await;
        for (number, text) in [(2, "world"), (1, "discarded"), (1, "hello ")] {
            spool.write_part(&id, number, Body::from(text)).await.unwrap().unwrap();
        }
        assert_eq!(spool.parts(&id).await.unwrap().len(), 2);
        let completion = spool.complete(&id).await.unwrap();
        let parts = completion.parts().await.unwrap();
        assert_eq!(parts[1].md5, "7d793037a0760186574b0282f2f435e7");
        assert_eq!(completion.body(parts).collect(100).await.unwrap(), "hello world");
    }

    #[tokio::test]
    async fn one_completion_wins_and_a_dropped_one_can_be_tried_again() {
        let (_dir, spool, id) = upload().await;
        let completion = spool.complete(&id).await.unwrap();
        assert_eq!(spool.complete(&id).await.unwrap_err().code().as_str(), "NoSuchUpload");
        assert!(spool.write_part(&id, 1, Body::from("late")).await.unwrap().is_none());
        drop(completion);
        spool.complete(&id).await.unwrap().finish().await;
        assert_eq!(spool.complete(&id).await.unwrap_err().code().as_str(), "NoSuchUpload");
    }

    #[tokio::test]
    async fn a_part_damaged_on_disk_is_corrupt() {
        let (dir, spool, id) = upload().await;
        let part = spool.write_part(&id, 1, Body::from("hello")).await.unwrap().unwrap();
        std::fs::write(dir.path().join(&id).join(part.file_name()), "jello").unwrap();
        let completion = spool.complete(&id).await.unwrap();
        let parts = completion.parts().await.unwrap();
        assert!(matches!(completion.body(parts).collect(100).await, Err(Error::Corrupt { .. })));
    }

    #[tokio::test]
    async fn a_part_cut_off_leaves_the_earlier_one_and_no_file() {
        let (dir, spool, id) = upload().await;
        spool.write_part(&id, 1, Body::from("hello")).await.unwrap();
        let cut = Body::stream(stream::iter([Ok(Bytes::from("jel")), Err(Error::internal("gone"))]));
        assert!(spool.write_part(&id, 1, cut).await.is_err());
        assert_eq!(spool.parts(&id).await.unwrap()[0].size, 5);
        assert_eq!(std::fs::read_dir(dir.path().join(&id)).unwrap().count(), 2);
    }

    #[tokio::test]
    async fn a_cut_off_completion_is_an_upload_again_after_a_restart() {
        let (dir, spool, id) = upload().await;
        std::mem::forget(spool.complete(&id).await.unwrap());
        let reopened = Spool::open(dir.path()).unwrap();
        assert_eq!(reopened.uploads().await.unwrap()[0].0, id);
    }

    #[tokio::test]
    async fn what_a_crash_leaves_of_uploads_that_had_ended_or_not_begun_is_removed() {
        let (dir, spool, id) = upload().await;
        let place = |name: &str| dir.path().join(name);
        std::fs::create_dir(place("NEW.beginning")).unwrap();
        std::fs::create_dir(place("OLD.ended")).unwrap();
        std::fs::write(place("OLD.ended").join("part"), "bytes").unwrap();
        assert_eq!(spool.uploads().await.unwrap().len(), 1);
        let reopened = Spool::open(dir.path()).unwrap();
        assert_eq!(reopened.uploads().await.unwrap().len(), 1);
        reopened.abort(&id).await.unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_part_that_a_crash_left_beside_the_one_in_its_place_is_listed_once() {
        let (dir, spool, id) = upload().await;
        let write =
            async |bytes: &'static str| spool.write_part(&id, 1, Body::Bytes(bytes.into())).await.unwrap().unwrap();
        let (first, folder) = (write("first").await, dir.path().join(&id));
        let kept = std::fs::read(folder.join(first.file_name())).unwrap();
        let second = write("second").await;
        std::fs::write(folder.join(first.file_name()), kept).unwrap();
        assert_eq!(spool.parts(&id).await.unwrap().len(), 1);
        let completion = spool.complete(&id).await.unwrap();
        let sizes: Vec<_> = completion.parts().await.unwrap().iter().map(|part| part.size).collect();
        assert!(sizes.contains(&first.size) && sizes.contains(&second.size), "a client may name either");
    }

    #[tokio::test]
    async fn only_abandoned_uploads_are_collected() {
        let (_dir, spool, id) = upload().await;
        assert_eq!(spool.collect(Duration::from_secs(3600)).await.unwrap(), 0);
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(spool.collect(Duration::ZERO).await.unwrap(), 1);
        assert_eq!(spool.parts(&id).await.unwrap_err().code().as_str(), "NoSuchUpload");
    }

    #[tokio::test]
    async fn no_id_reaches_outside_the_folder() {
        let (_dir, spool, _) = upload().await;
        for id in ["", "..", "../../etc", "01ARZ3NDEKTSV4RRFFQ69G5FA/"] {
            assert_eq!(spool.parts(id).await.unwrap_err().code().as_str(), "NoSuchUpload", "{id}");
        }
    }
}
