use std::io::BufRead;

use super::error::Fault;
use super::{Recorder, lines};

pub(super) fn parse(input: &mut dyn BufRead, into: &mut Recorder) -> Result<(), Fault> {
    lines::each(input, into, |into, line| Ok(into.text(line, None)?))
}
