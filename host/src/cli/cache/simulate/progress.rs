use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::output::Output;

/// How far reading or replaying has come, shown on standard error if that is a terminal.
#[derive(Clone, Debug)]
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn of_bytes(name: &str, total: u64, output: &Output) -> Self {
        let template = "reading {msg}  {wide_bar}  {binary_bytes} of {binary_total_bytes}  {eta}";
        Self::begin(name, total, template, output)
    }

    pub(super) fn of_requests(name: &str, total: u64, output: &Output) -> Self {
        let template = "replaying {msg}  {wide_bar}  {percent} % of {human_len} requests  {eta}";
        Self::begin(name, total, template, output)
    }

    fn begin(name: &str, total: u64, template: &str, output: &Output) -> Self {
        if output.is_quiet() || output.for_programs() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(total);
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(name.to_owned());
        Self(bar)
    }

    pub(super) fn advance(&self, count: u64) {
        self.0.inc(count);
    }

    pub(super) fn end(&self) {
        self.0.finish_and_clear();
    }
}
