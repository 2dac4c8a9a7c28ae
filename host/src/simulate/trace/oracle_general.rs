//! libCacheSim's `oracleGeneral`: u32 time, u64 key, u32 size, i64 time of the next access, packed and little-endian.

use std::io::BufRead;

use super::error::Fault;
use super::{Format, Recorder, records};

const KEY: std::ops::Range<usize> = 4..12;
const SIZE: std::ops::Range<usize> = 12..16;

pub(super) fn parse(input: &mut dyn BufRead, into: &mut Recorder) -> Result<(), Fault> {
    records::each(Format::OracleGeneral, input, into, |into, record: [u8; 24]| {
        let (mut key, mut size) = ([0; 8], [0; 4]);
        key.copy_from_slice(&record[KEY]);
        size.copy_from_slice(&record[SIZE]);
        into.number(u64::from_le_bytes(key), Some(u32::from_le_bytes(size).into()))
    })
}
