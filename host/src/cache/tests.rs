mod answers;
mod concurrency;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use bytes::Bytes;
use bytesize::ByteSize;
use parking_lot::Mutex;
use proptest::prelude::*;

use super::*;
use crate::error::{Error, Result};
use crate::object::{Checksum, Key};
use crate::provider::StoreOptions;

fn key(number: usize) -> Key {
    Key::new(format!("key-{number:02}")).unwrap()
}

fn entry(number: usize, bytes: impl Into<Bytes>) -> CacheEntry {
    let bytes = bytes.into();
    let (size, checksum) = (bytes.len() as u64, Checksum::of(&bytes));
    let metadata = StoreOptions::default().into_metadata(key(number), size, checksum, None);
    CacheEntry { metadata: Arc::new(metadata), bytes }
}

fn policy(name: &str) -> EvictionPolicy {
    match name {
        "default" => EvictionPolicy::Default,
        "lru" => EvictionPolicy::Lru,
        "fifo" => EvictionPolicy::Fifo,
        "random" => EvictionPolicy::Random,
        "lfu" => EvictionPolicy::Lfu,
        "sieve" => EvictionPolicy::Sieve,
        "clock" => EvictionPolicy::Clock,
        "s3-fifo" => EvictionPolicy::S3Fifo,
        other => panic!("{other} is not built in"),
    }
}

fn config(size_limit: u64, name: &str) -> CacheConfig {
    let eviction_policy = policy(name);
    CacheConfig { eviction_policy, entry_limit: ByteSize::b(4096), ..CacheConfig::new(ByteSize::b(size_limit)) }
}

/// Every policy that is built in.
const POLICIES: [&str; 8] = ["default", "lru", "fifo", "random", "lfu", "sieve", "clock", "s3-fifo"];

/// The entry that the cache has for a key, without counting a read.
fn peek(cache: &CacheManager, number: usize) -> Option<CacheEntry> {
    entry_of(cache.peek(&key(number)))
}

fn get(cache: &CacheManager, number: usize) -> Option<CacheEntry> {
    entry_of(cache.get(&key(number)))
}

fn entry_of(cached: Option<Cached>) -> Option<CacheEntry> {
    match cached? {
        Cached::Entry(entry) => Some(entry),
        Cached::Absent => None,
    }
}

fn cache(size_limit: u64, policy: &str) -> CacheManager {
    CacheManager::new(&config(size_limit, policy)).unwrap()
}

/// A cache that asks `step` what to drop: it is given the ids of all entries it was told of and not told to forget.
fn asking(
    size_limit: u64,
    step: impl Fn(&[EntryId], u64) -> Result<Vec<EntryId>> + Send + Sync + 'static,
) -> CacheManager {
    let eviction_policy = EvictionPolicy::Custom(Arc::new(Asking(Arc::new(step))));
    let config = CacheConfig { eviction_policy, max_entries: Some(MAX_ENTRIES), ..config(size_limit, "default") };
    CacheManager::new(&config).unwrap()
}

type Step = Arc<dyn Fn(&[EntryId], u64) -> Result<Vec<EntryId>> + Send + Sync>;

struct Asking(Step);

impl std::fmt::Debug for Asking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Asking")
    }
}

struct AskingStrategy(Step, Vec<EntryId>);

impl std::fmt::Debug for AskingStrategy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AskingStrategy")
    }
}

impl EvictionStrategyFactory for Asking {
    fn name(&self) -> &str {
        "asking"
    }

    fn open(&self, _capacity: u64) -> Result<Box<dyn EvictionStrategy>> {
        Ok(Box::new(AskingStrategy(Arc::clone(&self.0), Vec::new())))
    }
}

impl EvictionStrategy for AskingStrategy {
    fn step(&mut self, batch: &Batch, wanted: u64, _max: usize, victims: &mut Vec<EntryId>) -> Result<()> {
        self.1.extend(batch.inserted.iter().map(|&id| EntryId(id)));
        self.1.retain(|id| !batch.removed.contains(&id.0));
        victims.extend((self.0)(&self.1, wanted)?);
        self.1.retain(|id| !victims.contains(id));
        Ok(())
    }
}

/// Strategies that break every rule there is.
fn bogus(size_limit: u64) -> Vec<(&'static str, CacheManager)> {
    let ids = |ids: &[EntryId]| ids.to_vec();
    let shifted = |id: &EntryId, by: u32| EntryId::new(id.slot(), id.generation().wrapping_add(by));
    vec![
        ("names all", asking(size_limit, move |all, _| Ok(ids(all)))),
        ("names none", asking(size_limit, |_, _| Ok(Vec::new()))),
        ("names one too few", asking(size_limit, |all, _| Ok(all.iter().take(1).copied().collect()))),
        ("names one often", asking(size_limit, |all, _| Ok(all.first().map_or(vec![], |&id| vec![id; 2000])))),
        (
            "names strangers",
            asking(size_limit, |_, wanted| Ok((0..wanted).map(|id| EntryId(id << 7 | id << 40)).collect())),
        ),
        ("names the past", asking(size_limit, move |all, _| Ok(all.iter().map(|id| shifted(id, u32::MAX)).collect()))),
        ("names the future", asking(size_limit, move |all, _| Ok(all.iter().map(|id| shifted(id, 1)).collect()))),
        ("fails", asking(size_limit, |_, _| Err(Error::internal("trapped")))),
        (
            "fails when it matters",
            asking(size_limit, |all, wanted| match wanted {
                0 => Ok(Vec::new()),
                _ if all.len() > 3 => Err(Error::timeout("took too long")),
                _ => Ok(all.to_vec()),
            }),
        ),
    ]
}

#[derive(Clone, Debug)]
enum Action {
    Insert(usize, usize),
    /// For no time at all.
    InsertExpired(usize),
    Get(usize),
    Remove(usize),
    RemovePrefix(usize),
    Clear,
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        6 => (0..24usize, 0..5000usize).prop_map(|(key, size)| Action::Insert(key, size)),
        6 => (0..24usize).prop_map(Action::Get),
        1 => (0..24usize).prop_map(Action::InsertExpired),
        1 => (0..24usize).prop_map(Action::Remove),
        1 => (0..3usize).prop_map(Action::RemovePrefix),
        1 => Just(Action::Clear),
    ];
    proptest::collection::vec(action, 1..200)
}

/// The most entries in the caches of the model; as many of the smallest would weigh more than their limit.
const MAX_ENTRIES: u64 = 12;

fn holds_to_the_model(name: &str, cache: &CacheManager, size_limit: u64, actions: &[Action]) {
    let mut last: HashMap<usize, Bytes> = HashMap::new();
    let (mut hits, mut misses) = (0, 0);
    let mut known = HashSet::new();
    for (time, action) in actions.iter().enumerate() {
        match *action {
            Action::Insert(number, size) => {
                let bytes = Bytes::from(vec![time as u8; size]);
                cache.insert(entry(number, bytes.clone()));
                last.insert(number, bytes);
                let (found, fits) = (peek(cache, number).is_some(), size <= 4096);
                // quick_cache makes room behind an insertion if it knows the key, and may choose that entry itself.
                let is_refused = name == "default" && !known.insert(number) && fits && !found;
                assert!(found == fits || is_refused, "{name}: what fits is there at once");
            }
            Action::InsertExpired(number) => {
                known.insert(number);
                cache.insert_for(entry(number, "expired"), Duration::ZERO);
                last.remove(&number);
            }
            Action::Get(number) => match get(cache, number) {
                Some(found) => {
                    hits += 1;
                    assert_eq!(Some(&found.bytes), last.get(&number), "{name}");
                    assert_eq!(found.metadata.key, key(number));
                }
                None => misses += 1,
            },
            Action::Remove(number) => {
                cache.remove(&key(number));
                last.remove(&number);
                assert_eq!(peek(cache, number), None, "{name}");
            }
            Action::RemovePrefix(tens) => {
                let of_prefix = |number: &usize| number / 10 == tens;
                let before = cache.stats().entries;
                let removed = cache.remove_prefix(&format!("key-{tens}"));
                last.retain(|number, _| !of_prefix(number));
                assert_eq!(before - cache.stats().entries, removed, "{name}");
                assert!((0..24).filter(of_prefix).all(|number| peek(cache, number).is_none()), "{name}");
            }
            Action::Clear => {
                cache.clear();
                last.clear();
                assert_eq!((cache.stats().entries, cache.stats().weight), (0, 0), "{name}");
            }
        }
        let stats = cache.stats();
        assert!(stats.weight <= size_limit && stats.entries <= MAX_ENTRIES, "{name}: {stats:?}");
        assert_eq!((stats.hits, stats.misses), (hits, misses), "{name}");
    }
    // Looking for one that has expired takes it out.
    let there: Vec<_> = (0..24).filter_map(|number| peek(cache, number)).collect();
    let weight: u64 = there.iter().map(CacheEntry::weight).sum();
    assert_eq!(cache.stats().entries, there.len() as u64, "{name}");
    // The default policy takes a light entry to weigh its share of the limit.
    assert!(cache.stats().weight == weight || name == "default", "{name}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn it_holds_what_was_last_inserted_within_its_limit(actions in actions()) {
        const LIMIT: u64 = 20_000;
        for policy in POLICIES {
            let config = CacheConfig { max_entries: Some(MAX_ENTRIES), ..config(LIMIT, policy) };
            holds_to_the_model(policy, &CacheManager::new(&config).unwrap(), LIMIT, &actions);
        }
        for (name, cache) in bogus(LIMIT) {
            holds_to_the_model(name, &cache, LIMIT, &actions);
        }
    }

    #[test]
    fn lru_and_fifo_drop_exactly_whom_they_should(reads in proptest::collection::vec(0..16usize, 1..400)) {
        let size_limit = 10 * entry(0, "").weight();
        for policy in ["lru", "fifo"] {
            let cache = cache(size_limit, policy);
            let mut model: Vec<usize> = Vec::new();
            for &number in &reads {
                let position = model.iter().position(|&other| other == number);
                assert_eq!(get(&cache, number).is_some(), position.is_some(), "{policy}: {number} of {model:?}");
                match position {
                    Some(position) if policy == "lru" => {
                        model.remove(position);
                        model.push(number);
                    }
                    Some(_) => {}
                    None => {
                        cache.insert(entry(number, ""));
                        if model.len() == 10 {
                            model.remove(0);
                        }
                        model.push(number);
                    }
                }
            }
        }
    }
}

#[test]
fn a_strategy_that_fails_is_replaced_and_nothing_is_lost() {
    let size_limit = 10 * entry(0, "").weight();
    let cache = asking(size_limit, |_, _| Err(Error::internal("trapped")));
    (0..10).for_each(|number| cache.insert(entry(number, "")));
    assert_eq!((cache.stats().entries, cache.stats().failed_strategies), (10, 0));
    cache.insert(entry(10, ""));
    assert_eq!((cache.stats().entries, cache.stats().evictions, cache.stats().failed_strategies), (10, 1, 1));
    let kept: Vec<usize> = (0..10).filter(|&number| get(&cache, number).is_some()).collect();
    assert_eq!(kept.len(), 9);
    cache.insert(entry(11, ""));
    assert_eq!(peek(&cache, 10), None, "the fallback is CLOCK");
}

#[derive(Debug, Default, Clone)]
struct Recorder(Arc<Mutex<Vec<Batch>>>);

impl EvictionStrategyFactory for Recorder {
    fn name(&self) -> &str {
        "recorder"
    }

    fn open(&self, _capacity: u64) -> Result<Box<dyn EvictionStrategy>> {
        Ok(Box::new(self.clone()))
    }
}

impl EvictionStrategy for Recorder {
    fn step(&mut self, batch: &Batch, wanted: u64, _max: usize, victims: &mut Vec<EntryId>) -> Result<()> {
        self.0.lock().push(batch.clone());
        if wanted > 0 {
            victims.push(EntryId(batch.inserted[0]));
        }
        Ok(())
    }
}

#[test]
fn a_step_tells_what_happened_since_the_last() {
    let weight = entry(0, "").weight();
    let recorder = Recorder::default();
    let eviction_policy = EvictionPolicy::Custom(Arc::new(recorder.clone()));
    let cache = CacheManager::new(&CacheConfig { eviction_policy, ..config(3 * weight, "default") }).unwrap();
    (0..3).for_each(|number| cache.insert(entry(number, "")));
    for number in [0, 1, 0] {
        get(&cache, number);
    }
    cache.remove(&key(2));
    // There are reads from before it: told later, they would seem to come behind it.
    cache.insert(entry(3, ""));
    cache.insert(entry(0, ""));
    cache.insert(entry(4, ""));
    let ids = |entries: &[(u32, u32)]| -> Vec<u64> {
        entries.iter().map(|&(slot, generation)| EntryId::new(slot, generation).0).collect()
    };
    let batches = recorder.0.lock().clone();
    let [first, second] = &batches[..] else { panic!("two steps were due, not {batches:?}") };
    assert_eq!(first.inserted, ids(&[(0, 0), (1, 0), (2, 0)]));
    assert_eq!(first.accessed, ids(&[(0, 0), (1, 0), (0, 0)]));
    assert_eq!(first.removed, ids(&[(2, 0)]));
    // A slot is used again once its entry's removal was told, and a replaced entry is one removed.
    assert_eq!(second.inserted, ids(&[(2, 1), (3, 0)]));
    assert_eq!(second.accessed, ids(&[]));
    assert_eq!(second.removed, ids(&[(0, 0)]));
    assert_eq!((&first.weights[..], &second.weights[..]), (&[weight; 3][..], &[weight; 2][..]));
    assert_eq!(second.hashes[1], first.hashes[0], "the same key has the same hash");
    assert_eq!(peek(&cache, 3), None, "the strategy chose it");
}

#[test]
fn an_entry_serves_until_its_time_is_over() {
    for policy in ["default", "lru"] {
        let config = CacheConfig { ttl: Some(Duration::from_millis(30)), ..config(100_000, policy) };
        let cache = CacheManager::new(&config).unwrap();
        cache.insert(entry(1, "x"));
        assert!(get(&cache, 1).is_some());
        sleep(Duration::from_millis(40));
        assert_eq!(get(&cache, 1), None);
        assert_eq!((cache.stats().entries, cache.stats().hits, cache.stats().misses), (0, 1, 1));
    }
}

#[test]
fn what_has_expired_goes_before_what_still_serves() {
    let size_limit = 10 * entry(0, "").weight();
    for policy in POLICIES {
        let cache = cache(size_limit, policy);
        (0..9).for_each(|number| cache.insert(entry(number, "")));
        cache.insert_for(entry(9, ""), Duration::from_millis(1));
        get(&cache, 9);
        sleep(Duration::from_millis(5));
        cache.insert(entry(10, ""));
        let there: Vec<usize> = (0..24).filter(|&number| peek(&cache, number).is_some()).collect();
        assert_eq!((there, cache.stats().evictions), ([0, 1, 2, 3, 4, 5, 6, 7, 8, 10].to_vec(), 0), "{policy}");
    }
}

#[test]
fn what_weighs_nothing_takes_room_too() {
    for name in POLICIES {
        let cache = Cache::new(&CacheOptions { eviction_policy: policy(name), ..CacheOptions::new(10) }).unwrap();
        (0..1000).for_each(|key| cache.insert(key, key, 0));
        assert_eq!((cache.stats().entries, cache.stats().weight), (10, 10), "{name}");
    }
}

#[test]
fn an_absence_is_remembered_for_its_time_and_until_an_object_comes() {
    let config = CacheConfig { negative_ttl: Some(Duration::from_millis(30)), ..config(100_000, "lru") };
    let cache = CacheManager::new(&config).unwrap();
    cache.insert_absent(&key(1));
    assert_eq!(cache.get(&key(1)), Some(Cached::Absent));
    cache.insert(entry(1, "x"));
    assert!(get(&cache, 1).is_some());
    cache.insert_absent(&key(2));
    sleep(Duration::from_millis(40));
    assert_eq!(cache.get(&key(2)), None);
    let without = CacheManager::new(&super::CacheConfig { negative_ttl: None, ..config }).unwrap();
    without.insert_absent(&key(1));
    assert_eq!(without.get(&key(1)), None);
}

#[test]
fn many_readers_and_writers_see_only_what_was_inserted() {
    for policy in POLICIES {
        let cache = cache(40 * 600, policy);
        std::thread::scope(|scope| {
            for thread in 0..4usize {
                let cache = &cache;
                scope.spawn(move || {
                    for round in 0..5_000usize {
                        let number = (round * 7 + thread * 13) % 60;
                        match get(cache, number) {
                            Some(found) => assert_eq!(found.bytes, format!("{number:0100}")),
                            None => cache.insert(entry(number, format!("{number:0100}"))),
                        }
                        if round % 97 == 0 {
                            cache.remove(&key(number));
                        }
                    }
                });
            }
        });
        let stats = cache.stats();
        assert!(stats.weight <= 40 * 600 && stats.hits + stats.misses == 20_000, "{policy}: {stats:?}");
    }
}

/// Reads keys through a cache of ten entries, LRU with another strategy beside it. Keys 0 to 2 are read again and again
/// between a hundred that are read once.
fn monitored(beside: Arc<dyn super::EvictionStrategyFactory>) -> super::Monitored {
    let size_limit = bytesize::ByteSize::b(10 * entry(0, "").weight());
    let config = CacheConfig { eviction_policy: EvictionPolicy::Monitored(beside), ..CacheConfig::new(size_limit) };
    let cache = CacheManager::new(&config).unwrap();
    let read = |number: usize| {
        if get(&cache, number).is_none() {
            cache.insert(entry(number, ""));
        }
    };
    (3..103).for_each(|number| [0, 1, 2, number].into_iter().for_each(read));
    // Reads are told of when something comes in.
    (200..220).for_each(read);
    cache.stats().monitored
}

#[test]
fn a_strategy_beside_itself_would_have_the_same_hits() {
    let seen = monitored(EvictionPolicy::Lru.strategy().unwrap());
    assert_eq!((seen.requests, seen.hits, seen.monitored_hits), (419, 297, 297));
}

#[test]
fn a_strategy_that_does_worse_shows_before_it_decides() {
    let seen = monitored(EvictionPolicy::Fifo.strategy().unwrap());
    assert_eq!(seen.hits, 297);
    assert!((200..290).contains(&seen.monitored_hits), "{seen:?}");
}

#[test]
fn what_is_chosen_ahead_of_need_serves_until_its_room_is_needed() {
    let cache = Cache::new(&CacheOptions { eviction_policy: EvictionPolicy::Lru, ..CacheOptions::new(1000) }).unwrap();
    (0..=1000).for_each(|key| cache.insert(key, key, 1));
    assert_eq!(cache.peek(&0), None);
    assert!((1..=1000).all(|key| cache.peek(&key) == Some(key)), "one had to go, whomever the strategy named with it");
    cache.remove(&1);
    cache.insert(1, 11, 1);
    assert_eq!((cache.stats().entries, cache.stats().evictions), (1000, 1));
    (1001..1015).for_each(|key| cache.insert(key, key, 1));
    assert!((2..16).all(|key| cache.peek(&key).is_none()), "those that were named go first");
    assert_eq!((cache.peek(&1), cache.peek(&16)), (Some(11), Some(16)));
    assert_eq!((cache.stats().entries, cache.stats().evictions), (1000, 15));
}
