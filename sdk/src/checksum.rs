use std::fmt;

/// The CRC-64/NVME of an object's bytes.
///
/// The host computes it when the bytes arrive and compares it when they come back; a plugin keeps it and returns it. A
/// plugin that makes bytes of its own can compute it with [`Checksum::of`].
///
/// Parameters: polynomial `0xad93d23594c93659`, reflected, initial value and final xor all ones (NVM Express
/// specification, 64-bit CRC).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Checksum(pub u64);

impl Checksum {
    /// The checksum of `data`, one byte at a time: some hundred megabytes a second.
    pub fn of(data: &[u8]) -> Self {
        let mut running = Running::new();
        running.update(data);
        running.finish()
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "crc64nvme:{:016x}", self.0)
    }
}

/// The checksum of bytes that come in pieces.
#[derive(Debug)]
pub(crate) struct Running(u64);

impl Running {
    pub(crate) fn new() -> Self {
        Self(!0)
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        for byte in data {
            self.0 = TABLE[usize::from(self.0 as u8 ^ byte)] ^ (self.0 >> 8);
        }
    }

    pub(crate) fn finish(self) -> Checksum {
        Checksum(!self.0)
    }
}

static TABLE: [u64; 256] = {
    const REFLECTED: u64 = 0xad93_d235_94c9_3659_u64.reverse_bits();
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ REFLECTED } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of CRC-64/NVME in the catalogue of parametrised CRC algorithms.
    #[test]
    fn the_check_value_is_that_of_the_catalogue() {
        assert_eq!(Checksum::of(b"123456789"), Checksum(0xae8b_1486_0a79_9888));
        assert_eq!(Checksum::of(b""), Checksum(0));
    }
}
