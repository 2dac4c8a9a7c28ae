use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

use super::flight::{Flight, Landing};
use crate::cache::{CacheEntry, CacheManager, Cached};
use crate::error::Error;
use crate::object::Key;

/// Sees to it that the cache never returns what the provider lost or replaced, and that many who miss the same key
/// load it once.
///
/// Keys fall into stripes. A write takes the entry out of the cache before the provider hears of it, and an entry
/// goes in, whether from a write or a load, only if on its stripe no write began, ended or is under way since the
/// write or load itself began. Since every change of an object is such a write, what goes in is what the provider has.
/// That two keys may share a stripe costs at worst an entry that could have gone in.
pub(super) struct Coherence {
    cache: CacheManager,
    /// Each lock is held for a look and a change of the cache, never over an await; the cache's own locks are taken
    /// below it.
    stripes: Box<[Mutex<Stripe>]>,
    hasher: RandomState,
    flight_ids: AtomicU64,
}

#[derive(Default)]
struct Stripe {
    /// Changes whenever a write begins or ends, and when what was read before is to be forgotten.
    sequence: u64,
    /// How many writes are under way.
    writers: u32,
    /// The loads under way that a reader may still join: those that began after the last write of their key ended.
    flights: HashMap<Key, Flight>,
}

impl Stripe {
    /// Whether what was read when the sequence was this one is what the provider has.
    fn is_current(&self, sequence: u64) -> bool {
        self.sequence == sequence && self.writers == 0
    }
}

const STRIPES: usize = 256;

/// What a reader that missed is to do.
pub(super) enum Lookup {
    /// Nothing: a load has landed meanwhile.
    Hit(Cached),
    /// Wait for a load that is under way.
    Join(watch::Receiver<Option<Landing>>),
    /// Run this load, and wait for it as everyone else.
    Start(Load, watch::Receiver<Option<Landing>>),
}

impl Coherence {
    pub(super) fn new(cache: CacheManager) -> Self {
        let stripes = (0..STRIPES).map(|_| Mutex::default()).collect();
        Self { cache, stripes, hasher: RandomState::new(), flight_ids: AtomicU64::new(0) }
    }

    pub(super) fn cache(&self) -> &CacheManager {
        &self.cache
    }

    fn stripe(&self, key: &Key) -> MutexGuard<'_, Stripe> {
        let index = self.hasher.hash_one(key) as usize % STRIPES;
        self.stripes[index].lock()
    }

    /// Announces a write of `key`, which is under way until the answer is finished or dropped.
    pub(super) fn begin_write(self: &Arc<Self>, key: &Key) -> Write {
        let mut stripe = self.stripe(key);
        stripe.sequence += 1;
        stripe.writers += 1;
        stripe.flights.remove(key);
        let replaced = self.cache.remove(key);
        let sequence = stripe.sequence;
        drop(stripe);
        Write { coherence: Arc::clone(self), key: key.clone(), sequence, replaced }
    }

    /// Finds out what a reader that missed `key` is to do.
    pub(super) fn look_up(self: &Arc<Self>, key: &Key) -> Lookup {
        let mut stripe = self.stripe(key);
        if let Some(flight) = stripe.flights.get(key) {
            return Lookup::Join(flight.landing.clone());
        }
        if let Some(cached) = self.cache.peek(key) {
            return Lookup::Hit(cached);
        }
        let (sender, receiver) = watch::channel(None);
        let id = self.flight_ids.fetch_add(1, Relaxed);
        stripe.flights.insert(key.clone(), Flight { id, landing: receiver.clone() });
        let sequence = stripe.sequence;
        drop(stripe);
        Lookup::Start(Load { coherence: Arc::clone(self), key: key.clone(), sequence, id, sender }, receiver)
    }

    /// Asks the provider about a key without loading it: if it answers that there is no object, that is remembered, unless
    /// a write may have brought one meanwhile.
    pub(super) async fn ask<T>(&self, key: &Key, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let sequence = self.stripe(key).sequence;
        let answer = call.await;
        if let Err(Error::NotFound { .. }) = answer {
            let stripe = self.stripe(key);
            if stripe.is_current(sequence) {
                self.cache.insert_absent(key);
            }
        }
        answer
    }

    /// Forgets what is known of a key, and says whether anything was; no load that began before brings it back.
    pub(super) fn invalidate(&self, key: &Key) -> bool {
        let mut stripe = self.stripe(key);
        stripe.sequence += 1;
        stripe.flights.remove(key);
        self.cache.forget(key)
    }

    /// As [`invalidate`](Self::invalidate), for all keys that begin with `prefix`. Returns of how many something was known.
    pub(super) fn invalidate_prefix(&self, prefix: &str) -> u64 {
        for stripe in &self.stripes {
            let mut stripe = stripe.lock();
            stripe.sequence += 1;
            stripe.flights.retain(|key, _| !key.as_str().starts_with(prefix));
        }
        self.cache.remove_prefix(prefix)
    }
}

impl fmt::Debug for Coherence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coherence").field("cache", &self.cache).finish_non_exhaustive()
    }
}

/// A write under way. Dropping it ends the write, and leaves the cache without an entry for the key.
pub(super) struct Write {
    coherence: Arc<Coherence>,
    key: Key,
    /// That of the stripe when the write had begun.
    sequence: u64,
    /// The entry that the cache had for the key.
    pub(super) replaced: Option<CacheEntry>,
}

impl Write {
    /// Ends the write and caches its result, if no other write could have come behind it.
    pub(super) fn finish(mut self, entry: Option<CacheEntry>) {
        self.end(entry);
    }

    fn end(&mut self, entry: Option<CacheEntry>) {
        let coherence = &self.coherence;
        let mut stripe = coherence.stripe(&self.key);
        let alone = stripe.sequence == self.sequence && stripe.writers == 1;
        if let Some(entry) = entry.filter(|_| alone) {
            coherence.cache.insert(entry);
        }
        stripe.sequence += 1;
        stripe.writers -= 1;
        stripe.flights.remove(&self.key);
        self.sequence = ENDED;
    }
}

/// The sequence of a write that has ended: no stripe gets there.
const ENDED: u64 = u64::MAX;

impl Drop for Write {
    fn drop(&mut self) {
        if self.sequence != ENDED {
            self.end(None);
        }
    }
}

/// A load under way. Dropping it tells those who wait that nothing will come.
pub(super) struct Load {
    coherence: Arc<Coherence>,
    pub(super) key: Key,
    /// That of the stripe when the load began.
    sequence: u64,
    id: u64,
    sender: watch::Sender<Option<Landing>>,
}

impl Load {
    /// Caches what was loaded, unless a write may have replaced it, and hands it to all who wait.
    pub(super) fn land(self, landing: Landing) {
        {
            let mut stripe = self.coherence.stripe(&self.key);
            match &landing {
                _ if !stripe.is_current(self.sequence) => {}
                Landing::Whole(entry) => self.coherence.cache.insert(entry.clone()),
                Landing::Failed(Error::NotFound { .. }) => self.coherence.cache.insert_absent(&self.key),
                Landing::Failed(_) | Landing::Stream(_) => {}
            }
            self.leave(&mut stripe);
        }
        self.sender.send_replace(Some(landing));
    }

    /// Lets nobody join any more.
    fn leave(&self, stripe: &mut Stripe) {
        if stripe.flights.get(&self.key).is_some_and(|flight| flight.id == self.id) {
            stripe.flights.remove(&self.key);
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let mut stripe = self.coherence.stripe(&self.key);
        self.leave(&mut stripe);
    }
}
