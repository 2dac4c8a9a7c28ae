//! How far a run has come, in a file, so that one that was cut off goes on there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::LifecycleReport;
use crate::object::{Timestamp, now};
use crate::replace_file::replace_file;

/// How often the file is written, at most.
const EVERY: Duration = Duration::from_secs(5);

/// What is as old as that is begun anew: everything behind where it stopped is older by then.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// How far a run has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// What the policies were.
    pub(super) policies: String,
    /// When that was so.
    pub(super) at: Timestamp,
    /// Everything up to there is done.
    pub(super) behind: Behind,
    /// What it came to.
    pub(super) report: LifecycleReport,
}

/// How far it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Behind {
    /// Behind this key of a walk over all objects.
    Key(String),
    /// Somewhere among what was due; what was done is not due any more.
    Due,
}

/// The file of a store's run, written while it runs; one that ends takes the file away.
///
/// Dropped before that, as when the host stops, it leaves how far the run was.
#[derive(Debug)]
pub(super) struct ProgressKeeper {
    path: Option<PathBuf>,
    written: Instant,
    unwritten: Option<Progress>,
}

impl Progress {
    /// What a run that was cut off has left in a file, if it was for the same policies and not long ago. What can not be read
    /// is nothing: a run that begins anew does the same.
    pub(super) fn read(path: &Path, policies: &str) -> Option<Self> {
        let progress: Self = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        let is_recent = (now() - progress.at).to_std().is_ok_and(|age| age < MAX_AGE);
        (is_recent && progress.policies == policies).then_some(progress)
    }
}

impl ProgressKeeper {
    /// One that keeps what it is told in this file, if any.
    pub(super) fn new(path: Option<&Path>) -> Self {
        Self { path: path.map(Path::to_owned), written: Instant::now(), unwritten: None }
    }

    /// Takes note of a batch that is completely done.
    pub(super) async fn note(&mut self, progress: Progress) {
        let Some(path) = self.path.clone() else { return };
        if self.written.elapsed() < EVERY {
            self.unwritten = Some(progress);
            return;
        }
        self.unwritten = None;
        self.written = Instant::now();
        let written = spawn_blocking(move || write(&path, &progress)).await;
        if let Err(error) = written.map_err(io::Error::from).flatten() {
            self.complain(&error);
        }
    }

    /// Takes the file away: the run has come to its end.
    pub(super) fn finish(mut self) {
        self.unwritten = None;
        if let Some(Err(error)) = self.path.as_ref().map(fs::remove_file)
            && error.kind() != io::ErrorKind::NotFound
        {
            self.complain(&error);
        }
    }

    fn complain(&self, error: &io::Error) {
        let path = self.path.as_deref().unwrap_or(Path::new("")).display();
        tracing::warn!(%path, "how far the lifecycle policies have come is not kept: {error}");
    }
}

/// A file of a few hundred bytes, once.
impl Drop for ProgressKeeper {
    fn drop(&mut self) {
        if let (Some(path), Some(progress)) = (&self.path, self.unwritten.take())
            && let Err(error) = write(path, &progress)
        {
            self.complain(&error);
        }
    }
}

fn write(path: &Path, progress: &Progress) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    replace_file(path, &serde_json::to_vec(progress)?)
}
