use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};

use super::expiries::Expiries;
use super::hash;
use super::moment::Moment;
use super::stored::Stored;
use crate::counter::Counter;
use crate::error::{Error, Result};

/// The default engine: the crate `quick_cache`.
pub(in crate::cache) struct QuickEngine<K, V> {
    cache: Cache<K, Stored<V>, ByWeight, DefaultHashBuilder, CountEvictions>,
    evictions: Arc<Counter>,
    /// What one entry weighs at least, so that no more fit than may be there.
    least_weight: u64,
    /// Whether an entry that expires was ever put in.
    expires: AtomicBool,
    /// Its lock is taken before those of the cache.
    expiries: Mutex<Expiries<K>>,
}

impl<K: Clone + Eq + Hash, V: Clone> QuickEngine<K, V> {
    /// An empty cache. `estimated_entries` is how many it is taken to hold when it sizes its memory of dropped keys, and
    /// may be off by an order of magnitude or two.
    pub(in crate::cache) fn new(
        shards: usize,
        capacity: u64,
        max_entries: Option<u64>,
        estimated_entries: u64,
    ) -> Result<Self> {
        let options = OptionsBuilder::new()
            .weight_capacity(capacity)
            .estimated_items_capacity(usize::try_from(estimated_entries).unwrap_or(usize::MAX).max(1))
            .shards(shards)
            .build()
            .map_err(|error| Error::internal(format!("quick_cache does not take its options: {error}")))?;
        let evictions = Arc::<Counter>::default();
        let lifecycle = CountEvictions(Arc::clone(&evictions));
        Ok(Self {
            cache: Cache::with_options(options, ByWeight, hash::builder(), lifecycle),
            evictions,
            least_weight: max_entries.map_or(1, |most| capacity.div_ceil(most.max(1))).max(1),
            expires: AtomicBool::new(false),
            expiries: Mutex::new(Expiries::new()),
        })
    }

    #[inline]
    pub(in crate::cache) fn get(&self, key: &K) -> Option<Stored<V>> {
        self.cache.get(key)
    }

    #[inline]
    pub(in crate::cache) fn insert(&self, key: K, stored: Stored<V>) {
        if stored.expires_at.is_some() || self.expires.load(Relaxed) {
            self.note_expiry(&key, stored.expires_at);
        }
        self.cache.insert(key, Stored { weight: stored.weight.max(self.least_weight), ..stored });
    }

    /// Takes out what has expired, before anything is dropped to make room for what comes in.
    fn note_expiry(&self, key: &K, expires_at: Option<Moment>) {
        self.expires.store(true, Relaxed);
        let mut expiries = self.expiries.lock();
        let now = Moment::now();
        while let Some(expired) = expiries.pop(now) {
            self.remove_expired(&expired);
        }
        if let Some(at) = expires_at {
            expiries.push(at, key.clone(), self.cache.len(), |key, at| {
                self.cache.peek(key).is_some_and(|stored| stored.expires_at == Some(at))
            });
        }
    }

    pub(in crate::cache) fn remove(&self, key: &K) -> Option<Stored<V>> {
        self.cache.remove(key).map(|(_, stored)| stored)
    }

    pub(in crate::cache) fn remove_expired(&self, key: &K) {
        self.cache.remove_if(key, Stored::is_expired);
    }

    pub(in crate::cache) fn remove_all(&self, wanted: impl Fn(&K) -> bool) -> u64 {
        let removed = AtomicU64::new(0);
        self.cache.retain(|key, _| {
            let goes = wanted(key);
            removed.fetch_add(goes.into(), Relaxed);
            !goes
        });
        removed.into_inner()
    }

    pub(in crate::cache) fn clear(&self) {
        self.cache.clear();
        self.expiries.lock().clear();
    }

    pub(in crate::cache) fn len(&self) -> u64 {
        self.cache.len() as u64
    }

    pub(in crate::cache) fn weight(&self) -> u64 {
        self.cache.weight()
    }

    pub(in crate::cache) fn evictions(&self) -> u64 {
        self.evictions.events()
    }
}

impl<K, V> fmt::Debug for QuickEngine<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuickEngine").finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct ByWeight;

impl<K, V> Weighter<K, Stored<V>> for ByWeight {
    fn weight(&self, _key: &K, stored: &Stored<V>) -> u64 {
        stored.weight
    }
}

#[derive(Clone)]
struct CountEvictions(Arc<Counter>);

impl<K, V> Lifecycle<K, Stored<V>> for CountEvictions {
    type RequestState = ();

    fn on_evict(&self, _state: &mut (), _key: K, _stored: Stored<V>) {
        self.0.count();
    }
}
