//! Bytes between an object and a file or a standard stream, checked against the object's checksum at this end too.

use std::io;
use std::path::Path;
use std::sync::Arc;

use futures::TryStreamExt;
use parking_lot::Mutex;
use tokio::fs::{self, File};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_util::io::ReaderStream;

use super::failure::Failure;
use super::progress::Progress;
use crate::error::Error;
use crate::object::{Body, Checksum, Key, Object, StorageMetadata};
use crate::provider::{StorageProvider, StoreOptions};

/// Files of up to this many bytes are read in one piece.
const WHOLE: u64 = 1024 * 1024;
const PIECE: usize = 256 * 1024;

/// The bytes of a local file.
pub(super) async fn of_file(path: &Path) -> Result<Body, Failure> {
    let cannot_read = |error| Failure::file("can not read", path, &error);
    let file = File::open(path).await.map_err(cannot_read)?;
    let metadata = file.metadata().await.map_err(cannot_read)?;
    if metadata.is_dir() {
        return Err(Failure::usage(format!("{} is a folder", path.display()))
            .with_hint("larder cp -r copies a folder, file by file"));
    }
    if metadata.is_file() && metadata.len() <= WHOLE {
        return fs::read(path).await.map(Body::from).map_err(cannot_read);
    }
    Ok(of_reader(file, path.display().to_string()))
}

/// The bytes that come from standard input.
pub(super) fn of_stdin() -> Body {
    of_reader(tokio::io::stdin(), "standard input".into())
}

fn of_reader(reader: impl AsyncRead + Send + 'static, name: String) -> Body {
    let cannot_read = move |error: io::Error| Error::internal(format!("can not read {name}: {error}"));
    Body::stream(ReaderStream::with_capacity(reader, PIECE).map_err(cannot_read))
}

/// Stores a body.
///
/// # Errors
/// Those of the provider, and that what it acknowledged has another checksum than what it was given.
pub(super) async fn store(
    provider: &dyn StorageProvider,
    key: &Key,
    body: Body,
    options: StoreOptions,
    progress: &Arc<Progress>,
) -> Result<StorageMetadata, Failure> {
    let hasher = Arc::new(Mutex::new(Checksum::hasher()));
    let body = match body {
        Body::Bytes(bytes) => {
            hasher.lock().update(&bytes);
            progress.bytes(bytes.len() as u64);
            Body::Bytes(bytes)
        }
        Body::Stream(pieces) => {
            let (hasher, progress) = (hasher.clone(), progress.clone());
            Body::stream(pieces.inspect_ok(move |piece| {
                hasher.lock().update(piece);
                progress.bytes(piece.len() as u64);
            }))
        }
    };
    let stored = provider.store(key, body, options).await?;
    let given = hasher.lock();
    if (stored.checksum, stored.size) != (given.finish(), given.size()) {
        return Err(Error::corrupt(format!(
            "\u{2018}{key}\u{2019} was stored as {} bytes with {}, and {} bytes with {} were sent",
            stored.size,
            stored.checksum,
            given.size(),
            given.finish()
        ))
        .into());
    }
    Ok(stored)
}

/// Writes the bytes of an object out and says how many there were; `cannot_write` names the place they go to.
///
/// # Errors
/// Those of the object's body and of the place, and that the bytes are not those that the metadata describes.
pub(super) async fn write(
    object: Object,
    mut place: impl AsyncWrite + Unpin,
    cannot_write: impl Fn(&io::Error) -> Failure,
    progress: &Progress,
) -> Result<u64, Failure> {
    let Object { metadata, range, body } = object;
    let mut hasher = Checksum::hasher();
    let mut pieces = body.into_stream();
    while let Some(piece) = pieces.try_next().await? {
        hasher.update(&piece);
        place.write_all(&piece).await.map_err(|error| cannot_write(&error))?;
        progress.bytes(piece.len() as u64);
    }
    place.flush().await.map_err(|error| cannot_write(&error))?;

    let wanted = range.end - range.start;
    if hasher.size() != wanted {
        let size = hasher.size();
        return Err(Error::corrupt(format!(
            "{wanted} bytes of \u{2018}{}\u{2019} were to come, and {size} came",
            metadata.key
        ))
        .into());
    }
    let whole = wanted == metadata.size;
    if whole && hasher.finish() != metadata.checksum {
        return Err(Error::corrupt(format!(
            "the bytes of \u{2018}{}\u{2019} have {}, and its metadata says {}",
            metadata.key,
            hasher.finish(),
            metadata.checksum
        ))
        .into());
    }
    Ok(wanted)
}
