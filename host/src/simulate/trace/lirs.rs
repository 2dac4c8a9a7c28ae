use std::io::BufRead;

use super::Recorder;
use super::error::Fault;
use super::lines::{self, Wrong, shown};

pub(super) fn parse(input: &mut dyn BufRead, into: &mut Recorder) -> Result<(), Fault> {
    lines::each(input, into, |into, line| {
        let line = line.trim_ascii();
        if line == b"*" || line.is_empty() {
            return Ok(());
        }
        let block = lines::number(line)
            .ok_or_else(|| Wrong::Line(format!("{} is no block number, and lirs has one a line", shown(line))))?;
        Ok(into.number(block, None)?)
    })
}
