use std::io::BufRead;

use super::Recorder;
use super::error::Fault;
use super::lines::{self, Wrong, shown};

/// A request for more blocks is none, but a file of another format: of 512 bytes each, these are 512 MiB.
const MOST_BLOCKS: u64 = 1 << 20;

pub(super) fn parse(input: &mut dyn BufRead, into: &mut Recorder) -> Result<(), Fault> {
    lines::each(input, into, |into, line| {
        let (start, count) = blocks(line).ok_or_else(|| {
            Wrong::Line(format!("{} is not \u{2018}start count ignored request\u{2019}, as arc has it", shown(line)))
        })?;
        let end = start.checked_add(count).filter(|_| count <= MOST_BLOCKS).ok_or_else(|| {
            Wrong::Line(format!("{count} blocks from {start} on; arc has at most {MOST_BLOCKS} in a request"))
        })?;
        for block in start..end {
            if into.is_full() {
                break;
            }
            into.number(block, None)?;
        }
        Ok(())
    })
}

/// The first block, and how many there are.
fn blocks(line: &[u8]) -> Option<(u64, u64)> {
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let start = lines::number(words.next()?)?;
    let count = lines::number(words.next()?)?;
    (words.count() == 2).then_some((start, count))
}
