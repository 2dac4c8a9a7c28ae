use std::fmt;
use std::io;
use std::path::Path;

use crate::error::Error;

/// How a command ends, as the process tells it to its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    PreconditionFailed = 4,
    Unavailable = 5,
    Interrupted = 130,
    Terminated = 143,
}

/// The reason why a command ends before its work is done.
#[derive(Debug)]
pub(super) struct Failure {
    exit: Exit,
    report: Option<Report>,
}

/// What the reader is told of a failure.
#[derive(Debug, serde::Serialize)]
pub(super) struct Report {
    pub(super) kind: &'static str,
    pub(super) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hint: Option<String>,
}

impl Failure {
    pub(super) fn new(exit: Exit, kind: &'static str, message: impl Into<String>) -> Self {
        Self { exit, report: Some(Report { kind, message: message.into(), hint: None }) }
    }

    /// A failure of which nothing is left to be said.
    pub(super) fn silent(exit: Exit) -> Self {
        Self { exit, report: None }
    }

    /// The command line asks for something that can not be.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }

    /// What the command line names is not there.
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Exit::NotFound, "not-found", message)
    }

    /// A local file can not be used: `doing` is what was tried with it, such as `can not read`.
    pub(super) fn file(doing: &str, path: &Path, error: &io::Error) -> Self {
        Self::new(Exit::Failed, "file", format!("{doing} {}: {error}", path.display()))
    }

    /// Standard input or output failed. A reader that went away, such as `head`, has what it wanted: no failure.
    pub(super) fn stdio(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::silent(Exit::Done),
            _ => Self::new(Exit::Failed, "file", format!("standard input or output failed: {error}")),
        }
    }

    /// Adds what would mend it.
    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        if let Some(report) = &mut self.report {
            report.hint = Some(hint.into());
        }
        self
    }

    /// Says before the message what it was about.
    pub(super) fn about(mut self, what: &str) -> Self {
        if let Some(report) = &mut self.report {
            report.message = format!("{what}: {}", report.message);
        }
        self
    }

    /// Adds what would mend it, if the failure ends the process so.
    pub(super) fn hint_on(self, exit: Exit, hint: impl FnOnce() -> String) -> Self {
        if self.exit == exit { self.with_hint(hint()) } else { self }
    }

    pub(super) fn exit(&self) -> Exit {
        self.exit
    }

    pub(super) fn report(&self) -> Option<&Report> {
        self.report.as_ref()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match error {
            Error::NotFound { .. } => Exit::NotFound,
            Error::PreconditionFailed { .. } => Exit::PreconditionFailed,
            Error::Unavailable { .. } | Error::Timeout { .. } => Exit::Unavailable,
            _ => Exit::Failed,
        };
        Self::new(exit, error.kind(), error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.report.as_ref().map_or("", |report| &report.message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{ByteRange, Key};

    #[test]
    fn each_kind_of_error_has_its_exit_code() {
        let key = Key::new("a").unwrap();
        let range = ByteRange::starting_at(5);
        for (error, code) in [
            (Error::not_found(&key), 3),
            (Error::precondition_failed("changed"), 4),
            (Error::unavailable("down"), 5),
            (Error::timeout("slow"), 5),
            (Error::invalid_input("bad"), 1),
            (Error::RangeNotSatisfiable { range, size: 2 }, 1),
            (Error::corrupt("flipped"), 1),
            (Error::internal("oops"), 1),
        ] {
            let kind = error.kind();
            let failure = Failure::from(error);
            assert_eq!((failure.exit() as u8, failure.report().unwrap().kind), (code, kind));
        }
        assert_eq!(Failure::usage("no").exit() as u8, 2);
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let failure = Failure::stdio(&io::ErrorKind::BrokenPipe.into());
        assert!(failure.report().is_none());
        assert_eq!(failure.exit() as u8, 0);
        assert_eq!(Failure::stdio(&io::ErrorKind::StorageFull.into()).exit() as u8, 1);
    }
}
