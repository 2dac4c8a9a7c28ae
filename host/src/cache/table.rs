use std::mem;

use hashbrown::HashTable;

use super::chooser::Chooser;
use super::entry::Resident;
use super::read_log::ReadLog;
use super::{Batch, EntryId};
use crate::object::Key;

/// One shard of a [`SlotEngine`](super::slots::SlotEngine): entries in dense slots, and the strategy that picks which
/// to drop.
///
/// A strategy can do no more harm than to choose badly: an entry goes only if it is resident and of the right
/// generation, enough of them go whatever the strategy answers, and one that fails is replaced.
pub(super) struct Table {
    capacity: u64,
    weight: u64,
    /// The slot of each key, by hash.
    index: HashTable<u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Slots of entries removed since the last step. The batch tells of removals last, so until it is told, another
    /// entry in the slot would be taken for the one that went.
    held_back: Vec<u32>,
    reads: ReadLog,
    batch: Batch,
    victims: Vec<EntryId>,
    chooser: Chooser,
    evictions: u64,
    /// Where the search for an entry that the strategy did not name goes on.
    hand: usize,
}

#[derive(Default)]
struct Slot {
    /// Counts the entries that were here before.
    generation: u32,
    occupant: Option<Occupant>,
}

struct Occupant {
    hash: u64,
    resident: Resident,
}

/// How many events are told at once, at most.
const BATCH: usize = 1024;
/// How many victims are asked for at once, at most.
const MAX_VICTIMS: usize = 1024;
/// How many victims are asked for ahead of need, at most: 64 a call run a strategy in WebAssembly at 77 % of native
/// speed, one a call at 8 %.
const AHEAD: usize = 63;
/// Of how many entries one may be dropped ahead of need. So the share of the capacity that stands empty is 1/512 on
/// average, and a shard of fewer entries drops none before it must.
const ENTRIES_PER_AHEAD: usize = 256;

impl Table {
    pub(super) fn new(capacity: u64, chooser: Chooser) -> Self {
        Self {
            capacity,
            weight: 0,
            index: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            held_back: Vec::new(),
            reads: ReadLog::new(),
            batch: Batch::default(),
            victims: Vec::new(),
            chooser,
            evictions: 0,
            hand: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn weight(&self) -> u64 {
        self.weight
    }

    pub(super) fn evictions(&self) -> u64 {
        self.evictions
    }

    pub(super) fn strategy_failed(&self) -> bool {
        self.chooser.is_fallback()
    }

    /// The entry of a key, and whether it is time to [tell of the reads](Self::tell_reads).
    pub(super) fn read(&self, hash: u64, key: &Key) -> Option<(Resident, bool)> {
        let slot = self.find(hash, key)?;
        let Slot { generation, occupant } = &self.slots[slot as usize];
        let resident = occupant.as_ref()?.resident.clone();
        Some((resident, self.reads.record(EntryId::new(slot, *generation))))
    }

    /// Tells the strategy of the reads so far, before the log runs over.
    pub(super) fn tell_reads(&mut self) {
        self.reads.drain_into(&mut self.batch.accessed);
        self.step(0);
    }

    /// Puts an entry in, in place of any of its key, and drops others to make room. Its weight is at most the capacity.
    pub(super) fn insert(&mut self, hash: u64, resident: Resident) {
        self.remove_if(hash, resident.key(), |_| true);
        self.reads.drain_into(&mut self.batch.accessed);
        let weight = resident.weight;
        let excess = (self.weight + weight).saturating_sub(self.capacity);
        if excess > 0 {
            self.make_room(excess);
        } else if self.len() < ENTRIES_PER_AHEAD && !self.batch.accessed.is_empty() {
            // A batch tells of reads behind insertions. Where every choice counts, they are told in the right order.
            self.step(0);
        } else {
            self.step_if_full();
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            (self.slots.len() - 1) as u32
        });
        let id = EntryId::new(slot, self.slots[slot as usize].generation);
        self.slots[slot as usize].occupant = Some(Occupant { hash, resident });
        self.index.insert_unique(hash, slot, |&slot| {
            self.slots[slot as usize].occupant.as_ref().map_or(0, |occupant| occupant.hash)
        });
        self.weight += weight;
        self.batch.inserted.push(id.0);
        self.batch.hashes.push(hash);
        self.batch.weights.push(weight);
    }

    /// Takes the entry of a key out if it is `wanted`, and tells the strategy with the next step.
    pub(super) fn remove_if(
        &mut self,
        hash: u64,
        key: &Key,
        wanted: impl FnOnce(&Resident) -> bool,
    ) -> Option<Resident> {
        let slot = self.find(hash, key)?;
        if !wanted(&self.slots[slot as usize].occupant.as_ref()?.resident) {
            return None;
        }
        self.remove(slot)
    }

    pub(super) fn clear(&mut self) {
        for slot in 0..self.slots.len() {
            self.remove(slot as u32);
        }
    }

    fn find(&self, hash: u64, key: &Key) -> Option<u32> {
        let is_of_key = |&slot: &u32| {
            let occupant = self.slots[slot as usize].occupant.as_ref();
            occupant.is_some_and(|occupant| occupant.hash == hash && occupant.resident.key() == key)
        };
        self.index.find(hash, is_of_key).copied()
    }

    /// Takes an entry out for another reason than the strategy's choice.
    fn remove(&mut self, slot: u32) -> Option<Resident> {
        // The log must not name an entry whose removal was told.
        self.reads.drain_into(&mut self.batch.accessed);
        let id = EntryId::new(slot, self.slots[slot as usize].generation);
        let resident = self.vacate(slot)?;
        self.batch.removed.push(id.0);
        self.held_back.push(slot);
        self.step_if_full();
        Some(resident)
    }

    /// Empties a slot. Whoever calls it decides when the slot may be used again.
    fn vacate(&mut self, slot: u32) -> Option<Resident> {
        let Slot { generation, occupant } = &mut self.slots[slot as usize];
        let Occupant { hash, resident } = occupant.take()?;
        *generation = generation.wrapping_add(1);
        if let Ok(found) = self.index.find_entry(hash, |&other| other == slot) {
            found.remove();
        }
        self.weight -= resident.weight;
        Some(resident)
    }

    fn step_if_full(&mut self) {
        if self.batch.len() >= BATCH {
            self.step(0);
        }
    }

    /// Drops entries that weigh at least `excess` together: those that the strategy names, and others if it names too
    /// few.
    fn make_room(&mut self, excess: u64) {
        let ahead = (self.len() / ENTRIES_PER_AHEAD).min(AHEAD) as u64;
        let mean_weight = self.weight / self.len().max(1) as u64;
        let mut freed = self.step(excess + ahead * mean_weight);
        while freed < excess {
            let more = self.step(excess - freed);
            if more == 0 {
                break;
            }
            freed += more;
        }
        while freed < excess && self.len() > 0 {
            let slot = self.hand % self.slots.len();
            self.hand = slot + 1;
            if let Some(dropped) = self.remove(slot as u32) {
                freed += dropped.weight;
                self.evictions += 1;
            }
        }
    }

    /// Tells the strategy what happened, and drops what it names until that weighs `wanted`. Returns the weight of what
    /// was dropped.
    fn step(&mut self, wanted: u64) -> u64 {
        let max_victims = self.len().min(MAX_VICTIMS);
        let mut victims = mem::take(&mut self.victims);
        let slots = &self.slots;
        self.chooser.step(&self.batch, wanted, max_victims, &mut victims, || residents(slots));
        self.batch.clear();
        self.free.append(&mut self.held_back);
        let mut freed = 0;
        for id in victims.drain(..).take(max_victims) {
            if freed >= wanted {
                break;
            }
            let resident = self.slots.get(id.slot() as usize).is_some_and(|slot| slot.generation == id.generation());
            if resident && let Some(dropped) = self.vacate(id.slot()) {
                self.free.push(id.slot());
                self.evictions += 1;
                freed += dropped.weight;
            }
        }
        self.victims = victims;
        freed
    }
}

/// Everything that is there, as if it came in just now.
fn residents(slots: &[Slot]) -> Batch {
    let mut residents = Batch::default();
    for (slot, Slot { generation, occupant }) in slots.iter().enumerate() {
        if let Some(Occupant { hash, resident }) = occupant {
            residents.inserted.push(EntryId::new(slot as u32, *generation).0);
            residents.hashes.push(*hash);
            residents.weights.push(resident.weight);
        }
    }
    residents
}
