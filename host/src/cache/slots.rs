use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;

use super::EvictionStrategyFactory;
use super::chooser::Chooser;
use super::entry::Resident;
use super::hash;
use super::shards::Shards;
use super::table::Table;
use crate::error::Result;
use crate::object::Key;

/// The engine that asks an [`EvictionStrategy`](super::EvictionStrategy) what to drop: shards of slots, each with a
/// strategy and a lock to itself. Reads share the lock.
pub(super) struct SlotEngine {
    shards: Box<[RwLock<Table>]>,
}

impl SlotEngine {
    pub(super) fn new(shards: Shards, factory: Arc<dyn EvictionStrategyFactory>) -> Result<Self> {
        let open = |_| {
            let chooser = Chooser::open(Arc::clone(&factory), shards.capacity)?;
            Ok(RwLock::new(Table::new(shards.capacity, chooser)))
        };
        Ok(Self { shards: (0..shards.count).map(open).collect::<Result<_>>()? })
    }

    /// The index of a shard's table uses the lowest and the highest bits of the hash; the shard is chosen by others.
    fn shard(&self, hash: u64) -> &RwLock<Table> {
        &self.shards[(hash >> 32) as usize % self.shards.len()]
    }

    pub(super) fn get(&self, key: &Key) -> Option<Resident> {
        let hash = hash::hash(key);
        let shard = self.shard(hash);
        let (resident, log_is_full) = shard.read().read(hash, key)?;
        if log_is_full && let Some(mut table) = shard.try_write() {
            table.tell_reads();
        }
        Some(resident)
    }

    pub(super) fn insert(&self, resident: Resident) {
        let hash = hash::hash(resident.key());
        self.shard(hash).write().insert(hash, resident);
    }

    pub(super) fn remove(&self, key: &Key) -> Option<Resident> {
        let hash = hash::hash(key);
        self.shard(hash).write().remove_if(hash, key, |_| true)
    }

    pub(super) fn remove_expired(&self, key: &Key) {
        let hash = hash::hash(key);
        self.shard(hash).write().remove_if(hash, key, Resident::is_expired);
    }

    pub(super) fn clear(&self) {
        self.shards.iter().for_each(|shard| shard.write().clear());
    }

    pub(super) fn len(&self) -> u64 {
        self.shards.iter().map(|shard| shard.read().len() as u64).sum()
    }

    pub(super) fn weight(&self) -> u64 {
        self.shards.iter().map(|shard| shard.read().weight()).sum()
    }

    pub(super) fn evictions(&self) -> u64 {
        self.shards.iter().map(|shard| shard.read().evictions()).sum()
    }

    /// How many shards go on with a native strategy since theirs failed.
    pub(super) fn failed_strategies(&self) -> u64 {
        self.shards.iter().filter(|shard| shard.read().strategy_failed()).count() as u64
    }
}

impl fmt::Debug for SlotEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotEngine").field("entries", &self.len()).field("weight", &self.weight()).finish()
    }
}
