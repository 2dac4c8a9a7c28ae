use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::RwLock;

use super::chooser::Chooser;
use super::hash::hash;
use super::stored::Stored;
use super::table::{Limits, Table};
use crate::cache::{EvictionStrategyFactory, Steps};
use crate::error::Result;

/// The engine that asks an [`EvictionStrategy`](crate::cache::EvictionStrategy) what to drop: shards of slots, each with
/// a strategy and a lock to itself. Reads share the lock.
pub(in crate::cache) struct SlotEngine<K, V> {
    shards: Box<[RwLock<Table<K, V>>]>,
}

impl<K: Eq + Hash, V: Clone> SlotEngine<K, V> {
    /// So many shards of these limits.
    ///
    /// # Errors
    /// Those of the factory.
    pub(in crate::cache) fn new(
        shards: usize,
        limits: Limits,
        steps: Steps,
        factory: &Arc<dyn EvictionStrategyFactory>,
    ) -> Result<Self> {
        let open = |_| {
            let chooser = Chooser::open(Arc::clone(factory), limits.weight)?;
            Ok(RwLock::new(Table::new(limits, steps, chooser)))
        };
        Ok(Self { shards: (0..shards).map(open).collect::<Result<_>>()? })
    }

    /// The index of a shard's table uses the lowest and the highest bits of the hash; the shard is chosen by others. Their
    /// number is a power of two.
    #[inline]
    fn shard(&self, hash: u64) -> &RwLock<Table<K, V>> {
        &self.shards[(hash >> 32) as usize & (self.shards.len() - 1)]
    }

    #[inline]
    pub(in crate::cache) fn get(&self, key: &K) -> Option<Stored<V>> {
        let hash = hash(key);
        let shard = self.shard(hash);
        let table = shard.read();
        let (stored, log_is_full) = table.read(hash, key)?;
        let stored = stored.clone();
        drop(table);
        if log_is_full && let Some(mut table) = shard.try_write() {
            table.tell_reads();
        }
        Some(stored)
    }

    pub(in crate::cache) fn insert(&self, key: K, stored: Stored<V>) {
        let hash = hash(&key);
        self.shard(hash).write().insert(hash, key, stored);
    }

    pub(in crate::cache) fn remove(&self, key: &K) -> Option<Stored<V>> {
        let hash = hash(key);
        self.shard(hash).write().remove_if(hash, key, |_| true)
    }

    pub(in crate::cache) fn remove_expired(&self, key: &K) {
        let hash = hash(key);
        self.shard(hash).write().remove_if(hash, key, Stored::is_expired);
    }

    pub(in crate::cache) fn remove_all(&self, wanted: impl Fn(&K) -> bool) -> u64 {
        self.shards.iter().map(|shard| shard.write().remove_all(&wanted)).sum()
    }

    pub(in crate::cache) fn len(&self) -> u64 {
        self.shards.iter().map(|shard| shard.read().len() as u64).sum()
    }

    pub(in crate::cache) fn weight(&self) -> u64 {
        self.shards.iter().map(|shard| shard.read().weight()).sum()
    }

    pub(in crate::cache) fn evictions(&self) -> u64 {
        self.shards.iter().map(|shard| shard.read().evictions()).sum()
    }

    /// How many shards go on with a native strategy since theirs failed.
    pub(in crate::cache) fn failed_strategies(&self) -> u64 {
        self.shards.iter().filter(|shard| shard.read().strategy_failed()).count() as u64
    }
}

impl<K, V> fmt::Debug for SlotEngine<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotEngine").field("shards", &self.shards.len()).finish_non_exhaustive()
    }
}
