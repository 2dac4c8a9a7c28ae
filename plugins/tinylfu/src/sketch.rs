//! How often each key was asked for lately, about: a count-min sketch (Cormode and Muthukrishnan, 2005) of four bits a
//! counter, which are all halved after a while so that what was popular once is forgotten.

/// A key's four counters are in one block of words, a line of the processor's cache.
const BLOCK: usize = 8;
/// The most that a counter counts.
const MOST: u64 = 15;
/// The lowest bit of every counter of a word, and its three lower ones.
const LOWEST: u64 = 0x1111_1111_1111_1111;
const LOWER: u64 = 0x7777_7777_7777_7777;
/// How many requests are counted before all is halved, for each key that there is room for. As in the paper.
const SAMPLE: usize = 10;

#[derive(Debug)]
pub(crate) struct Sketch {
    /// Sixteen counters each. A power of two.
    words: Vec<u64>,
    /// How many keys it is to tell apart; no more than there are words.
    keys: usize,
    /// How many requests were counted since the last halving, less what that took.
    counted: usize,
}

impl Sketch {
    pub(crate) fn new() -> Self {
        Self { words: vec![0; BLOCK], keys: BLOCK, counted: 0 }
    }

    /// Makes room for so many keys. What is known stays known: a key's block is told by the low bits of its hash, so when
    /// the blocks double, it is the former one or that one's copy.
    pub(crate) fn reserve(&mut self, keys: usize) {
        self.keys = self.keys.max(keys);
        while self.words.len() < self.keys {
            self.words.extend_from_within(..);
        }
    }

    /// Counts a request for the key with this hash.
    pub(crate) fn count(&mut self, hash: u64) {
        let mut is_counted = false;
        for (word, shift) in self.counters(hash) {
            let word = &mut self.words[word];
            if *word >> shift & MOST < MOST {
                *word += 1 << shift;
                is_counted = true;
            }
        }
        self.counted += usize::from(is_counted);
        if self.counted >= SAMPLE * self.keys {
            self.halve();
        }
    }

    /// How often the key with this hash was asked for, about: not less, unless it was more than 15 times or a while ago.
    pub(crate) fn estimate(&self, hash: u64) -> u64 {
        let counts = self.counters(hash).map(|(word, shift)| self.words[word] >> shift & MOST);
        counts.into_iter().min().unwrap_or_default()
    }

    /// The counters of a key: in which word, and from which bit on. Each row of the sketch has two words of every block.
    fn counters(&self, hash: u64) -> [(usize, u32); 4] {
        let blocks = self.words.len() / BLOCK;
        let block = (hash as usize & (blocks - 1)) * BLOCK;
        // The low bits name the block; a product's high ones depend on all.
        let bits = (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32;
        [0, 1, 2, 3].map(|row| {
            let byte = bits >> (8 * row);
            (block + 2 * row + (byte & 1) as usize, (byte >> 1 & 15) * 4)
        })
    }

    fn halve(&mut self) {
        let mut lost = 0;
        for word in &mut self.words {
            lost += (*word & LOWEST).count_ones() as usize;
            *word = *word >> 1 & LOWER;
        }
        // A request is in four counters, each of which loses half of it.
        self.counted = self.counted.saturating_sub(lost / 4) / 2;
    }

    /// Appends it to a snapshot.
    pub(crate) fn write(&self, bytes: &mut Vec<u8>) {
        let numbers = [self.words.len(), self.keys, self.counted].map(|number| number as u64);
        bytes.extend(numbers.iter().chain(&self.words).flat_map(|number| number.to_le_bytes()));
    }

    /// Reads it from a snapshot, and returns what comes behind it there.
    pub(crate) fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (numbers, rest) = bytes.split_first_chunk::<24>()?;
        let number = |at: usize| usize::try_from(u64::from_le_bytes(numbers.as_chunks().0[at])).ok();
        let (length, keys, counted) = (number(0)?, number(1)?, number(2)?);
        if !length.is_power_of_two() || !(BLOCK..=length).contains(&keys) || counted >= SAMPLE.checked_mul(keys)? {
            return None;
        }
        let (words, rest) = rest.split_at_checked(length.checked_mul(8)?)?;
        let words = words.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
        Some((Self { words, keys, counted }, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes spread over all bits.
    fn hash(key: u64) -> u64 {
        let word = (key ^ key >> 30).wrapping_add(1).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb)
    }

    #[test]
    fn it_never_counts_too_few_and_seldom_too_many() {
        let mut sketch = Sketch::new();
        sketch.reserve(1_024);
        for key in 0..1_024 {
            (0..key % 8).for_each(|_| sketch.count(hash(key)));
        }
        let over = (0..1_024).filter(|key| sketch.estimate(hash(*key)) > key % 8).count();
        assert!((0..1_024).all(|key| sketch.estimate(hash(key)) >= key % 8));
        assert!(over < 80, "{over} of 1024 were counted too often");
        (0..20).for_each(|_| sketch.count(hash(7)));
        assert_eq!(sketch.estimate(hash(7)), MOST);
    }

    #[test]
    fn what_was_popular_is_forgotten() {
        let mut sketch = Sketch::new();
        sketch.reserve(64);
        (0..12).for_each(|_| sketch.count(hash(0)));
        let mut halved = Vec::new();
        for key in 1..2_000 {
            let before = sketch.estimate(hash(0));
            sketch.count(hash(key));
            let after = sketch.estimate(hash(0));
            if after < before {
                halved.push((before, after));
            }
        }
        assert_eq!(halved.first().map(|(before, after)| before / 2 == *after), Some(true), "{halved:?}");
        assert!(halved.len() >= 2, "{halved:?}");
    }

    #[test]
    fn it_grows_without_forgetting() {
        let mut sketch = Sketch::new();
        for key in 0..8 {
            (0..key).for_each(|_| sketch.count(hash(key)));
        }
        let before: Vec<u64> = (0..8).map(|key| sketch.estimate(hash(key))).collect();
        sketch.reserve(10_000);
        assert_eq!(sketch.words.len(), 16_384);
        assert_eq!((0..8).map(|key| sketch.estimate(hash(key))).collect::<Vec<_>>(), before);
    }

    #[test]
    fn it_reads_back_and_nonsense_does_not() {
        let mut sketch = Sketch::new();
        sketch.reserve(100);
        (0..500).for_each(|key| sketch.count(hash(key % 90)));
        let mut bytes = Vec::new();
        sketch.write(&mut bytes);
        bytes.extend(b"rest");
        let (read, rest) = Sketch::read(&bytes).unwrap();
        assert_eq!((&read.words, read.keys, read.counted), (&sketch.words, sketch.keys, sketch.counted));
        assert_eq!(rest, b"rest");
        for length in 0..bytes.len() - 4 {
            assert!(Sketch::read(&bytes[..length]).is_none(), "cut off at {length}");
        }
        for (at, byte) in [(0, 1), (7, 0x80), (8, 0xff), (15, 1), (16, 0xff), (18, 1)] {
            let mut garbled = bytes.clone();
            garbled[at] ^= byte;
            assert!(Sketch::read(&garbled).is_none_or(|(sketch, _)| sketch.keys <= sketch.words.len()), "byte {at}");
        }
    }
}
