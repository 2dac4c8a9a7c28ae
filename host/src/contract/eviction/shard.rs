use std::collections::{HashMap, HashSet};

use crate::cache::{Batch, EntryId, EvictionStrategy};
use crate::error::Result;

/// A shard as a cache would drive it, with nothing in it but names and weights: it gives out slots and generations,
/// gathers events, and knows who is there.
pub(super) struct Shard {
    strategy: Box<dyn EvictionStrategy>,
    /// Who is there, in an order that the events decide.
    residents: Vec<EntryId>,
    known: HashMap<EntryId, Known>,
    /// For each slot the generation that it has next.
    generations: Vec<u32>,
    free: Vec<u32>,
    /// Slots of entries that were removed since the last step.
    held_back: Vec<u32>,
    batch: Batch,
    hashes: u64,
}

/// What is known of a resident.
struct Known {
    /// Where among the residents it stands.
    place: usize,
    hash: u64,
    weight: u64,
}

/// What a strategy chose, held against who was there.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) victims: Vec<EntryId>,
    /// Those of them that were not there.
    pub(super) strangers: Vec<EntryId>,
    /// Those of them that were named before.
    pub(super) repeated: Vec<EntryId>,
    /// What the others weigh together.
    pub(super) freed: u64,
    /// What they would weigh without the last one.
    pub(super) freed_before_last: u64,
    pub(super) wanted: u64,
    pub(super) max_victims: usize,
    /// How many are left.
    pub(super) left: usize,
}

impl Shard {
    pub(super) fn new(strategy: Box<dyn EvictionStrategy>) -> Self {
        Self {
            strategy,
            residents: Vec::new(),
            known: HashMap::new(),
            generations: Vec::new(),
            free: Vec::new(),
            held_back: Vec::new(),
            batch: Batch::default(),
            hashes: 0,
        }
    }

    /// A shard that holds what another one does, as one that takes over from a strategy that failed: the strategy is
    /// told of all residents in one batch, in the order of their slots.
    pub(super) fn taking_over(strategy: Box<dyn EvictionStrategy>, former: &Self) -> Result<Self> {
        let mut shard = Self::new(strategy);
        let mut residents = former.residents.clone();
        residents.sort_unstable_by_key(|id| id.slot());
        for id in residents {
            let Some(Known { hash, weight, .. }) = former.known.get(&id) else { continue };
            shard.insert_at(id, *hash, *weight);
        }
        shard.step(0, 1)?;
        shard.generations.clone_from(&former.generations);
        shard.free = [&former.free[..], &former.held_back[..]].concat();
        shard.hashes = former.hashes;
        Ok(shard)
    }

    /// As [`taking_over`](Self::taking_over), by a strategy that is handed a snapshot first.
    pub(super) fn remembering(mut strategy: Box<dyn EvictionStrategy>, snapshot: &[u8], former: &Self) -> Result<Self> {
        strategy.restore(snapshot)?;
        Self::taking_over(strategy, former)
    }

    /// What the strategy remembers.
    pub(super) fn snapshot(&mut self) -> Result<Vec<u8>> {
        self.strategy.snapshot()
    }

    /// An entry comes in, whose key was never there.
    pub(super) fn insert(&mut self, weight: u64) -> EntryId {
        // Multiplying by an odd number gives every count another hash, spread over all bits.
        self.hashes = self.hashes.wrapping_add(1);
        self.insert_key(self.hashes.wrapping_mul(0x9e37_79b9_7f4a_7c15), weight)
    }

    /// An entry comes in, with this hash of its key.
    pub(super) fn insert_key(&mut self, hash: u64, weight: u64) -> EntryId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.generations.push(0);
            (self.generations.len() - 1) as u32
        });
        self.insert_at(EntryId::new(slot, self.generations[slot as usize]), hash, weight)
    }

    /// An entry comes in under an id that the caller has chosen.
    pub(super) fn insert_at(&mut self, id: EntryId, hash: u64, weight: u64) -> EntryId {
        self.known.insert(id, Known { place: self.residents.len(), hash, weight });
        self.residents.push(id);
        self.batch.inserted.push(id.0);
        self.batch.hashes.push(hash);
        self.batch.weights.push(weight);
        id
    }

    /// An entry is read.
    pub(super) fn access(&mut self, id: EntryId) {
        self.batch.accessed.push(id.0);
    }

    /// An entry goes for another reason than the strategy's choice.
    pub(super) fn remove(&mut self, id: EntryId) {
        if self.forget(id) {
            self.batch.removed.push(id.0);
            self.held_back.push(id.slot());
        }
    }

    /// Tells what happened, and asks for victims.
    pub(super) fn step(&mut self, wanted: u64, max_victims: usize) -> Result<Choice> {
        let mut victims = Vec::new();
        self.strategy.step(&self.batch, wanted, max_victims, &mut victims)?;
        self.batch.clear();
        let (mut strangers, mut repeated, mut named) = (Vec::new(), Vec::new(), HashSet::new());
        let (mut freed, mut freed_before_last) = (0, 0);
        for &id in &victims {
            if !named.insert(id) {
                repeated.push(id);
            } else if let Some(&Known { weight, .. }) = self.known.get(&id) {
                freed_before_last = freed;
                freed += weight;
                self.forget(id);
                self.free.push(id.slot());
            } else {
                strangers.push(id);
            }
        }
        self.free.append(&mut self.held_back);
        let left = self.residents.len();
        Ok(Choice { victims, strangers, repeated, freed, freed_before_last, wanted, max_victims, left })
    }

    /// Who is there, in an order that the events decide.
    pub(super) fn residents(&self) -> &[EntryId] {
        &self.residents
    }

    /// What all residents weigh together.
    pub(super) fn total(&self) -> u64 {
        self.known.values().map(|known| known.weight).sum()
    }

    fn forget(&mut self, id: EntryId) -> bool {
        let Some(Known { place, .. }) = self.known.remove(&id) else { return false };
        self.residents.swap_remove(place);
        if let Some(moved) = self.residents.get(place)
            && let Some(known) = self.known.get_mut(moved)
        {
            known.place = place;
        }
        if let Some(generation) = self.generations.get_mut(id.slot() as usize) {
            *generation = id.generation().wrapping_add(1);
        }
        true
    }
}
