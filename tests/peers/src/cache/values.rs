use bytes::Bytes;

/// What a cache holds.
pub(super) trait Value: Clone + Send + Sync + 'static {
    /// What reports call it.
    const NAME: &'static str;

    /// The value number so much.
    fn new(number: u64) -> Self;
}

impl Value for u64 {
    const NAME: &'static str = "u64";

    fn new(number: u64) -> Self {
        number
    }
}

/// An object of 4 KiB, which all who hold it share.
impl Value for Bytes {
    const NAME: &'static str = "4 KiB";

    fn new(number: u64) -> Self {
        Bytes::from(vec![number as u8; 4 << 10])
    }
}

/// Values that were made before, so that a miss does not measure how they are made. Several keys share one, yet not so
/// many that threads would meet at its count of owners.
#[derive(Debug)]
pub(super) struct Values<V>(Vec<V>);

/// A power of two.
const COUNT: u64 = 1 << 14;

impl<V: Value> Values<V> {
    pub(super) fn new() -> Self {
        let values: Vec<V> = (0..COUNT).map(V::new).collect();
        // The first clone of `Bytes` takes an allocation that no other takes.
        drop(values.clone());
        Self(values)
    }

    #[inline]
    pub(super) fn of(&self, key: u64) -> V {
        self.0[(key % COUNT) as usize].clone()
    }
}
