use std::collections::VecDeque;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::fault::of_io;
use super::pins::Pins;
use crate::error::{Error, Result};

/// Removes files on a thread of its own: freeing the blocks of a large one takes time that no caller should wait.
#[derive(Clone, Debug)]
pub(super) struct Reaper {
    files: mpsc::Sender<Outdated>,
    pins: Arc<Pins>,
}

/// The reaper's thread. Dropping it waits until every [`Reaper`] is dropped and all files are removed, but for those that
/// are pinned; the next opening finds these.
#[derive(Debug)]
pub(super) struct ReaperThread(Option<JoinHandle<()>>);

/// A file that is to be removed.
#[derive(Debug)]
enum Outdated {
    /// That nobody looks for.
    Unused(PathBuf),
    /// A body that the index refers to no more, and that the snapshots up to this one may show.
    Pinned(u64, PathBuf),
}

impl Outdated {
    fn path(&self) -> &Path {
        match self {
            Self::Unused(path) | Self::Pinned(_, path) => path,
        }
    }
}

/// How soon outdated bodies go once nobody pins them.
const LOOK_AFTER: Duration = Duration::from_secs(1);

impl Reaper {
    /// Starts the thread, which leaves alone what is pinned.
    pub(super) fn start(pins: Arc<Pins>) -> Result<(Self, ReaperThread)> {
        let (files, received) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("larder-reaper".into())
            .spawn({
                let pins = Arc::clone(&pins);
                move || reap(&received, &pins)
            })
            .map_err(|error| Error::internal(format!("could not start the thread that removes files: {error}")))?;
        Ok((Self { files, pins }, ReaperThread(Some(thread))))
    }

    /// Removes a body that nothing refers to, soon; or once no snapshot shows it.
    pub(super) fn remove_outdated(&self, path: PathBuf) {
        self.send(match self.pins.newest() {
            None => Outdated::Unused(path),
            Some(pin) => Outdated::Pinned(pin, path),
        });
    }

    fn send(&self, file: Outdated) {
        if let Err(mpsc::SendError(file)) = self.files.send(file) {
            remove(file.path());
        }
    }
}

fn reap(received: &mpsc::Receiver<Outdated>, pins: &Pins) {
    let mut kept = VecDeque::new();
    loop {
        let next = if kept.is_empty() {
            received.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            received.recv_timeout(LOOK_AFTER)
        };
        match next {
            Ok(Outdated::Unused(path)) => remove(&path),
            Ok(Outdated::Pinned(pin, path)) => kept.push_back((pin, path)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        release(&mut kept, pins);
    }
    release(&mut kept, pins);
}

/// Removes what no snapshot shows any more: those taken after it was outdated never did.
fn release(kept: &mut VecDeque<(u64, PathBuf)>, pins: &Pins) {
    if kept.is_empty() {
        return;
    }
    let oldest = pins.oldest();
    while let Some((_, path)) = kept.pop_front_if(|(pin, _)| oldest.is_none_or(|oldest| *pin < oldest)) {
        remove(&path);
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
            self.reaper.send(Outdated::Unused(std::mem::take(&mut self.path)));
        }
    }
}
