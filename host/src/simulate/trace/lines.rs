//! Formats of lines.

use std::io::{BufRead, Read};

use super::Recorder;
use super::error::Fault;

/// A line that is longer is none: the file is binary.
const LONGEST: u64 = 64 << 10;

/// Hands over each line that is not empty, until the end, or until enough requests were read. What `take` answers is
/// what is wrong with the line.
pub(super) fn each(
    input: &mut dyn BufRead,
    into: &mut Recorder,
    mut take: impl FnMut(&mut Recorder, &[u8]) -> Result<(), Wrong>,
) -> Result<(), Fault> {
    let mut text = Vec::new();
    let mut line = 0;
    while !into.is_full() {
        text.clear();
        line += 1;
        if (&mut *input).take(LONGEST).read_until(b'\n', &mut text)? == 0 {
            break;
        }
        if text.len() as u64 == LONGEST && !text.ends_with(b"\n") {
            return Err(Fault::Line { line, what: format!("a line of more than {LONGEST} bytes; this is no text") });
        }
        let content = text.strip_suffix(b"\n").unwrap_or(&text);
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        if content.is_empty() {
            continue;
        }
        take(into, content).map_err(|wrong| match wrong {
            Wrong::Line(what) => Fault::Line { line, what },
            Wrong::Trace(fault) => fault,
        })?;
    }
    Ok(())
}

/// What is wrong: with this line, or with all of them.
pub(super) enum Wrong {
    Line(String),
    Trace(Fault),
}

impl From<Fault> for Wrong {
    fn from(fault: Fault) -> Self {
        Self::Trace(fault)
    }
}

/// The number that a word is.
pub(super) fn number(word: &[u8]) -> Option<u64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// Text of a file for a message: as much as a line of a terminal takes.
pub(super) fn shown(text: &[u8]) -> String {
    const MOST: usize = 40;
    let cut = if text.len() > MOST { "\u{2026}" } else { "" };
    format!("\u{2018}{}{cut}\u{2019}", String::from_utf8_lossy(&text[..text.len().min(MOST)]))
}
