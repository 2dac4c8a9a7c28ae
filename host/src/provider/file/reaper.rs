use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use super::fault::of_io;
use crate::error::{Error, Result};

/// Removes files on a thread of its own: freeing the blocks of a large one takes time that no caller should wait.
#[derive(Clone, Debug)]
pub(super) struct Reaper {
    paths: mpsc::Sender<PathBuf>,
}

/// The reaper's thread. Dropping it waits until every [`Reaper`] is dropped and all files are removed.
#[derive(Debug)]
pub(super) struct ReaperThread(Option<JoinHandle<()>>);

impl Reaper {
    /// Starts the thread.
    pub(super) fn start() -> Result<(Self, ReaperThread)> {
        let (paths, received) = mpsc::channel::<PathBuf>();
        let thread = thread::Builder::new()
            .name("larder-reaper".into())
            .spawn(move || received.iter().for_each(|path| remove(&path)))
            .map_err(|error| Error::internal(format!("could not start the thread that removes files: {error}")))?;
        Ok((Self { paths }, ReaperThread(Some(thread))))
    }

    /// Removes a file, soon.
    pub(super) fn remove(&self, path: PathBuf) {
        if let Err(mpsc::SendError(path)) = self.paths.send(path) {
            remove(&path);
        }
    }
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "a file that is no longer needed stays until the next start");
        }
        _ => {}
    }
}

impl Drop for ReaperThread {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            // It can only have panicked in a panic handler of the logger; nothing is lost but space.
            let _ = thread.join();
        }
    }
}

/// A file that is removed when this is dropped, unless it was kept.
#[derive(Debug)]
pub(super) struct Temporary {
    path: PathBuf,
    kept: bool,
    reaper: Reaper,
}

impl Temporary {
    /// Takes care of the file at this path.
    pub(super) fn new(path: PathBuf, reaper: Reaper) -> Self {
        Self { path, kept: false, reaper }
    }

    /// Where the file is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Renames the file; it is still a temporary one.
    pub(super) fn rename(&mut self, to: PathBuf) -> Result<()> {
        fs::rename(&self.path, &to).map_err(|error| of_io(&error, "could not rename a file to", &to))?;
        self.path = to;
        Ok(())
    }

    /// Leaves the file where it is.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.kept {
            self.reaper.remove(std::mem::take(&mut self.path));
        }
    }
}
