//! Formats of records that are all as long.

use std::io::BufRead;

use super::error::Fault;
use super::{Format, Recorder};

/// Hands over each record of `N` bytes, until the end, or until enough requests were read.
pub(super) fn each<const N: usize>(
    format: Format,
    input: &mut dyn BufRead,
    into: &mut Recorder,
    mut take: impl FnMut(&mut Recorder, [u8; N]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut offset = 0;
    let mut record = [0; N];
    while !into.is_full() {
        let found = fill(input, &mut record)?;
        match found {
            0 => break,
            _ if found == N => take(into, record)?,
            _ => return Err(Fault::Torn { format, offset, found, expected: N }),
        }
        offset += N as u64;
    }
    Ok(())
}

/// Reads until the buffer is full or nothing is left, and returns how much was read.
fn fill(input: &mut dyn BufRead, buffer: &mut [u8]) -> Result<usize, Fault> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(filled)
}
