use std::collections::HashMap;

use super::Trace;
use super::error::Fault;

/// Takes note of requests, and gives keys their numbers.
#[derive(Debug)]
pub(in crate::simulate) struct Recorder {
    limit: u64,
    keeps_sizes: bool,
    numbers: HashMap<u64, u32>,
    texts: HashMap<Box<[u8]>, u32>,
    keys: Vec<u32>,
    sizes: Vec<u64>,
    distinct: u32,
    bytes: u64,
    distinct_bytes: u64,
}

impl Recorder {
    /// Takes so many requests; all, if there is no limit.
    pub(in crate::simulate) fn new(limit: Option<u64>, keeps_sizes: bool) -> Self {
        Self {
            limit: limit.unwrap_or(u64::MAX),
            keeps_sizes,
            numbers: HashMap::new(),
            texts: HashMap::new(),
            keys: Vec::new(),
            sizes: Vec::new(),
            distinct: 0,
            bytes: 0,
            distinct_bytes: 0,
        }
    }

    /// Whether it takes no more.
    pub(super) fn is_full(&self) -> bool {
        self.keys.len() as u64 >= self.limit
    }

    /// A request whose key is a number. Either all requests of a trace have sizes, or none has.
    pub(in crate::simulate) fn number(&mut self, key: u64, size: Option<u64>) -> Result<(), Fault> {
        let next = self.distinct;
        let key = *self.numbers.entry(key).or_insert(next);
        self.note(key, size)
    }

    /// A request whose key is text.
    pub(super) fn text(&mut self, key: &[u8], size: Option<u64>) -> Result<(), Fault> {
        let key = match self.texts.get(key) {
            Some(&known) => known,
            None => {
                self.texts.insert(key.into(), self.distinct);
                self.distinct
            }
        };
        self.note(key, size)
    }

    fn note(&mut self, key: u32, size: Option<u64>) -> Result<(), Fault> {
        let size = size.filter(|_| self.keeps_sizes);
        let bytes = size.unwrap_or(1);
        if key == self.distinct {
            self.distinct = self.distinct.checked_add(1).ok_or(Fault::TooManyKeys)?;
            self.distinct_bytes = self.distinct_bytes.saturating_add(bytes);
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.keys.push(key);
        self.sizes.extend(size);
        Ok(())
    }

    /// The trace of what was noted.
    pub(in crate::simulate) fn finish(self) -> Result<Trace, Fault> {
        if self.keys.is_empty() {
            return Err(Fault::Empty);
        }
        let sizes = (!self.sizes.is_empty()).then_some(self.sizes);
        let Self { keys, distinct, bytes, distinct_bytes, .. } = self;
        Ok(Trace { keys, sizes, distinct: distinct.into(), bytes, distinct_bytes })
    }
}
