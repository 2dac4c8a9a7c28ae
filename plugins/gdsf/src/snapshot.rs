//! What is handed on over a reload: the age of the cache, and for each key twenty bytes.

/// What a snapshot begins with: another form has another number.
const FORM: &[u8] = b"gdsf 1\n";

/// A key that was resident.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Resident {
    pub(crate) hash: u64,
    pub(crate) frequency: u32,
    /// The age of the cache when it was read last.
    pub(crate) clock: f64,
}

/// The bytes for a cache of this age and these keys.
pub(crate) fn write(clock: f64, residents: impl Iterator<Item = Resident>) -> Vec<u8> {
    let mut bytes = [FORM, &clock.to_le_bytes()].concat();
    for Resident { hash, frequency, clock } in residents {
        bytes.extend(hash.to_le_bytes());
        bytes.extend(frequency.to_le_bytes());
        bytes.extend(clock.to_le_bytes());
    }
    bytes
}

/// The age of the cache and the keys in a snapshot, as far as they make sense.
pub(crate) fn read(bytes: &[u8]) -> Option<(f64, impl Iterator<Item = Resident>)> {
    let (age, residents) = bytes.strip_prefix(FORM)?.split_first_chunk()?;
    let age = f64::from_le_bytes(*age);
    let is_age = |clock: f64| clock.is_finite() && clock.is_sign_positive();
    let residents = residents.as_chunks::<20>().0.iter().filter_map(move |bytes| {
        let (hash, rest) = bytes.split_first_chunk()?;
        let (frequency, rest) = rest.split_first_chunk()?;
        let clock = f64::from_le_bytes(*rest.first_chunk()?);
        let (hash, frequency) = (u64::from_le_bytes(*hash), u32::from_le_bytes(*frequency));
        (frequency > 0 && is_age(clock) && clock <= age).then_some(Resident { hash, frequency, clock })
    });
    is_age(age).then_some((age, residents))
}
