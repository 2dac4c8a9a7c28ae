use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::HostError;
use crate::replace_file::replace_file;

/// The folder that holds everything a host keeps, locked for this process.
///
/// The lock is the system's, on the file `lock`; it goes with the process, however that ends.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

/// How to reach the host that has the lock. Kept in `host.json`, which only its user can read, and only good for as long
/// as that host runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunFile {
    /// The host's process.
    pub pid: u32,
    /// Where its admin server listens.
    pub admin: SocketAddr,
    /// What proves to it that a client may read this folder.
    pub token: String,
}

const LOCK: &str = "lock";
const RUN_FILE: &str = "host.json";

impl DataDir {
    /// Makes the folder if it is not there, and takes its lock; `None` if another process has it.
    ///
    /// # Errors
    /// [`HostError::DataDir`] if the folder can not be made or written to.
    pub fn lock(path: &Path) -> Result<Option<Self>, HostError> {
        let failed = |error: io::Error| HostError::DataDir {
            path: path.to_owned(),
            error,
            hint: "make it a folder that this user can write to, or name another as data_dir",
        };
        create_private(path).map_err(failed)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self { path: path.to_owned(), _lock: lock })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Says where this host can be reached.
    ///
    /// # Errors
    /// [`HostError::DataDir`] if the file can not be written.
    pub fn publish(&self, run: &RunFile) -> Result<(), HostError> {
        let path = self.path.join(RUN_FILE);
        let text = serde_json::to_vec_pretty(run).map_err(io::Error::other);
        text.and_then(|text| replace_file(&path, &text)).map_err(|error| HostError::DataDir {
            path,
            error,
            hint: "the folder must be writable, and its disk not full",
        })
    }

    /// Takes back what [`publish`](Self::publish) said.
    pub fn unpublish(&self) {
        // A stale file does no harm: the lock is free, so nobody looks at it.
        let _ = fs::remove_file(self.path.join(RUN_FILE));
    }
}

impl RunFile {
    /// What the host that has the lock on `data_dir` says of itself; `None` if it says nothing (yet).
    pub fn read(data_dir: &Path) -> Option<Self> {
        let text = fs::read(data_dir.join(RUN_FILE)).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

/// Makes a folder, and those above it, that only this user can look into.
fn create_private(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_has_the_folder_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        let first = DataDir::lock(&path).unwrap().expect("nobody else has it");
        assert!(DataDir::lock(&path).unwrap().is_none());
        drop(first);
        assert!(DataDir::lock(&path).unwrap().is_some());
    }

    #[test]
    fn what_is_published_is_for_this_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::lock(folder.path()).unwrap().unwrap();
        assert!(RunFile::read(folder.path()).is_none());
        let admin = SocketAddr::from(([127, 0, 0, 1], 9001));
        data.publish(&RunFile { pid: 7, admin, token: "t".to_owned() }).unwrap();
        assert_eq!(RunFile::read(folder.path()).unwrap().admin, admin);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(folder.path().join(RUN_FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0);
        }
        data.unpublish();
        assert!(RunFile::read(folder.path()).is_none());
    }

    #[test]
    fn a_folder_that_can_not_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = DataDir::lock(&file.path().join("below")).unwrap_err().to_string();
        assert!(error.contains("below") && error.contains("data_dir"), "{error}");
    }
}
