use crate::backup::{Failed, Watch};
use crate::cli::failure::{Exit, Failure};
use crate::cli::output::Output;
use crate::cli::progress::Progress;
use crate::error::Error;

/// Shows how far the work has come, and tells what fails as it does.
pub(super) struct Watching<'a> {
    progress: Progress,
    output: &'a Output,
}

impl<'a> Watching<'a> {
    pub(super) fn begin(output: &'a Output) -> Self {
        Self { progress: Progress::begin(output), output }
    }

    /// Clears the display and tells how long it took, in seconds.
    pub(super) fn end(&self) -> f64 {
        (self.progress.end().as_secs_f64() * 1000.0).round() / 1000.0
    }
}

impl Watch for Watching<'_> {
    fn expect(&self, objects: u64, bytes: u64) {
        self.progress.files_found(objects, bytes);
    }

    fn done(&self, bytes: u64) {
        self.progress.bytes(bytes);
        self.progress.file_done();
    }

    fn failed(&self, what: Failed<'_>, error: &Error) {
        let what = match what {
            Failed::Object(key) => format!("the object \u{2018}{key}\u{2019}"),
            Failed::Backup(id) => format!("the backup {id}"),
        };
        let failure = Failure::new(Exit::Failed, error.kind(), format!("{what}: {error}"));
        self.progress.pause(|| self.output.failure(&failure));
    }
}
