//! Threads over one cache, whose histories are held against a register that may forget its value at any time.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use crate::cache::{Cache, CacheOptions, EntryId, EvictionPolicy, Steps};
use crate::error::Error;

const THREADS: u64 = 3;
const CALLS: u64 = 24;
const KEYS: u64 = 4;
/// Fewer than there are keys, so that entries come and go.
const CAPACITY: u64 = 3;
const ROUNDS: u64 = 150;

/// A call on one key, from when to when by a common clock, and what it found or left there.
#[derive(Clone, Copy, Debug)]
struct Call {
    began: u64,
    ended: u64,
    event: Event,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// A value was put in, which no other call puts in.
    Inserted(u32),
    /// A read, and what it found.
    Read(Option<u32>),
    /// A removal, and what it took out.
    Removed(Option<u32>),
    /// A value was put in that had expired already.
    InsertedExpired,
}

impl Event {
    /// What is there behind it, or nothing if it can not have happened where `value` was there. That nothing is there can
    /// always be: it was forgotten.
    fn on(self, value: Option<u32>) -> Option<Option<u32>> {
        match self {
            Self::Inserted(inserted) => Some(Some(inserted)),
            Self::InsertedExpired | Self::Read(None) | Self::Removed(None) => Some(None),
            Self::Read(found) => (found == value).then_some(found),
            Self::Removed(found) => (found == value).then_some(None),
        }
    }
}

/// Whether the calls can have happened one after the other, each between its begin and its end: the search of Wing and
/// Gong, *Testing and Verifying Concurrent Objects*, 1993, that comes to no state twice.
fn is_linearizable(calls: &[Call]) -> bool {
    assert!(calls.len() <= 64, "a set of calls is a word");
    let all = u64::MAX.checked_shr(64 - calls.len() as u32).unwrap_or(0);
    let mut seen = HashSet::new();
    let mut states = vec![(0u64, None)];
    while let Some((done, value)) = states.pop() {
        if done == all {
            return true;
        }
        if !seen.insert((done, value)) {
            continue;
        }
        let left = || calls.iter().enumerate().filter(|(index, _)| done >> index & 1 == 0);
        // Nothing that began after another had ended comes before it.
        let first_end = left().map(|(_, call)| call.ended).min().unwrap_or(u64::MAX);
        for (index, call) in left().filter(|(_, call)| call.began <= first_end) {
            states.extend(call.event.on(value).map(|after| (done | 1 << index, after)));
        }
    }
    false
}

/// What the threads of a round share.
struct Round {
    cache: Cache<u64, u32>,
    clock: AtomicU64,
    values: AtomicU32,
    start: Barrier,
}

impl Round {
    fn run(&self, mut random: u64) -> Vec<(u64, Call)> {
        self.start.wait();
        let call = |_| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let key = random % KEYS;
            let began = self.clock.fetch_add(1, SeqCst);
            let event = match random / KEYS % 16 {
                0..6 => Event::Read(self.cache.get(&key)),
                6..12 => {
                    let value = self.values.fetch_add(1, SeqCst);
                    self.cache.insert(key, value, 1);
                    Event::Inserted(value)
                }
                12 => {
                    self.cache.insert_for(key, u32::MAX, 1, Duration::ZERO);
                    Event::InsertedExpired
                }
                13 => {
                    self.cache.remove_all(|&other| other == key);
                    // It does not say what it took out.
                    Event::Read(None)
                }
                _ => Event::Removed(self.cache.remove(&key)),
            };
            (key, Call { began, ended: self.clock.fetch_add(1, SeqCst), event })
        };
        (0..CALLS).map(call).collect()
    }
}

fn check(name: &str, policy: &EvictionPolicy, steps: Steps) {
    for seed in 0..ROUNDS {
        let options = CacheOptions { eviction_policy: policy.clone(), steps, ..CacheOptions::new(CAPACITY) };
        let round = Round {
            cache: Cache::new(&options).unwrap(),
            clock: AtomicU64::new(0),
            values: AtomicU32::new(0),
            start: Barrier::new(THREADS as usize),
        };
        let mut histories: BTreeMap<u64, Vec<Call>> = BTreeMap::new();
        std::thread::scope(|scope| {
            let run = |thread: u64| {
                scope.spawn({
                    let round = &round;
                    move || round.run((seed * THREADS + thread + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
                })
            };
            let threads: Vec<_> = (0..THREADS).map(run).collect();
            for (key, call) in threads.into_iter().flat_map(|thread| thread.join().unwrap()) {
                histories.entry(key).or_default().push(call);
            }
        });
        assert!(round.cache.stats().weight <= CAPACITY, "{name}: {:?}", round.cache.stats());
        for (key, calls) in histories {
            assert!(is_linearizable(&calls), "{name}, round {seed}, key {key}: {calls:#?}");
        }
    }
}

#[test]
fn a_value_that_went_does_not_come_back_and_none_is_seen_before_it_is_there() {
    for name in super::POLICIES {
        check(name, &super::policy(name), Steps::Batched);
    }
    check("lru, exact", &EvictionPolicy::Lru, Steps::Exact);
}

#[test]
fn it_is_so_too_where_strategies_fail_and_are_made_anew() {
    let asked = AtomicU64::new(0);
    let step = move |all: &[EntryId], wanted: u64| match asked.fetch_add(1, SeqCst) % 5 {
        0 => Err(Error::unavailable("trapped")),
        1 => Ok(vec![EntryId::new(7, 7); 3]),
        _ => Ok(all.iter().take(wanted as usize).copied().collect()),
    };
    check("failing", &EvictionPolicy::Custom(Arc::new(super::Asking(Arc::new(step)))), Steps::Batched);
}

#[test]
fn the_checker_finds_stale_and_early_reads() {
    let call = |began, ended, event| Call { began, ended, event };
    let fresh = [call(0, 3, Event::Inserted(1)), call(1, 2, Event::Read(Some(1))), call(4, 5, Event::Read(None))];
    assert!(is_linearizable(&fresh));
    let back = [call(0, 1, Event::Inserted(1)), call(2, 3, Event::Read(None)), call(4, 5, Event::Read(Some(1)))];
    assert!(!is_linearizable(&back), "what was forgotten came back");
    let stale = [call(0, 1, Event::Inserted(1)), call(2, 3, Event::Inserted(2)), call(4, 5, Event::Read(Some(1)))];
    assert!(!is_linearizable(&stale));
    let early = [call(0, 1, Event::Read(Some(1))), call(2, 3, Event::Inserted(1))];
    assert!(!is_linearizable(&early));
    let twice =
        [call(0, 1, Event::Inserted(1)), call(2, 4, Event::Removed(Some(1))), call(3, 5, Event::Removed(Some(1)))];
    assert!(!is_linearizable(&twice), "it was taken out twice");
}
