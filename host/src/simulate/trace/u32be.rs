use std::io::BufRead;

use super::error::Fault;
use super::{Format, Recorder, records};

pub(super) fn parse(input: &mut dyn BufRead, into: &mut Recorder) -> Result<(), Fault> {
    records::each(Format::U32Be, input, into, |into, record| into.number(u32::from_be_bytes(record).into(), None))
}
