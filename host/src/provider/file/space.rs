use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde::Serialize;

use super::closed::Closed;
use super::fault::{Fault, of_io};
use super::index;
use super::layout::Layout;
use crate::error::Result;
use crate::provider::Usage;

/// What a store's folder takes on its disk, and what for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Space {
    /// Objects whose bytes are in the index.
    pub inlined: Usage,
    /// Objects whose bytes are in files.
    pub in_files: Usage,
    /// Bytes on disk of the index.
    pub index: u64,
    /// Bytes on disk of the index's write-ahead log and of what SQLite keeps beside it.
    pub log: u64,
    /// Bytes on disk of the files of bodies.
    pub bodies: u64,
    /// Bytes on disk of writes that did not come to an end, which the next opening removes.
    pub temporaries: u64,
    /// Bytes on disk of what a rebuild has put aside.
    pub set_aside: u64,
}

impl Space {
    /// All objects.
    pub fn objects(&self) -> Usage {
        Usage { objects: self.inlined.objects + self.in_files.objects, bytes: self.inlined.bytes + self.in_files.bytes }
    }

    /// All bytes on disk.
    pub fn on_disk(&self) -> u64 {
        self.index + self.log + self.bodies + self.temporaries + self.set_aside
    }
}

/// Measures the folder of a closed store. Changes nothing. Reads the whole index, and looks at every file.
///
/// # Errors
/// [`Error::InvalidInput`](crate::error::Error::InvalidInput) if no store is there;
/// [`Error::Unavailable`](crate::error::Error::Unavailable) if it is open;
/// [`Error::Corrupt`](crate::error::Error::Corrupt) if the index can not be read; those of the file system.
pub fn space(base_path: &Path) -> Result<Space> {
    let closed = Closed::lock(base_path)?;
    if closed.is_blank()? {
        return Ok(Space::default());
    }
    let layout = &closed.layout;
    let index = layout.index();
    let read = index::open_unchanged(&index).and_then(|connection| objects(&connection));
    let (inlined, in_files) = read.map_err(|fault| fault.at(&index))?;
    Ok(Space {
        inlined,
        in_files,
        index: on_disk(&index)?,
        log: on_disk(&index::log_path(&index))? + on_disk(&index::shared_memory_path(&index))?,
        bodies: of_bodies(layout)?,
        temporaries: of_all(layout.temporary_files()?)?,
        set_aside: layout.set_aside()?.into_iter().map(of_all).sum::<Result<u64>>()?,
    })
}

fn objects(connection: &Connection) -> Result<(Usage, Usage), Fault> {
    let mut statement = connection.prepare("SELECT count(*), ifnull(sum(size), 0) FROM objects WHERE inlined = ?1")?;
    let mut of = |inlined: bool| {
        statement.query_row([inlined], |row| {
            let (objects, bytes): (i64, i64) = (row.get(0)?, row.get(1)?);
            Ok(Usage { objects: objects.cast_unsigned(), bytes: bytes.cast_unsigned() })
        })
    };
    Ok((of(true)?, of(false)?))
}

fn of_bodies(layout: &Layout) -> Result<u64> {
    let of_folder = |folder: Result<super::layout::BodyFolder>| {
        of_all(folder?.generations.into_iter().map(|generation| layout.body(generation)).collect())
    };
    layout.bodies_by_folder()?.map(of_folder).sum()
}

fn of_all(paths: Vec<PathBuf>) -> Result<u64> {
    paths.iter().map(|path| on_disk(path)).sum()
}

/// What a file takes; nothing if it is not there.
fn on_disk(path: &Path) -> Result<u64> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(allocated(&metadata)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(of_io(&error, "could not look at", path)),
    }
}

#[cfg(unix)]
fn allocated(metadata: &Metadata) -> u64 {
    // POSIX counts blocks of 512 bytes, whatever the file system has.
    std::os::unix::fs::MetadataExt::blocks(metadata) * 512
}

#[cfg(not(unix))]
fn allocated(metadata: &Metadata) -> u64 {
    metadata.len()
}
