use std::fmt::{self, Display, Write as _};
use std::io::{self, BufWriter, Write};

use bytesize::ByteSize;
use clap::builder::styling::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Row, Table, presets};
use parking_lot::Mutex;
use serde::Serialize;

use super::failure::{Failure, Report};
use crate::object::Timestamp;

/// For whom the output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    People,
    /// JSON on both streams.
    Programs,
}

/// Where a command says what it has to say: results on standard output, all else on standard error.
pub(super) struct Output {
    audience: Audience,
    quiet: bool,
    color: bool,
    results: Mutex<Box<dyn Write + Send>>,
    remarks: Mutex<Box<dyn Write + Send>>,
}

impl Output {
    /// Speaks on the process's standard streams; `quiet` leaves out what is neither a result nor a failure, `color` is for
    /// standard error.
    pub(super) fn standard(audience: Audience, quiet: bool, color: bool) -> Self {
        let results = BufWriter::with_capacity(64 * 1024, io::stdout());
        Self {
            audience,
            quiet,
            color,
            results: Mutex::new(Box::new(results)),
            remarks: Mutex::new(Box::new(io::stderr())),
        }
    }

    /// Keeps what is said; the buffers are results and remarks.
    #[cfg(test)]
    pub(super) fn kept(audience: Audience) -> (Self, Kept, Kept) {
        let (results, remarks) = (Kept::default(), Kept::default());
        let (to_results, to_remarks) = (Box::new(results.clone()), Box::new(remarks.clone()));
        let output = Self {
            audience,
            quiet: false,
            color: false,
            results: Mutex::new(to_results),
            remarks: Mutex::new(to_remarks),
        };
        (output, results, remarks)
    }

    pub(super) fn for_programs(&self) -> bool {
        self.audience == Audience::Programs
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// A result as a line of text.
    pub(super) fn line(&self, text: impl Display) -> Result<(), Failure> {
        writeln!(self.results.lock(), "{text}").map_err(|error| Failure::stdio(&error))
    }

    /// A result as one JSON document: indented, since people read it too.
    pub(super) fn document(&self, value: &impl Serialize) -> Result<(), Failure> {
        self.line(serde_json::to_string_pretty(value).map_err(|error| Failure::stdio(&error.into()))?)
    }

    /// A result as one line of JSON, of many.
    pub(super) fn json_line(&self, value: &impl Serialize) -> Result<(), Failure> {
        self.line(serde_json::to_string(value).map_err(|error| Failure::stdio(&error.into()))?)
    }

    /// Hands over the results written so far.
    pub(super) fn flush(&self) -> Result<(), Failure> {
        self.results.lock().flush().map_err(|error| Failure::stdio(&error))
    }

    /// Something worth knowing that is not the result.
    pub(super) fn remark(&self, text: impl Display) {
        if !self.quiet && self.audience == Audience::People {
            self.say(text);
        }
    }

    /// A question, which waits for its answer on the same line.
    pub(super) fn ask(&self, text: impl Display) {
        let mut remarks = self.remarks.lock();
        // Whoever can not see the question can not answer it either.
        let _ = write!(remarks, "{text} ").and_then(|()| remarks.flush());
    }

    /// Why something was not done.
    pub(super) fn failure(&self, failure: &Failure) {
        let Some(report) = failure.report() else { return };
        match self.audience {
            Audience::People => self.say(Told { report, color: self.color }),
            Audience::Programs => self.say(serde_json::json!({ "error": report })),
        }
    }

    fn say(&self, text: impl Display) {
        // There is nowhere left to report that standard error is closed.
        let _ = writeln!(self.remarks.lock(), "{text}");
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("audience", &self.audience).field("quiet", &self.quiet).finish_non_exhaustive()
    }
}

struct Told<'a> {
    report: &'a Report,
    color: bool,
}

impl Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = |f: &mut fmt::Formatter<'_>, color: AnsiColor, word: &str| {
            let style = if self.color { color.on_default().bold() } else { Style::new() };
            write!(f, "{style}{word}:{style:#} ")
        };
        label(f, AnsiColor::Red, "error")?;
        write!(f, "{:#}", Printable(&self.report.message))?;
        if let Some(hint) = &self.report.hint {
            f.write_char('\n')?;
            label(f, AnsiColor::Cyan, "hint")?;
            write!(f, "{:#}", Printable(hint))?;
        }
        Ok(())
    }
}

/// What a test reads of an output.
#[cfg(test)]
#[derive(Clone, Debug, Default)]
pub(super) struct Kept(std::sync::Arc<Mutex<Vec<u8>>>);

#[cfg(test)]
impl Kept {
    /// What was written since the last call.
    pub(super) fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock())).unwrap()
    }
}

#[cfg(test)]
impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Text from outside for a terminal: control characters are escaped, so that no key moves the cursor. The alternate form
/// leaves line breaks alone.
#[derive(Debug)]
pub(super) struct Printable<'a>(pub(super) &'a str);

impl Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\n' if f.alternate() => f.write_char(character)?,
                _ if character.is_control() => write!(f, "{}", character.escape_default())?,
                _ => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

/// A table without lines, as wide as it must be.
pub(super) fn table<R: Into<Row>>(header: &[&str], rows: impl IntoIterator<Item = R>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    if !header.is_empty() {
        table.set_header(header.to_vec());
    }
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// A number of bytes for people, such as `1.5 MiB`.
pub(super) fn size(bytes: u64) -> impl Display {
    ByteSize(bytes).display().iec()
}

/// A share between 0 and 1 for people, such as `12.5 %`.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// A moment for people, to the second, in UTC.
pub(super) fn moment(timestamp: Timestamp) -> impl Display {
    timestamp.format("%Y-%m-%d %H:%M:%SZ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_comes_with_its_hint_for_people_and_as_json_for_programs() {
        let failure = Failure::not_found("there is no object \u{2018}a\u{1b}[2J\u{2019}").with_hint("look again");
        let (output, results, remarks) = Output::kept(Audience::People);
        output.failure(&failure);
        assert_eq!(remarks.take(), "error: there is no object \u{2018}a\\u{1b}[2J\u{2019}\nhint: look again\n");

        let (output, _, remarks) = Output::kept(Audience::Programs);
        output.failure(&failure);
        output.remark("not for programs");
        let json: serde_json::Value = serde_json::from_str(&remarks.take()).unwrap();
        assert_eq!(json["error"]["kind"], "not-found");
        assert_eq!(json["error"]["hint"], "look again");
        assert_eq!(results.take(), "");
    }
}
