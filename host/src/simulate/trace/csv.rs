use std::io::BufRead;

use csv::{ByteRecord, ErrorKind, ReaderBuilder};

use super::Recorder;
use super::columns::{Column, Columns};
use super::error::Fault;
use super::lines::{number, shown};

/// What headers call the key, the size, and other things: a first line that has one of these is a header.
const KEYS: [&str; 9] = ["key", "id", "obj_id", "object_id", "object", "url", "uri", "path", "block"];
const SIZES: [&str; 6] = ["size", "bytes", "obj_size", "object_size", "length", "content_length"];
const OTHERS: [&str; 7] = ["time", "timestamp", "ts", "op", "operation", "ttl", "next_access_vtime"];

pub(super) fn parse(mut input: &mut dyn BufRead, columns: &Columns, into: &mut Recorder) -> Result<(), Fault> {
    let delimiter = delimiter(input.fill_buf()?);
    let mut reader =
        ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(&mut input);
    let mut record = ByteRecord::new();
    let mut places = None;
    while !into.is_full() && reader.read_byte_record(&mut record).map_err(fault)? {
        let line = record.position().map_or(0, csv::Position::line);
        let wrong = |what| Fault::Columns { line, what };
        let (key, size) = match places {
            Some(places) => places,
            None => {
                let header = has_header(&record, columns);
                let found = Places { record: &record, header }.find(columns).map_err(wrong)?;
                places = Some(found);
                if header {
                    continue;
                }
                found
            }
        };
        let field = |column: usize| {
            let count = record.len();
            record.get(column).ok_or_else(|| wrong(format!("there is no column {}, but {count}", column + 1)))
        };
        let size = match size {
            Some(column) => {
                let text = field(column)?;
                let size = number(text.trim_ascii());
                Some(size.ok_or_else(|| wrong(format!("{} in column {} is no size", shown(text), column + 1)))?)
            }
            None => None,
        };
        into.text(field(key)?, size)?;
    }
    Ok(())
}

/// What stands between columns, by the first line: the first of comma, tab and semicolon that is in it.
fn delimiter(begin: &[u8]) -> u8 {
    let line = begin.split(|&byte| byte == b'\n').next().unwrap_or_default();
    [b',', b'\t', b';'].into_iter().find(|delimiter| line.contains(delimiter)).unwrap_or(b',')
}

fn has_header(first: &ByteRecord, columns: &Columns) -> bool {
    let is_named = |column: &Option<Column>| matches!(column, Some(Column::Name(_)));
    let is_word = |field: &[u8]| {
        let mut words = KEYS.iter().chain(&SIZES).chain(&OTHERS);
        words.any(|word| is(field, word))
    };
    let is_no_size = match columns.size {
        Some(Column::Number(place)) => first.get(place - 1).is_some_and(|field| number(field.trim_ascii()).is_none()),
        _ => false,
    };
    is_named(&columns.key) || is_named(&columns.size) || is_no_size || first.iter().any(is_word)
}

fn is(field: &[u8], name: &str) -> bool {
    field.trim_ascii().eq_ignore_ascii_case(name.as_bytes())
}

/// The first line, which says where keys and sizes are.
struct Places<'a> {
    record: &'a ByteRecord,
    header: bool,
}

impl Places<'_> {
    /// The columns of keys and sizes, counted from 0.
    fn find(&self, columns: &Columns) -> Result<(usize, Option<usize>), String> {
        let key = match &columns.key {
            Some(column) => self.column(column)?,
            None if self.record.len() == 1 => 0,
            None => self.known(&KEYS).ok_or_else(|| {
                let found = if self.header { self.names() } else { format!("{} columns", self.record.len()) };
                format!("which column holds the key? there are {found}")
            })?,
        };
        let size = match &columns.size {
            Some(column) => Some(self.column(column)?),
            None => self.known(&SIZES),
        };
        Ok((key, size))
    }

    fn column(&self, column: &Column) -> Result<usize, String> {
        let found = match column {
            Column::Number(number) => Some(number - 1).filter(|&place| place < self.record.len()),
            Column::Name(name) => self.record.iter().position(|field| is(field, name)),
        };
        found.ok_or_else(|| format!("there is no column {column}; there are {}", self.names()))
    }

    /// The column that has one of these names in the header, the first of the names that any has.
    fn known(&self, names: &[&str]) -> Option<usize> {
        let mut found = names.iter().filter(|_| self.header);
        found.find_map(|name| self.record.iter().position(|field| is(field, name)))
    }

    fn names(&self) -> String {
        self.record.iter().map(shown).collect::<Vec<_>>().join(", ")
    }
}

fn fault(error: csv::Error) -> Fault {
    let text = error.to_string();
    match error.into_kind() {
        ErrorKind::Io(error) => Fault::Read(error),
        _ => Fault::Other(text),
    }
}
