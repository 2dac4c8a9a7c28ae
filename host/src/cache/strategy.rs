use std::fmt;

use crate::error::Result;

/// Names an entry of a shard: no other entry of that shard has or will have the same.
///
/// The low 32 bits are a dense slot number, which is used again, with another generation in the high bits, once the
/// entry is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct EntryId(pub u64);

impl EntryId {
    /// The entry in `slot`, in its `generation`.
    pub fn new(slot: u32, generation: u32) -> Self {
        Self(u64::from(generation) << 32 | u64::from(slot))
    }

    /// Where a strategy may keep what it knows of the entry.
    pub fn slot(self) -> u32 {
        self.0 as u32
    }

    /// How often the slot was used before.
    pub fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// What happened in a shard since the last step, in columns. Within a step: first all of `inserted`, then all of
/// `accessed`, then all of `removed`, each in the order in which it happened.
///
/// A slot can pass to another entry within one batch: the entry that had it is then among `removed`, or was a victim
/// before.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Entries that came in.
    pub inserted: Vec<u64>,
    /// For each of `inserted`, a hash of its key: the same for the same key as long as the host runs.
    pub hashes: Vec<u64>,
    /// For each of `inserted`, its weight in the unit of the capacity; at least 1.
    pub weights: Vec<u64>,
    /// Entries that were read; may be a sample.
    pub accessed: Vec<u64>,
    /// Entries that went for another reason than the strategy's choice.
    pub removed: Vec<u64>,
}

impl Batch {
    /// Empties the columns and keeps their room.
    pub fn clear(&mut self) {
        let Self { inserted, hashes, weights, accessed, removed } = self;
        for column in [inserted, hashes, weights, accessed, removed] {
            column.clear();
        }
    }

    /// How many events it holds.
    pub fn len(&self) -> usize {
        self.inserted.len() + self.accessed.len() + self.removed.len()
    }

    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Chooses what one shard of a cache drops. Each shard has a strategy to itself.
pub trait EvictionStrategy: fmt::Debug + Send + 'static {
    /// Takes note of what happened, then appends to `victims` entries to drop, and forgets them: their weights together
    /// are at least `wanted` and without the last one less, there are at most `max_victims`, each is resident and named
    /// once. With `wanted` 0 it appends none.
    ///
    /// The cache holds it to this: it drops only residents, tops up too few, and cuts off too many. The contract in
    /// [`contract::eviction`](crate::contract::eviction) is the same as code.
    ///
    /// # Errors
    /// A plugin's failure. The strategy is then of no more use, and the cache goes on with another.
    fn step(&mut self, batch: &Batch, wanted: u64, max_victims: usize, victims: &mut Vec<EntryId>) -> Result<()>;

    /// What it remembers of keys, resident or gone, for the strategy that takes its place when it is reloaded: hashes and
    /// sketches, never ids. Empty if there is nothing. Later steps choose as if it had not been asked.
    ///
    /// # Errors
    /// A plugin's failure. The strategy is then of no more use.
    fn snapshot(&mut self) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }

    /// Takes over what another strategy, of this kind or not, handed out by [`snapshot`](Self::snapshot); ignores what it
    /// does not understand. Called at most once, before the first step; then all residents are told of as inserted.
    ///
    /// # Errors
    /// A plugin's failure. The strategy is then of no more use.
    fn restore(&mut self, _memory: &[u8]) -> Result<()> {
        Ok(())
    }
}

/// Makes a strategy for each shard.
pub trait EvictionStrategyFactory: fmt::Debug + Send + Sync + 'static {
    /// What the strategies are called, for people: the word in the configuration.
    fn name(&self) -> &str;

    /// A strategy for a shard whose weights may sum to `capacity`.
    ///
    /// # Errors
    /// A plugin that can not be instantiated, or does not take its settings.
    fn open(&self, capacity: u64) -> Result<Box<dyn EvictionStrategy>>;

    /// Changes when strategies that were opened before are to give way to fresh ones, as a plugin was replaced.
    fn generation(&self) -> u64 {
        0
    }
}
