use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use parking_lot::Mutex;

use crate::object::{Key, Timestamp, timestamp_from_millis};

/// How many locks there are.
const SHARDS: usize = 64;
/// How many keys each of them has at most, together 131,072.
const KEYS: usize = 2048;

/// A minute in which something was read, by its number since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Minute(pub(super) u32);

impl Minute {
    /// In the place of one: the object is not there any more.
    pub(super) const FORGOTTEN: Self = Self(0);

    /// The minute that a moment is in.
    pub(super) fn ending_after(moment: Timestamp) -> Self {
        Self(u32::try_from(moment.timestamp() / 60 + 1).unwrap_or(u32::MAX))
    }

    /// Its end: what was read in it was read no later.
    pub(super) fn end(self) -> Timestamp {
        timestamp_from_millis(u64::from(self.0) * 60_000)
    }
}

/// How much room there is for further keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Enough,
    /// For about as many as there are.
    Filling,
    /// There was none for this one.
    None,
}

/// When keys were read, as long as nobody has written it down. Each shard is locked for a look-up, never over more.
#[derive(Debug)]
pub(super) struct Table {
    shards: Box<[Mutex<HashMap<Key, Minute>>]>,
    hasher: RandomState,
}

impl Default for Table {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }
}

impl Table {
    fn shard(&self, key: &Key) -> &Mutex<HashMap<Key, Minute>> {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }

    pub(super) fn note(&self, key: &Key, minute: Minute) -> Room {
        let mut shard = self.shard(key).lock();
        if let Some(noted) = shard.get_mut(key) {
            *noted = minute.max(*noted);
            return Room::Enough;
        }
        if shard.len() >= KEYS {
            return Room::None;
        }
        shard.insert(key.clone(), minute);
        if shard.len() > KEYS / 2 { Room::Filling } else { Room::Enough }
    }

    /// Where there is no room, something is known of an object that is not there; that does no harm.
    pub(super) fn forget(&self, key: &Key) {
        let mut shard = self.shard(key).lock();
        if shard.len() < KEYS || shard.contains_key(key) {
            shard.insert(key.clone(), Minute::FORGOTTEN);
        }
    }

    pub(super) fn get(&self, key: &Key) -> Option<Minute> {
        self.shard(key).lock().get(key).copied()
    }

    pub(super) fn all(&self) -> Vec<(Key, Minute)> {
        let all = self.shards.iter().flat_map(|shard| {
            let shard = shard.lock();
            shard.iter().map(|(key, minute)| (key.clone(), *minute)).collect::<Vec<_>>()
        });
        all.collect()
    }

    /// Removes those of which nothing else was noted since.
    pub(super) fn remove(&self, written: &[(Key, Minute)]) {
        for (key, minute) in written {
            let mut shard = self.shard(key).lock();
            if shard.get(key) == Some(minute) {
                shard.remove(key);
            }
        }
    }
}
