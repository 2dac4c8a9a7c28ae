use std::fmt;
use std::io;
use std::path::PathBuf;

use super::Format;

/// Why a trace can not be replayed.
#[derive(Debug)]
pub struct TraceError {
    pub(super) path: PathBuf,
    pub(super) fault: Fault,
}

/// What is wrong, wherever the requests come from.
#[derive(Debug)]
pub(in crate::simulate) enum Fault {
    Read(io::Error),
    /// The name of the file does not say what is in it.
    UnknownFormat,
    /// What does not fit in the format, in a line counted from 1.
    Line {
        line: u64,
        what: String,
    },
    /// What is not to be found in the columns of a file.
    Columns {
        line: u64,
        what: String,
    },
    /// The last record is cut off.
    Torn {
        format: Format,
        offset: u64,
        found: usize,
        expected: usize,
    },
    /// What does not fit, anywhere.
    Other(String),
    Empty,
    TooManyKeys,
}

impl TraceError {
    /// What would mend it.
    pub fn hint(&self) -> Option<String> {
        match &self.fault {
            Fault::UnknownFormat => Some(format!("--format says it: {}", Format::list())),
            Fault::Line { .. } => Some(format!("--format says what it is: {}", Format::list())),
            Fault::Columns { .. } => Some("--columns key=NAME,size=NAME says it, or numbers in place of names".into()),
            Fault::Torn { .. } => {
                Some("either the file was cut off, or it is in another format, which --format says".into())
            }
            _ => None,
        }
    }

    /// Whether there is no such file.
    pub fn is_not_found(&self) -> bool {
        matches!(&self.fault, Fault::Read(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.fault {
            Fault::Read(error) if error.kind() == io::ErrorKind::NotFound => write!(f, "there is no file {path}"),
            Fault::Read(error) => write!(f, "can not read {path}: {error}"),
            Fault::UnknownFormat => write!(f, "{path}: the name does not say in which format the trace is"),
            Fault::Line { line, what } | Fault::Columns { line, what } => write!(f, "{path}:{line}: {what}"),
            Fault::Torn { format, offset, found, expected } => write!(
                f,
                "{path}: at byte {offset} stand the last {found} bytes, and a record of {format} has {expected}"
            ),
            Fault::Other(what) => write!(f, "{path}: {what}"),
            Fault::Empty => write!(f, "{path}: there is no request in it"),
            Fault::TooManyKeys => write!(f, "{path}: it has more than 4,294,967,295 distinct keys"),
        }
    }
}

impl std::error::Error for TraceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            Fault::Read(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}
