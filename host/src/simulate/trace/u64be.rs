use std::io::BufRead;

use super::error::Fault;
use super::{Format, Recorder, records};

pub(super) fn parse(input: &mut dyn BufRead, into: &mut Recorder) -> Result<(), Fault> {
    records::each(Format::U64Be, input, into, |into, record| into.number(u64::from_be_bytes(record), None))
}
