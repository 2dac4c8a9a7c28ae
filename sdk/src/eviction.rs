//! What a cache drops: the trait of a strategy, the loop that runs one over the host's batches, and what to build one of.

mod queues;
mod restored;

use serde::de::DeserializeOwned;

use crate::error::Result;
use crate::log;

pub use queues::Queues;
pub use restored::Restored;

/// Names a resident entry of a shard: no other entry of that shard has or will have the same.
///
/// The low 32 bits are a dense slot number, which is used again, with another generation in the high bits, once the entry
/// is gone: keep what you know of an entry in a `Vec` indexed by [`slot`](EntryId::slot).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId(pub u64);

impl EntryId {
    /// Where a strategy may keep what it knows of the entry.
    pub const fn slot(self) -> usize {
        self.0 as u32 as usize
    }
}

/// Chooses what one shard of a cache drops. Each shard has an instance of the plugin to itself.
///
/// The host sends what happened in batches; the SDK takes them apart, so a strategy hears of one entry at a time, and
/// only of such as make sense: `on_access` and `on_remove` are called for residents alone, and the resident of a slot is
/// removed before another one is inserted there.
///
/// First in, first out:
///
/// ```
/// use std::collections::VecDeque;
///
/// use larder_sdk::{EntryId, EvictionStrategy, Result};
///
/// #[derive(Default)]
/// struct Fifo { queue: VecDeque<EntryId> }
///
/// impl EvictionStrategy for Fifo {
///     type Config = ();
///
///     fn open(_config: (), _capacity: u64) -> Result<Self> {
///         Ok(Self::default())
///     }
///
///     fn on_insert(&mut self, id: EntryId, _hash: u64, _weight: u64) {
///         self.queue.push_back(id);
///     }
///
///     fn on_access(&mut self, _id: EntryId) {}
///
///     fn on_remove(&mut self, id: EntryId) {
///         self.queue.retain(|&queued| queued != id);
///     }
///
///     fn victim(&mut self) -> Option<EntryId> {
///         self.queue.pop_front()
///     }
/// }
///
/// larder_sdk::export!(eviction: Fifo);
///
/// // Its test: a shard as the host would drive it.
/// use larder_sdk::eviction::{Batch, Shard};
///
/// let mut shard = Shard::new(Fifo::open((), 10).unwrap());
/// let batch = Batch { inserted: &[0, 1, 2], hashes: &[7, 8, 9], weights: &[5, 5, 5], ..Batch::default() };
/// assert_eq!(shard.step(batch, 6, 64), [0, 1]);
/// ```
pub trait EvictionStrategy: Sized + 'static {
    /// What the operator writes under `config` for this plugin. Put `#[serde(deny_unknown_fields)]` on it, so that a
    /// misspelt key is an error; see [`config`](crate::config) for what no configuration at all means.
    type Config: DeserializeOwned;

    /// Prepares this instance for a shard whose weights may sum to `capacity`. Called once, before all else.
    ///
    /// # Errors
    /// Any failure means that the plugin can not work with the configuration, and refuses the plugin.
    fn open(config: Self::Config, capacity: u64) -> Result<Self>;

    /// An entry came in. `hash` is that of its key: the same key has the same one as long as the host runs, so a strategy
    /// can remember keys that it dropped. `weight` is in the unit of the capacity, and at least 1.
    fn on_insert(&mut self, id: EntryId, hash: u64, weight: u64);

    /// A resident entry was read.
    fn on_access(&mut self, id: EntryId);

    /// A resident entry went for another reason than this strategy's choice.
    fn on_remove(&mut self, id: EntryId);

    /// Chooses the entry to drop next, and forgets it: it does not come to [`on_remove`](Self::on_remove). `None` if no
    /// entry is left.
    fn victim(&mut self) -> Option<EntryId>;

    /// What this instance remembers of keys, for the one that takes over when the plugin is reloaded: hashes,
    /// frequencies, sketches, and never an [`EntryId`], whose slot may be another's by then. At most 64 bytes for each of
    /// the entries that were there when they were most, and 4 KiB besides. Unless it is implemented, nothing.
    ///
    /// Begin it with a name of its form, so that [`restore`](Self::restore) knows it again.
    fn snapshot(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Takes over what another instance remembered, before anything comes in; then all residents are inserted, in the order
    /// of their [`restored_place`](Self::restored_place). Another version of the plugin may have written it, with another configuration or capacity: ignore
    /// what makes no sense, and do not panic.
    fn restore(&mut self, _memory: &[u8]) {}

    /// Where among the residents the key stood that has this hash, if [`restore`](Self::restore) told. The host does not
    /// know of an order, so the SDK has residents come in again in this one, and behind them those that have no place.
    fn restored_place(&self, _hash: u64) -> Option<usize> {
        None
    }
}

/// What happened in a shard since the last step, in columns. Within a step: first all of `inserted`, then all of
/// `accessed`, then all of `removed`, each in the order in which it happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Batch<'a> {
    /// Entries that came in.
    pub inserted: &'a [u64],
    /// For each of `inserted`, a hash of its key.
    pub hashes: &'a [u64],
    /// For each of `inserted`, its weight.
    pub weights: &'a [u64],
    /// Entries that were read.
    pub accessed: &'a [u64],
    /// Entries that went for another reason than the strategy's choice.
    pub removed: &'a [u64],
}

/// Runs a strategy over batches: what stands between the plugin interface and the trait.
#[derive(Debug)]
pub struct Shard<S> {
    strategy: S,
    /// By slot, the entry there, or [`EMPTY`]. Reads, which are most of what happens, look at nothing else.
    residents: Vec<u64>,
    /// By slot, the weight of the entry there.
    weights: Vec<u64>,
    /// After the strategy was restored, the residents that the host told of, each with its hash, until something else
    /// happens: they are put in order before the strategy hears of them.
    replayed: Option<Vec<(EntryId, u64)>>,
}

/// How many residents are put in order at once: more would make a long step of it.
const MOST_REPLAYED: usize = 32_768;

/// No entry: its slot would be behind the last that there can be.
const EMPTY: u64 = u64::MAX;

impl<S: EvictionStrategy> Shard<S> {
    /// An empty shard.
    pub const fn new(strategy: S) -> Self {
        Self { strategy, residents: Vec::new(), weights: Vec::new(), replayed: None }
    }

    /// The strategy, for a test to look into.
    pub const fn strategy(&self) -> &S {
        &self.strategy
    }

    /// Tells the strategy what happened, then asks it for victims until their weights sum to `wanted`, there are
    /// `max_victims`, or it has no more.
    pub fn step(&mut self, events: Batch<'_>, wanted: u64, max_victims: usize) -> Vec<u64> {
        for ((&id, &hash), &weight) in events.inserted.iter().zip(events.hashes).zip(events.weights) {
            self.insert(EntryId(id), hash, weight.max(1));
        }
        if wanted > 0 || !events.accessed.is_empty() || !events.removed.is_empty() {
            self.end_replay();
        }
        // The host can interrupt every round of a loop, which costs as much as a read does: so a round takes several.
        let (rounds, rest) = events.accessed.as_chunks::<8>();
        for round in rounds {
            for &id in round {
                self.access(EntryId(id));
            }
        }
        for &id in rest {
            self.access(EntryId(id));
        }
        for &id in events.removed {
            self.remove(EntryId(id));
        }
        let mut victims = Vec::new();
        let mut freed = 0;
        while freed < wanted && victims.len() < max_victims {
            let Some(victim) = self.strategy.victim() else { break };
            if !self.is_resident(victim) {
                log::error!("the strategy chose {victim:?}, which is not resident");
                break;
            }
            self.residents[victim.slot()] = EMPTY;
            victims.push(victim.0);
            freed = self.weights[victim.slot()].saturating_add(freed);
        }
        victims
    }

    /// What the strategy remembers of keys.
    pub fn snapshot(&mut self) -> Vec<u8> {
        self.end_replay();
        self.strategy.snapshot()
    }

    /// Has the strategy take over what another one remembered, before the first step.
    pub fn restore(&mut self, memory: &[u8]) {
        self.strategy.restore(memory);
        self.replayed = Some(Vec::new());
    }

    /// Tells the strategy of residents that come in again, in the order in which they stood.
    fn tell_replayed(&mut self) {
        let Some(mut replayed) = self.replayed.as_mut().map(std::mem::take) else { return };
        replayed.sort_by_cached_key(|(_, hash)| self.strategy.restored_place(*hash).unwrap_or(usize::MAX));
        for (id, hash) in replayed {
            self.strategy.on_insert(id, hash, self.weights[id.slot()]);
        }
    }

    fn end_replay(&mut self) {
        self.tell_replayed();
        self.replayed = None;
    }

    fn insert(&mut self, id: EntryId, hash: u64, weight: u64) {
        if id.slot() >= self.residents.len() {
            self.residents.resize(id.slot() + 1, EMPTY);
            self.weights.resize(id.slot() + 1, 0);
        }
        // A slot that was used again within one batch: the removal of the former resident stands further down in it.
        let former = self.residents[id.slot()];
        if former != EMPTY {
            self.end_replay();
            self.strategy.on_remove(EntryId(former));
        }
        (self.residents[id.slot()], self.weights[id.slot()]) = (id.0, weight);
        match &mut self.replayed {
            None => self.strategy.on_insert(id, hash, weight),
            Some(replayed) => {
                replayed.push((id, hash));
                if replayed.len() >= MOST_REPLAYED {
                    self.tell_replayed();
                }
            }
        }
    }

    fn access(&mut self, id: EntryId) {
        if self.is_resident(id) {
            self.strategy.on_access(id);
        }
    }

    fn remove(&mut self, id: EntryId) {
        if self.is_resident(id) {
            self.residents[id.slot()] = EMPTY;
            self.strategy.on_remove(id);
        }
    }

    fn is_resident(&self, id: EntryId) -> bool {
        self.residents.get(id.slot()) == Some(&id.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes down what it hears, and names victims from a list.
    #[derive(Default)]
    struct Recorder {
        heard: Vec<String>,
        victims: Vec<u64>,
        /// Of residents that come in again, the hashes in order.
        restored: Vec<u8>,
    }

    impl EvictionStrategy for Recorder {
        type Config = ();

        fn open(_config: (), _capacity: u64) -> Result<Self> {
            Ok(Self::default())
        }

        fn on_insert(&mut self, id: EntryId, hash: u64, weight: u64) {
            self.heard.push(format!("insert {:x} {hash} {weight}", id.0));
        }

        fn on_access(&mut self, id: EntryId) {
            self.heard.push(format!("access {:x}", id.0));
        }

        fn on_remove(&mut self, id: EntryId) {
            self.heard.push(format!("remove {:x}", id.0));
        }

        fn victim(&mut self) -> Option<EntryId> {
            self.victims.pop().map(EntryId)
        }

        fn restore(&mut self, memory: &[u8]) {
            self.restored = memory.to_vec();
        }

        fn restored_place(&self, hash: u64) -> Option<usize> {
            self.restored.iter().position(|restored| u64::from(*restored) == hash)
        }
    }

    fn shard(victims: &[u64]) -> Shard<Recorder> {
        Shard::new(Recorder { victims: victims.to_vec(), ..Recorder::default() })
    }

    #[test]
    fn events_come_in_order_and_only_of_residents() {
        let mut shard = shard(&[]);
        let (inserted, hashes, weights) = (&[0, 1][..], &[10, 11][..], &[5, 6][..]);
        let batch = Batch { inserted, hashes, weights, accessed: &[1, 7, 1], removed: &[0, 0, 9] };
        assert!(shard.step(batch, 0, 64).is_empty());
        shard.step(Batch { accessed: &[0, 1], ..Batch::default() }, 0, 64);
        let heard = ["insert 0 10 5", "insert 1 11 6", "access 1", "access 1", "remove 0", "access 1"];
        assert_eq!(shard.strategy().heard, heard);
    }

    #[test]
    fn every_read_is_heard_in_its_order_however_many_there_are() {
        let ids: Vec<u64> = (0..20).collect();
        for count in [0, 1, 7, 8, 9, 16, 20] {
            let mut shard = shard(&[]);
            let inserted = Batch { inserted: &ids, hashes: &ids, weights: &ids, ..Batch::default() };
            shard.step(Batch { accessed: &ids[..count], ..inserted }, 0, 64);
            let reads: Vec<String> = ids[..count].iter().map(|id| format!("access {id:x}")).collect();
            assert_eq!(shard.strategy().heard[ids.len()..], reads);
        }
    }

    #[test]
    fn a_slot_used_again_within_a_batch_changes_its_resident_once() {
        let mut shard = shard(&[]);
        let again = 1 << 32;
        shard.step(Batch { inserted: &[0], hashes: &[10], weights: &[5], ..Batch::default() }, 0, 64);
        let (inserted, hashes, weights) = (&[again][..], &[11][..], &[6][..]);
        shard.step(Batch { inserted, hashes, weights, accessed: &[0, again], removed: &[0] }, 0, 64);
        let heard = ["insert 0 10 5", "remove 0", "insert 100000000 11 6", "access 100000000"];
        assert_eq!(shard.strategy().heard, heard);
    }

    #[test]
    fn victims_cover_what_is_wanted_and_no_more() {
        let (inserted, hashes, weights) = (&[0, 1, 2, 3][..], &[0; 4][..], &[5; 4][..]);
        let batch = Batch { inserted, hashes, weights, ..Batch::default() };
        assert_eq!(shard(&[3, 2, 1, 0]).step(batch, 6, 64), [0, 1]);
        assert_eq!(shard(&[3, 2, 1, 0]).step(batch, 100, 3), [0, 1, 2]);
        assert_eq!(shard(&[3, 2, 1, 0]).step(batch, 100, 64), [0, 1, 2, 3]);
        assert_eq!(shard(&[3, 2, 1, 0]).step(batch, 0, 64), [0u64; 0]);
    }

    #[test]
    fn residents_come_in_again_in_their_order_however_many_steps_tell_of_them() {
        let mut shard = shard(&[]);
        shard.restore(&[30, 10, 40, 20]);
        let told = |inserted, hashes| Batch { inserted, hashes, weights: &[5; 2], ..Batch::default() };
        shard.step(told(&[0, 1], &[10, 20]), 0, 64);
        shard.step(told(&[2, 3], &[99, 30]), 0, 64);
        assert!(shard.strategy().heard.is_empty(), "there may be more of them");
        shard.step(Batch { accessed: &[2], ..told(&[4], &[40]) }, 0, 64);
        let heard = ["insert 3 30 5", "insert 0 10 5", "insert 4 40 5", "insert 1 20 5", "insert 2 99 5", "access 2"];
        assert_eq!(shard.strategy().heard, heard);
        shard.step(told(&[5, 6], &[20, 10]), 0, 64);
        assert_eq!(shard.strategy().heard[6..], ["insert 5 20 5", "insert 6 10 5"], "that is long over");
    }

    #[test]
    fn a_slot_that_is_told_of_twice_has_the_later_resident() {
        let mut shard = shard(&[]);
        shard.restore(&[30, 10]);
        let told = |inserted, hashes| Batch { inserted, hashes, weights: &[5], ..Batch::default() };
        let again = 1 << 32;
        shard.step(told(&[0], &[10]), 0, 64);
        shard.step(told(&[again], &[30]), 0, 64);
        shard.step(Batch { removed: &[0], accessed: &[again], ..Batch::default() }, 0, 64);
        assert_eq!(shard.strategy().heard, ["insert 0 10 5", "remove 0", "insert 100000000 30 5", "access 100000000"]);
    }

    #[test]
    fn a_strategy_that_names_strangers_is_not_asked_on() {
        let (inserted, hashes, weights) = (&[0, 1][..], &[0; 2][..], &[5; 2][..]);
        let batch = Batch { inserted, hashes, weights, ..Batch::default() };
        assert_eq!(shard(&[1, 0, 0]).step(batch, 100, 64), [0]);
        assert_eq!(shard(&[1, 9]).step(batch, 100, 64), [0u64; 0]);
    }
}
