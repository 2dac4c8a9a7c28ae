use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};

use super::entry::Resident;
use super::hash;
use super::shards::Shards;
use crate::error::{Error, Result};
use crate::object::Key;

/// The default engine: the crate `quick_cache`, weighing by bytes.
pub(super) struct QuickEngine {
    cache: Cache<Key, Resident, ByWeight, DefaultHashBuilder, CountEvictions>,
    evictions: Arc<AtomicU64>,
}

/// What an entry is taken to weigh when `quick_cache` sizes its memory of dropped keys. It may be off by an order of
/// magnitude or two.
const TYPICAL_WEIGHT: u64 = 16 * 1024;

impl QuickEngine {
    pub(super) fn new(shards: Shards) -> Result<Self> {
        let capacity = shards.capacity * shards.count as u64;
        let options = OptionsBuilder::new()
            .weight_capacity(capacity)
            .estimated_items_capacity(usize::try_from(capacity / TYPICAL_WEIGHT).unwrap_or(usize::MAX).max(1))
            .shards(shards.count)
            .build()
            .map_err(|error| Error::internal(format!("quick_cache does not take its options: {error}")))?;
        let evictions = Arc::new(AtomicU64::new(0));
        let lifecycle = CountEvictions(Arc::clone(&evictions));
        Ok(Self { cache: Cache::with_options(options, ByWeight, hash::builder(), lifecycle), evictions })
    }

    pub(super) fn get(&self, key: &Key) -> Option<Resident> {
        self.cache.get(key)
    }

    pub(super) fn insert(&self, key: Key, resident: Resident) {
        self.cache.insert(key, resident);
    }

    pub(super) fn remove(&self, key: &Key) -> Option<Resident> {
        self.cache.remove(key).map(|(_, resident)| resident)
    }

    pub(super) fn remove_expired(&self, key: &Key) {
        self.cache.remove_if(key, Resident::is_expired);
    }

    pub(super) fn clear(&self) {
        self.cache.clear();
    }

    pub(super) fn len(&self) -> u64 {
        self.cache.len() as u64
    }

    pub(super) fn weight(&self) -> u64 {
        self.cache.weight()
    }

    pub(super) fn evictions(&self) -> u64 {
        self.evictions.load(Relaxed)
    }
}

impl fmt::Debug for QuickEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuickEngine").field("entries", &self.len()).field("weight", &self.weight()).finish()
    }
}

#[derive(Clone)]
struct ByWeight;

impl Weighter<Key, Resident> for ByWeight {
    fn weight(&self, _key: &Key, resident: &Resident) -> u64 {
        resident.weight
    }
}

#[derive(Clone)]
struct CountEvictions(Arc<AtomicU64>);

impl Lifecycle<Key, Resident> for CountEvictions {
    type RequestState = ();

    fn on_evict(&self, _state: &mut (), _key: Key, _resident: Resident) {
        self.0.fetch_add(1, Relaxed);
    }
}
