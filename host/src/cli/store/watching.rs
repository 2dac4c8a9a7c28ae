use indicatif::{ProgressBar, ProgressStyle};
use parking_lot::Mutex;

use crate::cli::output::{self, Output, Printable};
use crate::provider::{Finding, Watch};

/// Gathers what is found, and shows on standard error how far the work has come if that is a terminal.
#[derive(Debug)]
pub(super) struct Watching {
    bar: ProgressBar,
    findings: Mutex<Vec<Finding>>,
}

impl Watching {
    pub(super) fn begin(what: &'static str, output: &Output) -> Self {
        let bar = if output.is_quiet() || output.for_programs() { ProgressBar::hidden() } else { ProgressBar::new(0) };
        let template = "{msg}  {wide_bar}  {binary_bytes} of {binary_total_bytes}  {binary_bytes_per_sec}  {eta}";
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what);
        Self { bar, findings: Mutex::default() }
    }

    /// Clears the display and hands over what was found.
    pub(super) fn end(&self) -> Vec<Finding> {
        self.bar.finish_and_clear();
        std::mem::take(&mut *self.findings.lock())
    }
}

impl Watch for Watching {
    fn expect(&self, bytes: u64) {
        self.bar.set_length(bytes);
    }

    fn read(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn found(&self, finding: Finding) {
        self.findings.lock().push(finding);
    }
}

/// What was found, a line each.
pub(super) fn table(findings: &[Finding]) -> String {
    let rows =
        findings.iter().map(|finding| [finding.kind.as_str().to_owned(), Printable(&finding.message).to_string()]);
    output::table(&["FINDING", "WHAT"], rows)
}
