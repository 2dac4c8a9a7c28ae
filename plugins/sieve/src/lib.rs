//! SIEVE, an eviction strategy that is simpler than LRU and misses less: a queue in order of insertion, a bit an entry
//! that a read sets, and a hand that goes from the oldest to the newest, passing over what was read since it last came
//! by and dropping the first that was not. Reads move nothing.
//!
//! From Zhang et al., *SIEVE is Simpler than LRU: an Efficient Turn-Key Eviction Algorithm for Web Caches*, NSDI 2024.
//!
//! It takes no configuration:
//!
//! ```yaml
//! plugins:
//!   wasm-sieve: { source: plugins/sieve }
//! stores:
//!   documents:
//!     provider_type: file
//!     cache: { size_limit: 64MiB, eviction_policy: wasm-sieve }
//! ```

use larder_sdk::eviction::Restored;
use larder_sdk::{EntryId, EvictionStrategy, Result};

/// No slot: the end of the queue.
const NONE: u32 = u32::MAX;

/// What a snapshot begins with: another form has another number. For each key there are nine bytes: its hash, and before it
/// two bits.
const FORM: &[u8] = b"sieve 1\n";
const VISITED: u8 = 1;
const HAND: u8 = 2;

/// The queue, as a doubly linked list through an array of slots.
#[derive(Debug)]
pub struct Sieve {
    nodes: Vec<Node>,
    /// By slot, whether the entry there was read since the hand last passed it: apart from the nodes, so that all that
    /// reads touch is close together.
    visited: Vec<bool>,
    /// The entry that came in last.
    newest: u32,
    /// The entry that came in first.
    oldest: u32,
    /// Where the search for the next victim begins; the oldest if there is no such slot.
    hand: u32,
    /// The bits of keys that were resident before a reload.
    restored: Restored<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    id: EntryId,
    hash: u64,
    newer: u32,
    older: u32,
}

/// There is nothing to configure.
#[derive(Clone, Copy, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {}

impl EvictionStrategy for Sieve {
    type Config = Config;

    fn open(_config: Config, _capacity: u64) -> Result<Self> {
        Ok(Self {
            nodes: Vec::new(),
            visited: Vec::new(),
            newest: NONE,
            oldest: NONE,
            hand: NONE,
            restored: Restored::default(),
        })
    }

    fn on_insert(&mut self, id: EntryId, hash: u64, _weight: u64) {
        let slot = id.slot();
        let bits = self.restored.get(hash).unwrap_or_default();
        let node = Node { id, hash, newer: NONE, older: self.newest };
        if slot >= self.nodes.len() {
            self.nodes.resize(slot + 1, node);
            self.visited.resize(slot + 1, false);
        }
        (self.nodes[slot], self.visited[slot]) = (node, bits & VISITED != 0);
        if bits & HAND != 0 {
            self.hand = slot as u32;
        }
        match self.newest {
            NONE => self.oldest = slot as u32,
            newest => self.nodes[newest as usize].newer = slot as u32,
        }
        self.newest = slot as u32;
    }

    fn on_access(&mut self, id: EntryId) {
        if let Some(visited) = self.visited.get_mut(id.slot()) {
            *visited = true;
        }
    }

    fn on_remove(&mut self, id: EntryId) {
        self.unlink(id.slot() as u32);
    }

    fn victim(&mut self) -> Option<EntryId> {
        self.restored.clear();
        let mut hand = if self.hand == NONE { self.oldest } else { self.hand };
        // Ends: a round clears every bit.
        while hand != NONE {
            let node = self.nodes[hand as usize];
            if !std::mem::take(&mut self.visited[hand as usize]) {
                self.hand = hand;
                self.unlink(hand);
                return Some(node.id);
            }
            hand = if node.newer == NONE { self.oldest } else { node.newer };
        }
        None
    }

    fn snapshot(&self) -> Vec<u8> {
        let mut bytes = FORM.to_vec();
        let mut next = self.oldest;
        while let Some(node) = self.nodes.get(next as usize) {
            let visited = if self.visited[next as usize] { VISITED } else { 0 };
            let hand = if self.hand == next { HAND } else { 0 };
            bytes.push(visited | hand);
            bytes.extend(node.hash.to_le_bytes());
            next = node.newer;
        }
        bytes
    }

    fn restore(&mut self, memory: &[u8]) {
        let keys = memory.strip_prefix(FORM).unwrap_or_default().as_chunks().0.iter();
        let keys = keys.map(|&[bits, a, b, c, d, e, f, g, h]| (u64::from_le_bytes([a, b, c, d, e, f, g, h]), bits));
        self.restored = keys.collect();
    }

    fn restored_place(&self, hash: u64) -> Option<usize> {
        self.restored.place(hash)
    }
}

impl Sieve {
    /// Takes a slot out of the queue; a hand that pointed to it goes on to the next newer one.
    fn unlink(&mut self, slot: u32) {
        let Node { newer, older, .. } = self.nodes[slot as usize];
        if self.hand == slot {
            self.hand = newer;
        }
        match newer {
            NONE => self.newest = older,
            newer => self.nodes[newer as usize].older = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => self.nodes[older as usize].newer = newer,
        }
    }
}

larder_sdk::export!(eviction: Sieve);

#[cfg(test)]
mod tests;
