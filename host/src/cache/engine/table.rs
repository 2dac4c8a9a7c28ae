use std::collections::VecDeque;
use std::hash::Hash;
use std::mem;

use hashbrown::HashTable;

use super::chooser::Chooser;
use super::expiries::Expiries;
use super::moment::Moment;
use super::read_log::ReadLog;
use super::stored::Stored;
use crate::cache::{Batch, EntryId, Steps};

/// One shard of a [`SlotEngine`](super::slots::SlotEngine): entries in dense slots, and the strategy that picks which
/// to drop.
///
/// A strategy can do no more harm than to choose badly: an entry goes only if it is resident and of the right
/// generation, enough of them go whatever the strategy answers, and one that fails is replaced.
pub(in crate::cache) struct Table<K, V> {
    limits: Limits,
    weight: u64,
    /// The slot of each key, by hash.
    index: HashTable<u32>,
    slots: Vec<Slot<K, V>>,
    free: Vec<u32>,
    /// Slots of entries removed since the last step. The batch tells of removals last, so until it is told, another
    /// entry in the slot would be taken for the one that went.
    held_back: Vec<u32>,
    expiries: Expiries<EntryId>,
    reads: ReadLog,
    batch: Batch,
    victims: Vec<EntryId>,
    /// Victims ahead of need, in the order in which the strategy named and forgot them; and such as went since. They serve
    /// until their room is needed.
    condemned: VecDeque<EntryId>,
    chooser: Chooser,
    evictions: u64,
    /// Where the search for an entry that the strategy did not name goes on.
    hand: usize,
    /// With fewer entries than this every event is told in its order, and none is dropped before it must.
    exact_below: usize,
}

/// What a shard holds at most.
#[derive(Clone, Copy, Debug)]
pub(in crate::cache) struct Limits {
    /// The sum of the weights.
    pub(in crate::cache) weight: u64,
    pub(in crate::cache) entries: usize,
}

struct Slot<K, V> {
    /// Counts the entries that were here before.
    generation: u32,
    /// Whether the strategy has forgotten the occupant, as it named it a victim: it hears no more of it.
    is_condemned: bool,
    occupant: Option<Occupant<K, V>>,
}

struct Occupant<K, V> {
    hash: u64,
    key: K,
    stored: Stored<V>,
}

/// How many events are told at once, at most.
const BATCH: usize = 1024;
/// How many victims are asked for at once, at most.
const MAX_VICTIMS: usize = 1024;
/// How many victims are asked for ahead of need, at most: 128 a call run a strategy in WebAssembly at 85 % of native
/// speed, 64 a call at 77 %, one a call at 8 %.
const AHEAD: usize = 127;
/// Of how many entries one may be condemned ahead of need.
const ENTRIES_PER_AHEAD: usize = 32;
/// With fewer entries than this a shard condemns none ahead of need, and tells of all events in their order.
const EXACT_BELOW: usize = 256;

impl<K: Eq + Hash, V> Table<K, V> {
    pub(in crate::cache) fn new(limits: Limits, steps: Steps, chooser: Chooser) -> Self {
        Self {
            limits,
            weight: 0,
            index: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            held_back: Vec::new(),
            expiries: Expiries::new(),
            reads: ReadLog::new(),
            batch: Batch::default(),
            victims: Vec::new(),
            condemned: VecDeque::new(),
            chooser,
            evictions: 0,
            hand: 0,
            exact_below: match steps {
                Steps::Batched => EXACT_BELOW,
                Steps::Exact => usize::MAX,
            },
        }
    }

    pub(in crate::cache) fn len(&self) -> usize {
        self.index.len()
    }

    pub(in crate::cache) fn weight(&self) -> u64 {
        self.weight
    }

    pub(in crate::cache) fn evictions(&self) -> u64 {
        self.evictions
    }

    pub(in crate::cache) fn strategy_failed(&self) -> bool {
        self.chooser.is_fallback()
    }

    /// The entry of a key, and whether it is time to [tell of the reads](Self::tell_reads).
    #[inline]
    pub(in crate::cache) fn read(&self, hash: u64, key: &K) -> Option<(&Stored<V>, bool)> {
        let slot = self.find(hash, key)?;
        let Slot { generation, is_condemned, occupant } = &self.slots[slot as usize];
        let stored = &occupant.as_ref()?.stored;
        Some((stored, !is_condemned && self.reads.record(EntryId::new(slot, *generation))))
    }

    /// Tells the strategy of the reads so far, before the log runs over.
    pub(in crate::cache) fn tell_reads(&mut self) {
        self.reads.drain_into(&mut self.batch.accessed);
        self.step(0);
    }

    /// Puts an entry in, in place of any of its key, and drops others to make room. It fits the limits.
    pub(in crate::cache) fn insert(&mut self, hash: u64, key: K, stored: Stored<V>) {
        self.remove_if(hash, &key, |_| true);
        self.reads.drain_into(&mut self.batch.accessed);
        let weight = stored.weight;
        if !self.fits(weight) {
            self.sweep();
        }
        if !self.fits(weight) {
            self.make_room(weight);
        } else if self.len() < self.exact_below && !self.batch.accessed.is_empty() {
            // A batch tells of reads behind insertions. Where every choice counts, they are told in the right order.
            self.step(0);
        } else {
            self.step_if_full();
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, is_condemned: false, occupant: None });
            (self.slots.len() - 1) as u32
        });
        let id = EntryId::new(slot, self.slots[slot as usize].generation);
        if let Some(at) = stored.expires_at {
            let slots = &self.slots;
            self.expiries.push(at, id, self.index.len(), |id, _| resident(slots, *id));
        }
        self.slots[slot as usize].occupant = Some(Occupant { hash, key, stored });
        self.index.insert_unique(hash, slot, |&slot| {
            self.slots[slot as usize].occupant.as_ref().map_or(0, |occupant| occupant.hash)
        });
        self.weight += weight;
        self.batch.inserted.push(id.0);
        self.batch.hashes.push(hash);
        self.batch.weights.push(weight);
    }

    /// Takes the entry of a key out if it is `wanted`, and tells the strategy with the next step.
    pub(in crate::cache) fn remove_if(
        &mut self,
        hash: u64,
        key: &K,
        wanted: impl FnOnce(&Stored<V>) -> bool,
    ) -> Option<Stored<V>> {
        let slot = self.find(hash, key)?;
        if !wanted(&self.slots[slot as usize].occupant.as_ref()?.stored) {
            return None;
        }
        self.remove(slot)
    }

    /// Takes out all entries whose key is `wanted`, and returns how many there were.
    pub(in crate::cache) fn remove_all(&mut self, wanted: impl Fn(&K) -> bool) -> u64 {
        let mut removed = 0;
        for slot in 0..self.slots.len() {
            if self.slots[slot].occupant.as_ref().is_some_and(|occupant| wanted(&occupant.key)) {
                self.remove(slot as u32);
                removed += 1;
            }
        }
        removed
    }

    fn find(&self, hash: u64, key: &K) -> Option<u32> {
        let is_of_key = |&slot: &u32| {
            let occupant = self.slots[slot as usize].occupant.as_ref();
            occupant.is_some_and(|occupant| occupant.hash == hash && occupant.key == *key)
        };
        self.index.find(hash, is_of_key).copied()
    }

    fn fits(&self, weight: u64) -> bool {
        self.weight + weight <= self.limits.weight && self.len() < self.limits.entries
    }

    /// Takes out what has expired, which is dropped before anything that still serves.
    fn sweep(&mut self) {
        if self.expiries.is_empty() {
            return;
        }
        let now = Moment::now();
        while let Some(id) = self.expiries.pop(now) {
            if resident(&self.slots, id) {
                self.remove(id.slot());
            }
        }
    }

    /// Takes an entry out for another reason than the strategy's choice.
    fn remove(&mut self, slot: u32) -> Option<Stored<V>> {
        // The log must not name an entry whose removal was told.
        self.reads.drain_into(&mut self.batch.accessed);
        let Slot { generation, is_condemned, .. } = self.slots[slot as usize];
        let stored = self.vacate(slot)?;
        if is_condemned {
            self.free.push(slot);
            return Some(stored);
        }
        self.batch.removed.push(EntryId::new(slot, generation).0);
        self.held_back.push(slot);
        self.step_if_full();
        Some(stored)
    }

    /// Empties a slot. Whoever calls it decides when the slot may be used again.
    fn vacate(&mut self, slot: u32) -> Option<Stored<V>> {
        let Slot { generation, is_condemned, occupant } = &mut self.slots[slot as usize];
        let Occupant { hash, key: _, stored } = occupant.take()?;
        *generation = generation.wrapping_add(1);
        *is_condemned = false;
        if let Ok(found) = self.index.find_entry(hash, |&other| other == slot) {
            found.remove();
        }
        self.weight -= stored.weight;
        Some(stored)
    }

    fn step_if_full(&mut self) {
        if self.batch.len() >= BATCH {
            self.step(0);
        }
    }

    /// Drops entries until one of this weight fits: those that the strategy names, and others if it names too few.
    fn make_room(&mut self, weight: u64) {
        self.drop_condemned(weight);
        if self.fits(weight) {
            return self.step_if_full();
        }
        let ahead = if self.len() < self.exact_below { 0 } else { (self.len() / ENTRIES_PER_AHEAD).min(AHEAD) as u64 };
        let mean_weight = self.weight / self.len().max(1) as u64;
        let mut condemned = self.step(self.excess(weight) + ahead * mean_weight);
        self.drop_condemned(weight);
        while condemned > 0 && !self.fits(weight) {
            condemned = self.step(self.excess(weight));
            self.drop_condemned(weight);
        }
        while !self.fits(weight) && self.len() > 0 {
            let slot = self.hand % self.slots.len();
            self.hand = slot + 1;
            if self.remove(slot as u32).is_some() {
                self.evictions += 1;
            }
        }
    }

    /// Drops condemned entries until one of this weight fits.
    fn drop_condemned(&mut self, weight: u64) {
        while !self.fits(weight)
            && let Some(id) = self.condemned.pop_front()
        {
            if resident(&self.slots, id) && self.vacate(id.slot()).is_some() {
                self.free.push(id.slot());
                self.evictions += 1;
            }
        }
    }

    /// How much must go for an entry of this weight to fit; at least one entry.
    fn excess(&self, weight: u64) -> u64 {
        (self.weight + weight).saturating_sub(self.limits.weight).max(1)
    }

    /// Tells the strategy what happened, and condemns what it names until that weighs `wanted`. Returns the weight of what
    /// was condemned.
    fn step(&mut self, wanted: u64) -> u64 {
        let max_victims = self.len().min(MAX_VICTIMS);
        let mut victims = mem::take(&mut self.victims);
        let slots = &self.slots;
        self.chooser.step(&self.batch, wanted, max_victims, &mut victims, || residents(slots));
        self.batch.clear();
        self.free.append(&mut self.held_back);
        let mut condemned = 0;
        for id in victims.drain(..).take(max_victims) {
            if condemned >= wanted {
                break;
            }
            let Some(slot) = self.slots.get_mut(id.slot() as usize).filter(|slot| slot.generation == id.generation())
            else {
                continue;
            };
            if let Some(occupant) = &slot.occupant
                && !slot.is_condemned
            {
                slot.is_condemned = true;
                condemned += occupant.stored.weight;
                self.condemned.push_back(id);
            }
        }
        self.victims = victims;
        condemned
    }
}

fn resident<K, V>(slots: &[Slot<K, V>], id: EntryId) -> bool {
    slots.get(id.slot() as usize).is_some_and(|slot| slot.generation == id.generation() && slot.occupant.is_some())
}

/// Everything that is there and not condemned, by slot, as if it came in just now.
fn residents<K, V>(slots: &[Slot<K, V>]) -> Batch {
    let mut residents = Batch::default();
    for (slot, Slot { generation, is_condemned, occupant }) in slots.iter().enumerate() {
        if let Some(Occupant { hash, stored, .. }) = occupant
            && !is_condemned
        {
            residents.inserted.push(EntryId::new(slot as u32, *generation).0);
            residents.hashes.push(*hash);
            residents.weights.push(stored.weight);
        }
    }
    residents
}
