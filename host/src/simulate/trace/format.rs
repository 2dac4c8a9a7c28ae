use std::fmt;
use std::io::BufRead;
use std::path::Path;
use std::str::FromStr;

use super::columns::Columns;
use super::error::Fault;
use super::{Recorder, arc, csv, lirs, oracle_general, text, u32be, u64be};

/// How the requests of a trace are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Keys of 4 bytes, big-endian.
    U32Be,
    /// Keys of 8 bytes, big-endian.
    U64Be,
    /// A key a line; empty lines are none.
    Text,
    /// A request a line, in columns: a key, and perhaps a size.
    Csv,
    /// libCacheSim's records of 24 bytes, little-endian: u32 time, u64 key, u32 size, i64 time of the next access.
    OracleGeneral,
    /// Block numbers, one a line, as in the traces of the LIRS paper; lines of `*` are left out.
    Lirs,
    /// `start count ignored request` a line, as in the traces of the ARC paper: `count` blocks from `start` on.
    Arc,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 7] =
        [Self::U32Be, Self::U64Be, Self::Text, Self::Csv, Self::OracleGeneral, Self::Lirs, Self::Arc];

    /// Its name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::U32Be => "u32be",
            Self::U64Be => "u64be",
            Self::Text => "text",
            Self::Csv => "csv",
            Self::OracleGeneral => "oracle-general",
            Self::Lirs => "lirs",
            Self::Arc => "arc",
        }
    }

    /// The format that a file of this name is in, by what stands behind the dots: `a.csv`, `b.oracleGeneral.bin.zst`.
    pub fn of_name(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_lowercase();
        let mut extensions = name.rsplit('.').take(3);
        extensions.find_map(|extension| match extension {
            "u32" | "u32be" => Some(Self::U32Be),
            "u64" | "u64be" => Some(Self::U64Be),
            "txt" | "text" | "keys" => Some(Self::Text),
            "csv" | "tsv" => Some(Self::Csv),
            "oraclegeneral" | "oracle-general" => Some(Self::OracleGeneral),
            "lirs" | "trc" => Some(Self::Lirs),
            "arc" | "lis" => Some(Self::Arc),
            _ => None,
        })
    }

    /// The names of all, for a reader to choose from.
    pub(super) fn list() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }

    pub(super) fn parse(self, input: &mut dyn BufRead, columns: &Columns, into: &mut Recorder) -> Result<(), Fault> {
        if self != Self::Csv && *columns != Columns::default() {
            return Err(Fault::Other(format!("it is read as {self}, and columns are those of csv")));
        }
        match self {
            Self::U32Be => u32be::parse(input, into),
            Self::U64Be => u64be::parse(input, into),
            Self::Text => text::parse(input, into),
            Self::Csv => csv::parse(input, columns, into),
            Self::OracleGeneral => oracle_general::parse(input, into),
            Self::Lirs => lirs::parse(input, into),
            Self::Arc => arc::parse(input, into),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|format| format.as_str() == text);
        found.ok_or_else(|| format!("there is no format {text:?}; there are {}", Self::list()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_file_says_its_format_behind_what_it_was_compressed_with() {
        for (name, format) in [
            ("a.u32be", Some(Format::U32Be)),
            ("a.u64.xz", Some(Format::U64Be)),
            ("dir.csv/a.txt.gz", Some(Format::Text)),
            ("w92.oracleGeneral.bin.zst", Some(Format::OracleGeneral)),
            ("cluster52.oracleGeneral.zst", Some(Format::OracleGeneral)),
            ("multi1.trc", Some(Format::Lirs)),
            ("P1.lis.gz", Some(Format::Arc)),
            ("A.CSV", Some(Format::Csv)),
            ("web12.trace.xz", None),
            ("csv", Some(Format::Csv)),
            ("a", None),
        ] {
            assert_eq!(Format::of_name(Path::new(name)), format, "{name}");
        }
    }

    #[test]
    fn every_format_reads_back_from_its_name() {
        for format in Format::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert!("u32".parse::<Format>().unwrap_err().contains("u32be, u64be, text"));
    }
}
