use super::ghosts::Ghosts;
use super::queues::{Queues, Row, choose};
use crate::cache::{Batch, EntryId, EvictionStrategy};
use crate::error::Result;

/// Three queues: newcomers pass through a small one, a tenth of the capacity, and only those read twice there reach the
/// main one; keys dropped from it are remembered, and come into the main one if they return.
///
/// S3-FIFO, from Yang et al., *FIFO Queues are All You Need for Cache Eviction*, SOSP 2023, with the parameters of its
/// authors' simulator: a small queue of 10 %, ghosts for 90 %, two reads to be moved on, counts of up to three reads.
#[derive(Debug)]
struct S3Fifo {
    queues: Queues,
    /// By slot.
    entries: Vec<Entry>,
    ghosts: Ghosts,
    small: Share,
    main: Share,
    /// Until something was dropped the main queue takes what the small one has no room for.
    is_full: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    hash: u64,
    reads: u8,
}

/// What the entries of a queue weigh, and are meant to at most.
#[derive(Debug)]
struct Share {
    weight: u64,
    limit: u64,
}

const SMALL: Row = 0;
const MAIN: Row = 1;
/// The most reads that are told apart.
const MOST_READS: u8 = 3;
/// With so many reads a newcomer is moved on.
const ENOUGH_READS: u8 = 2;

impl S3Fifo {
    fn new(capacity: u64) -> Self {
        let small = capacity / 10;
        Self {
            queues: Queues::new(2),
            entries: Vec::new(),
            ghosts: Ghosts::new(capacity / 10 * 9),
            small: Share { weight: 0, limit: small },
            main: Share { weight: 0, limit: capacity - small },
            is_full: false,
        }
    }

    fn share(&mut self, row: Row) -> &mut Share {
        if row == SMALL { &mut self.small } else { &mut self.main }
    }

    fn insert(&mut self, id: EntryId, hash: u64, weight: u64) {
        let slot = id.slot() as usize;
        if slot >= self.entries.len() {
            self.entries.resize(slot + 1, Entry::default());
        }
        self.entries[slot] = Entry { hash, reads: 0 };
        let returns = self.ghosts.remove(hash);
        let overflows = !self.is_full && self.small.weight >= self.small.limit;
        self.push(if returns || overflows { MAIN } else { SMALL }, id, weight);
    }

    fn push(&mut self, row: Row, id: EntryId, weight: u64) {
        if let Some((row, weight)) = self.queues.push_back(row, id, weight) {
            self.share(row).weight -= weight;
        }
        self.share(row).weight += weight;
    }

    fn remove(&mut self, id: EntryId) {
        if let Some((row, weight)) = self.queues.remove(id) {
            self.share(row).weight -= weight;
        }
    }

    fn pop(&mut self, row: Row) -> Option<(EntryId, u64)> {
        let (id, weight) = self.queues.pop_front(row)?;
        self.share(row).weight -= weight;
        Some((id, weight))
    }

    fn victim(&mut self) -> Option<(EntryId, u64)> {
        self.is_full = true;
        // Ends: every round drops an entry, moves one on, or lowers a count.
        loop {
            let from_main = self.main.weight > self.main.limit || self.small.weight == 0;
            let (id, weight) = self.pop(if from_main { MAIN } else { SMALL })?;
            let Entry { hash, reads } = &mut self.entries[id.slot() as usize];
            if from_main {
                if *reads == 0 {
                    return Some((id, weight));
                }
                *reads -= 1;
            } else {
                if *reads < ENOUGH_READS {
                    self.ghosts.push(*hash, weight);
                    return Some((id, weight));
                }
                *reads = 0;
            }
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
                let reads = &mut self.entries[EntryId(id).slot() as usize].reads;
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
