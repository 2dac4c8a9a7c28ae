use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::object::Key;

/// Which keys are read most, in bounded memory, from a sample of the reads.
///
/// A batched form of Space-Saving (Metwally, Agrawal and El Abbadi, *Efficient Computation of Frequent and Top-k Elements
/// in Data Streams*, 2005): when there are twice [`COUNTERS`] keys, only the most frequent half stays, and the greatest
/// count that went is the most that a key which comes in later can have missed. So every count is an upper bound, and
/// with the error taken off a lower one.
///
/// What it tells of is the last one to two [`WINDOW`]s: the one under way, and the one before.
#[derive(Debug)]
pub(super) struct HotKeys {
    windows: Mutex<Windows>,
}

#[derive(Debug)]
struct Windows {
    began: Instant,
    current: Sketch,
    /// Ended when the current one began.
    previous: Sketch,
    previous_took: Duration,
}

#[derive(Debug, Default)]
struct Sketch {
    counts: HashMap<Key, Count>,
    /// All reads, also those of keys that went.
    reads: u64,
    /// What a key that comes in now may have missed.
    floor: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    reads: u64,
    error: u64,
    hits: u64,
}

/// How many keys are counted at least: a key with more than one in so many reads is among them.
const COUNTERS: usize = 256;
/// One read in so many is looked at, so that it costs next to nothing.
const SAMPLE: u32 = 64;
/// How long a window lasts.
const WINDOW: Duration = Duration::from_secs(60);

/// The keys that were read most, as estimated from a sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TopKeys {
    /// Over how many seconds, up to now.
    pub seconds: f64,
    /// About how many reads there were.
    pub reads: u64,
    /// The most read first.
    pub keys: Vec<HotKey>,
}

/// How often a key was read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HotKey {
    /// The key.
    pub key: Key,
    /// About how many reads there were of it.
    pub reads: u64,
    /// How many of them may be those of others.
    pub error: u64,
    /// The share of them that the cache answered, 0 to 1.
    pub hit_ratio: f64,
}

thread_local! {
    /// How many reads of this thread are passed over until one is looked at, and the state of its random numbers.
    static PASS_OVER: Cell<(u32, u32)> = Cell::new((0, RandomState::new().hash_one(0) as u32 | 1));
}

impl HotKeys {
    pub(super) fn new() -> Self {
        let windows = Windows {
            began: Instant::now(),
            current: Sketch::default(),
            previous: Sketch::default(),
            previous_took: Duration::ZERO,
        };
        Self { windows: Mutex::new(windows) }
    }

    /// Takes note of a read, if it is one of those that are looked at.
    #[inline]
    pub(super) fn note(&self, key: &Key, is_hit: bool) {
        let is_due = PASS_OVER.with(|pass_over| {
            let (left, random) = pass_over.get();
            if left > 0 {
                pass_over.set((left - 1, random));
                return false;
            }
            // Gaps of random length, so that no rhythm of the reads hides one. Xorshift, from Marsaglia, 2003.
            let mut random = random;
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            pass_over.set((random % (2 * SAMPLE - 1), random));
            true
        });
        if is_due {
            self.count(key, is_hit, Instant::now());
        }
    }

    fn count(&self, key: &Key, is_hit: bool, now: Instant) {
        let mut windows = self.windows.lock();
        windows.turn(now);
        windows.current.count(key, is_hit);
    }

    /// The `limit` keys that were read most.
    pub(super) fn top(&self, limit: usize) -> TopKeys {
        self.top_at(limit, Instant::now())
    }

    fn top_at(&self, limit: usize, now: Instant) -> TopKeys {
        let mut windows = self.windows.lock();
        windows.turn(now);
        let Windows { began, current, previous, previous_took } = &*windows;
        let mut counts = current.counts.clone();
        for (key, count) in &previous.counts {
            let sum = counts.entry(key.clone()).or_default();
            sum.reads += count.reads;
            sum.error += count.error;
            sum.hits += count.hits;
        }
        let (sample, reads) = (u64::from(SAMPLE), current.reads + previous.reads);
        let seconds = (*previous_took + now.duration_since(*began)).as_secs_f64();
        drop(windows);
        let mut counts: Vec<(Key, Count)> = counts.into_iter().collect();
        counts.sort_unstable_by(|(key, count), (other, other_count)| {
            let surely = |count: &Count| Reverse(count.reads - count.error);
            (surely(count), key).cmp(&(surely(other_count), other))
        });
        counts.truncate(limit);
        let hot = |(key, Count { reads, error, hits }): (Key, Count)| HotKey {
            key,
            reads: reads * sample,
            error: error * sample,
            hit_ratio: hits as f64 / (reads - error).max(1) as f64,
        };
        TopKeys { seconds, reads: reads * sample, keys: counts.into_iter().map(hot).collect() }
    }
}

impl Windows {
    /// Begins another window if this one is over.
    fn turn(&mut self, now: Instant) {
        let took = now.duration_since(self.began);
        if took < WINDOW {
            return;
        }
        let ended = std::mem::take(&mut self.current);
        let is_recent = took < 2 * WINDOW;
        self.previous = if is_recent { ended } else { Sketch::default() };
        self.previous_took = if is_recent { took } else { Duration::ZERO };
        self.began = now;
    }
}

impl Sketch {
    fn count(&mut self, key: &Key, is_hit: bool) {
        self.reads += 1;
        if !self.counts.contains_key(key) && self.counts.len() == 2 * COUNTERS {
            self.prune();
        }
        let floor = self.floor;
        let count = self.counts.entry(key.clone()).or_insert(Count { reads: floor, error: floor, hits: 0 });
        count.reads += 1;
        count.hits += u64::from(is_hit);
    }

    /// Keeps the most frequent half.
    fn prune(&mut self) {
        let mut reads: Vec<u64> = self.counts.values().map(|count| count.reads).collect();
        let (_, &mut median, _) = reads.select_nth_unstable(COUNTERS);
        self.floor = self.floor.max(median);
        let mut of_median = self.counts.values().filter(|count| count.reads > median).count();
        self.counts.retain(|_, count| {
            // Of those at the median as many stay as there is room for.
            let stays = count.reads > median || (count.reads == median && of_median < COUNTERS);
            of_median += usize::from(stays && count.reads == median);
            stays
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(number: usize) -> Key {
        Key::new(format!("key-{number}")).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn every_count_is_within_its_error(reads in proptest::collection::vec((0..40usize, 0..200usize), 1..4000)) {
            let mut sketch = Sketch::default();
            let mut exact: HashMap<Key, u64> = HashMap::new();
            for (hot, cold) in reads {
                // A few keys often, and thousands seldom.
                for number in [hot / 10, hot * 200 + cold] {
                    sketch.count(&key(number), true);
                    *exact.entry(key(number)).or_default() += 1;
                }
                prop_assert!(sketch.counts.len() <= 2 * COUNTERS);
            }
            for (key, exact) in exact {
                match sketch.counts.get(&key) {
                    Some(count) => prop_assert!((count.reads - count.error..=count.reads).contains(&exact)),
                    None => prop_assert!(exact <= sketch.floor),
                }
            }
        }
    }

    #[test]
    fn the_most_read_come_first_and_the_past_is_forgotten() {
        let hot = HotKeys::new();
        let start = hot.windows.lock().began;
        let at = |seconds| start + Duration::from_secs(seconds);
        (0..30).for_each(|read| hot.count(&key(read % 3), read % 2 == 0, at(1)));
        (0..5).for_each(|_| hot.count(&key(2), true, at(61)));
        let top = hot.top_at(2, at(62));
        let keys: Vec<(Key, u64)> = top.keys.iter().map(|hot| (hot.key.clone(), hot.reads)).collect();
        assert_eq!(keys, [(key(2), 15 * 64), (key(0), 10 * 64)]);
        assert_eq!((top.reads, top.seconds), (35 * 64, 62.0));
        assert!((top.keys[0].hit_ratio - 10.0 / 15.0).abs() < 1e-9, "{top:?}");
        assert_eq!(hot.top_at(9, at(122)).keys.len(), 1, "the first window is over");
        assert_eq!(hot.top_at(9, at(400)).reads, 0);
    }

    #[test]
    fn about_one_read_in_sixty_four_is_looked_at() {
        let hot = HotKeys::new();
        (0..64_000).for_each(|_| hot.note(&key(1), true));
        let samples = hot.windows.lock().current.reads;
        assert!((800..1200).contains(&samples), "{samples}");
    }
}
