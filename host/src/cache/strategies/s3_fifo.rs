use super::ghosts::Ghosts;
use super::queues::{Queues, Row, choose};
use crate::cache::{Batch, EntryId, EvictionStrategy};
use crate::error::Result;

/// Three queues: newcomers pass through a small one, a tenth of the capacity, and only those read twice there reach the
/// main one; keys dropped from it are remembered, and come into the main one if they return.
///
/// S3-FIFO, from Yang et al., *FIFO Queues are All You Need for Cache Eviction*, SOSP 2023, with the parameters of its
/// authors' simulator: a small queue of 10 %, nine ghosts to ten residents, two reads to be moved on, counts of up to three
/// reads. The plugin of this name chooses the same.
#[derive(Debug)]
struct S3Fifo {
    queues: Queues,
    /// By slot, how often the entry there was read: apart from the hashes, so that what reads touch is close together.
    reads: Vec<u8>,
    /// By slot.
    hashes: Vec<u64>,
    ghosts: Ghosts,
    residents: usize,
    /// What the entries of the main queue weigh, and are meant to at most.
    main_weight: u64,
    main_capacity: u64,
}

const SMALL: Row = 0;
const MAIN: Row = 1;
/// The most reads that are told apart.
const MOST_READS: u8 = 3;
/// With so many reads a newcomer is moved on.
const ENOUGH_READS: u8 = 2;

impl S3Fifo {
    fn new(capacity: u64) -> Self {
        let small = u128::from(capacity) * 10 / 100;
        Self {
            queues: Queues::new(2),
            reads: Vec::new(),
            hashes: Vec::new(),
            ghosts: Ghosts::default(),
            residents: 0,
            main_weight: 0,
            main_capacity: capacity - small as u64,
        }
    }

    fn insert(&mut self, id: EntryId, hash: u64, weight: u64) {
        let slot = id.slot() as usize;
        if slot >= self.reads.len() {
            self.reads.resize(slot + 1, 0);
            self.hashes.resize(slot + 1, 0);
        }
        (self.reads[slot], self.hashes[slot]) = (0, hash);
        let row = if self.ghosts.take(hash) { MAIN } else { SMALL };
        self.push(row, id, weight);
    }

    fn push(&mut self, row: Row, id: EntryId, weight: u64) {
        let former = self.queues.push_back(row, id, weight);
        self.left(former);
        self.residents += 1;
        self.main_weight += if row == MAIN { weight } else { 0 };
    }

    fn remove(&mut self, id: EntryId) -> Option<u64> {
        let removed = self.queues.remove(id);
        self.left(removed);
        removed.map(|(_, weight)| weight)
    }

    /// An entry left the row that it was in.
    fn left(&mut self, from: Option<(Row, u64)>) {
        let Some((row, weight)) = from else { return };
        self.residents -= 1;
        self.main_weight -= if row == MAIN { weight } else { 0 };
    }

    fn victim(&mut self) -> Option<(EntryId, u64)> {
        if self.main_weight > self.main_capacity {
            return self.victim_of_main();
        }
        self.victim_of_small().or_else(|| self.victim_of_main())
    }

    fn victim_of_small(&mut self) -> Option<(EntryId, u64)> {
        loop {
            let (id, _) = self.queues.front(SMALL)?;
            let slot = id.slot() as usize;
            let weight = self.remove(id)?;
            if self.reads[slot] < ENOUGH_READS {
                self.ghosts.push(self.hashes[slot], self.residents * 90 / 100);
                return Some((id, weight));
            }
            self.reads[slot] = 0;
            self.push(MAIN, id, weight);
        }
    }

    /// Ends: a round takes a read from every entry.
    fn victim_of_main(&mut self) -> Option<(EntryId, u64)> {
        loop {
            let (id, _) = self.queues.front(MAIN)?;
            let weight = self.remove(id)?;
            let reads = &mut self.reads[id.slot() as usize];
            if *reads == 0 {
                return Some((id, weight));
            }
            *reads -= 1;
            self.push(MAIN, id, weight);
        }
    }
}

impl EvictionStrategy for S3Fifo {
    fn step(&mut self, batch: &Batch, wanted: u64, max_victims: usize, victims: &mut Vec<EntryId>) -> Result<()> {
        for ((&id, &hash), &weight) in batch.inserted.iter().zip(&batch.hashes).zip(&batch.weights) {
            self.insert(EntryId(id), hash, weight);
        }
        for &id in &batch.accessed {
            if self.queues.contains(EntryId(id)) {
                let reads = &mut self.reads[EntryId(id).slot() as usize];
                *reads = (*reads + 1).min(MOST_READS);
            }
        }
        for &id in &batch.removed {
            self.remove(EntryId(id));
        }
        choose(wanted, max_victims, victims, || self.victim());
        Ok(())
    }
}

super::factory!(S3Fifo, "s3-fifo");
