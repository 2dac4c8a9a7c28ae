//! S3-FIFO, an eviction strategy of three queues that reads move nothing in. What comes in goes through a small queue, from
//! which it is dropped unless it was read twice: so the many keys that are asked for once and never again do not stay for
//! long. What was read goes to the main queue, where it stays for one more round for each read, up to three. The third
//! queue has no entries, but the hashes of keys dropped from the small one: what is asked for again while it is remembered
//! there goes straight to the main queue.
//!
//! From Yang, Zhang, Qiu, Yue and Rashmi, *FIFO queues are all you need for cache eviction*, SOSP 2023. Its authors'
//! libCacheSim turns away what weighs more than the small queue may, and weighs ghosts; here such an entry has to prove
//! itself as any other, and ghosts are counted. For entries that weigh the same that is no difference.
//!
//! ```yaml
//! plugins:
//!   wasm-s3-fifo:
//!     source: plugins/s3-fifo
//!     config:
//!       small: 10         # the part of the capacity that is the small queue's, in percent, from 1 to 99; 10 if absent
//! stores:
//!   documents:
//!     provider_type: file
//!     cache: { size_limit: 64MiB, eviction_policy: wasm-s3-fifo }
//! ```

mod ghosts;
mod snapshot;

use larder_sdk::eviction::{Queues, Restored};
use larder_sdk::{EntryId, Error, EvictionStrategy, Result};

use ghosts::Ghosts;
use snapshot::Was;

/// The queue that entries come in through.
const SMALL: usize = 0;
/// The queue of those that were read.
const MAIN: usize = 1;

/// How many reads of an entry are counted: each saves it once in the main queue.
const MOST_READS: u8 = 3;
/// How many reads in the small queue it takes to go on to the main one.
const READS_TO_MAIN: u8 = 2;

/// The three queues.
#[derive(Debug)]
pub struct S3Fifo {
    queues: Queues<2>,
    ghosts: Ghosts,
    /// By slot, how often the entry there was read: apart from all else, so that what reads touch is close together.
    reads: Vec<u8>,
    /// By slot, the hash of the entry's key.
    hashes: Vec<u64>,
    /// The small queue's part of the capacity, in percent.
    small: u8,
    /// What the main queue may weigh.
    main_capacity: u128,
    /// The queue and the reads of keys that were resident before a reload.
    restored: Restored<(usize, u8)>,
}

/// What the operator says.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The small queue's part of the capacity, in percent.
    pub small: u8,
}

impl Default for Config {
    /// As in the paper.
    fn default() -> Self {
        Self { small: 10 }
    }
}

impl EvictionStrategy for S3Fifo {
    type Config = Config;

    fn open(Config { small }: Config, capacity: u64) -> Result<Self> {
        if !(1..=99).contains(&small) {
            return Err(Error::invalid_input(format!("`small` is a percentage from 1 to 99, and {small} is none")));
        }
        let small_capacity = u128::from(capacity) * u128::from(small) / 100;
        Ok(Self {
            queues: Queues::new(),
            ghosts: Ghosts::default(),
            reads: Vec::new(),
            hashes: Vec::new(),
            small,
            main_capacity: u128::from(capacity) - small_capacity,
            restored: Restored::default(),
        })
    }

    fn on_insert(&mut self, id: EntryId, hash: u64, weight: u64) {
        let (queue, reads) = match self.restored.get(hash) {
            Some(restored) => restored,
            None if self.ghosts.take(hash) => (MAIN, 0),
            None => (SMALL, 0),
        };
        let slot = id.slot();
        if slot >= self.reads.len() {
            self.reads.resize(slot + 1, 0);
            self.hashes.resize(slot + 1, 0);
        }
        (self.reads[slot], self.hashes[slot]) = (reads, hash);
        self.queues.push(queue, id, weight);
    }

    fn on_access(&mut self, id: EntryId) {
        if let Some(reads) = self.reads.get_mut(id.slot()) {
            *reads = (*reads + 1).min(MOST_READS);
        }
    }

    fn on_remove(&mut self, id: EntryId) {
        self.queues.remove(id);
    }

    fn victim(&mut self) -> Option<EntryId> {
        self.restored.clear();
        if self.queues.weight(MAIN) > self.main_capacity {
            return self.victim_of_main();
        }
        self.victim_of_small().or_else(|| self.victim_of_main())
    }

    fn snapshot(&self) -> Vec<u8> {
        let ghosts = self.ghosts.iter().map(|hash| (Was::Ghost, hash));
        let residents = [SMALL, MAIN].into_iter().flat_map(|queue| {
            let ids = self.queues.iter(queue).map(EntryId::slot);
            ids.map(move |slot| (Was::Resident { queue, reads: self.reads[slot] }, self.hashes[slot]))
        });
        snapshot::write(ghosts.chain(residents))
    }

    fn restore(&mut self, memory: &[u8]) {
        let residents = snapshot::read(memory).filter_map(|(was, hash)| match was {
            Was::Resident { queue, reads } => Some((hash, (queue, reads))),
            Was::Ghost => {
                self.ghosts.push(hash);
                None
            }
        });
        self.restored = residents.collect();
    }

    fn restored_place(&self, hash: u64) -> Option<usize> {
        self.restored.place(hash)
    }
}

impl S3Fifo {
    fn victim_of_small(&mut self) -> Option<EntryId> {
        loop {
            let id = self.queues.front(SMALL)?;
            let slot = id.slot();
            if self.reads[slot] >= READS_TO_MAIN {
                self.reads[slot] = 0;
                self.queues.move_to(MAIN, id);
                continue;
            }
            self.queues.remove(id);
            self.ghosts.push(self.hashes[slot]);
            // As many as the main queue would have if all entries weighed the same.
            self.ghosts.trim(self.queues.len() * usize::from(100 - self.small) / 100);
            return Some(id);
        }
    }

    /// Ends: a round takes a read from every entry.
    fn victim_of_main(&mut self) -> Option<EntryId> {
        loop {
            let id = self.queues.front(MAIN)?;
            let reads = &mut self.reads[id.slot()];
            if *reads == 0 {
                self.queues.remove(id);
                return Some(id);
            }
            *reads -= 1;
            self.queues.move_to(MAIN, id);
        }
    }
}

larder_sdk::export!(eviction: S3Fifo);

#[cfg(test)]
mod tests;
