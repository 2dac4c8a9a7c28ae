use std::fs::File;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::provider::file::fault::of_io;

/// The index's write-ahead log, for syncing it apart from the commits that write it.
///
/// Through a descriptor of its own, which hears of every error of the disk since it was opened, also of one that SQLite
/// was told of in between. SQLite locks the index and not its log, so that closing this descriptor takes no lock away.
#[derive(Debug)]
pub(in super::super) struct Log {
    file: File,
    path: PathBuf,
}

impl Log {
    /// The log of an index that is open.
    pub(in super::super) fn of(index: &Path) -> Result<Self> {
        Self::at(log_path(index))
    }

    fn at(path: PathBuf) -> Result<Self> {
        let file = File::open(&path).map_err(|error| of_io(&error, "could not open", &path))?;
        Ok(Self { file, path })
    }

    /// Makes every commit so far survive a loss of power.
    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(|error| of_io(&error, "could not sync", &self.path))
    }

    /// A log that can not be synced.
    #[cfg(test)]
    pub(in super::super) fn failing() -> Self {
        Self::at("/dev/null".into()).unwrap()
    }
}

/// Where SQLite keeps the log of an index.
pub(in super::super) fn log_path(index: &Path) -> PathBuf {
    beside(index, "-wal")
}

/// Where SQLite keeps what several connections share; worthless when there is none.
pub(in super::super) fn shared_memory_path(index: &Path) -> PathBuf {
    beside(index, "-shm")
}

/// Where SQLite keeps what it goes back to as long as an index has no log.
pub(super) fn journal_path(index: &Path) -> PathBuf {
    beside(index, "-journal")
}

fn beside(index: &Path, suffix: &str) -> PathBuf {
    let mut path = index.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Makes all that is in an index and its log survive a loss of power. No connection may be open: closing a file takes
/// away the locks that SQLite has on it.
pub(in super::super) fn sync_closed(index: &Path) -> Result<()> {
    for path in [log_path(index), index.to_owned()] {
        match File::open(&path).and_then(|file| file.sync_all()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(of_io(&error, "could not sync", &path));
            }
            _ => {}
        }
    }
    Ok(())
}
