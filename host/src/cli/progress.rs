use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::output::Output;
use crate::oci::Event;

/// How far a transfer has come, shown on standard error while it runs if that is a terminal.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    begun: Instant,
    files_found: AtomicU64,
    files_done: AtomicU64,
}

impl Progress {
    pub(super) fn begin(output: &Output) -> Self {
        if output.is_quiet() || output.for_programs() {
            return Self::hidden();
        }
        let bar = ProgressBar::new(0);
        bar.set_style(
            ProgressStyle::with_template(
                "{msg}  {wide_bar}  {binary_bytes} of {binary_total_bytes}  {binary_bytes_per_sec}  {elapsed}",
            )
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        Self::with(bar)
    }

    /// Shows nothing.
    pub(super) fn hidden() -> Self {
        Self::with(ProgressBar::hidden())
    }

    fn with(bar: ProgressBar) -> Self {
        Self { bar, begun: Instant::now(), files_found: AtomicU64::new(0), files_done: AtomicU64::new(0) }
    }

    /// One more file is to be transferred.
    pub(super) fn file_found(&self, size: u64) {
        self.files_found(1, size);
    }

    /// So many more files are to be transferred, of so many bytes together.
    pub(super) fn files_found(&self, count: u64, size: u64) {
        self.files_found.fetch_add(count, Ordering::Relaxed);
        self.bar.inc_length(size);
        self.show_files();
    }

    /// So many bytes more went over.
    pub(super) fn bytes(&self, count: u64) {
        self.bar.inc(count);
    }

    /// One more file is done, well or not.
    pub(super) fn file_done(&self) {
        self.files_done.fetch_add(1, Ordering::Relaxed);
        self.show_files();
    }

    /// Follows a component on its way from a registry.
    pub(super) fn follow(&self, event: Event) {
        match event {
            Event::Found(size) => self.file_found(size),
            Event::Bytes(count) => self.bytes(count as u64),
            Event::Done => self.file_done(),
        }
    }

    /// Lets something else be written to the terminal.
    pub(super) fn pause<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    /// Clears the display and tells how long it took.
    pub(super) fn end(&self) -> Duration {
        self.bar.finish_and_clear();
        self.begun.elapsed()
    }

    fn show_files(&self) {
        if !self.bar.is_hidden() {
            let (done, found) = (self.files_done.load(Ordering::Relaxed), self.files_found.load(Ordering::Relaxed));
            self.bar.set_message(format!("{done} of {found} files"));
        }
    }
}
