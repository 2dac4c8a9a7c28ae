//! What is handed on over a reload, nine bytes a key: its hash, and before it what it was.

/// What a snapshot begins with: another form has another number.
const FORM: &[u8] = b"s3-fifo 1\n";

/// What a key was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Was {
    /// In a queue, with so many reads, up to 3.
    Resident { queue: usize, reads: u8 },
    /// Dropped, and remembered.
    Ghost,
}

const GHOST: u8 = 8;

impl Was {
    fn to_byte(self) -> u8 {
        match self {
            Self::Resident { queue, reads } => (queue as u8) << 2 | reads,
            Self::Ghost => GHOST,
        }
    }

    fn of_byte(byte: u8) -> Option<Self> {
        match byte {
            0..GHOST => Some(Self::Resident { queue: usize::from(byte >> 2), reads: byte & 3 }),
            GHOST => Some(Self::Ghost),
            _ => None,
        }
    }
}

/// The bytes for these keys.
pub(crate) fn write(keys: impl Iterator<Item = (Was, u64)>) -> Vec<u8> {
    let mut bytes = FORM.to_vec();
    for (was, hash) in keys {
        bytes.push(was.to_byte());
        bytes.extend(hash.to_le_bytes());
    }
    bytes
}

/// The keys in a snapshot, as far as they make sense.
pub(crate) fn read(bytes: &[u8]) -> impl Iterator<Item = (Was, u64)> {
    let keys = bytes.strip_prefix(FORM).unwrap_or_default().as_chunks::<9>().0;
    keys.iter().filter_map(|&[was, a, b, c, d, e, f, g, h]| {
        Some((Was::of_byte(was)?, u64::from_le_bytes([a, b, c, d, e, f, g, h])))
    })
}
