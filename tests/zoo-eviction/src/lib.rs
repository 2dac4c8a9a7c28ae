//! An eviction strategy that misbehaves: what the host must survive, and what the contract must name.
//!
//! It is written against the interface itself, since the SDK would mend much of it. `fault` in its settings says how it
//! misbehaves; without, it is first in, first out, as it should be.
#![cfg(target_arch = "wasm32")]

#[allow(missing_debug_implementations, unreachable_pub, dead_code, clippy::all)]
mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "eviction-strategy-with-memory" });
}

use std::cell::RefCell;
use std::collections::BTreeMap;

use bindings::exports::larder::plugin::eviction::{Batch, EntryId, Guest};
use bindings::exports::larder::plugin::eviction_memory;
use bindings::larder::plugin::types::{Error, ErrorKind};

/// A way to misbehave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Fault {
    /// Panics when it is opened.
    PanicAtOpen,
    /// Panics when it is asked for victims.
    Trap,
    /// Computes for ever when it is asked for victims.
    Loop,
    /// Takes memory without end.
    Bomb,
    /// Calls itself until the stack is used up.
    Overflow,
    /// Takes no shard whose capacity is 0.
    NoSmallShard,
    /// Names an entry that never was.
    Stranger,
    /// Names what it dropped again.
    Undead,
    /// Names what was removed.
    Removed,
    /// Names each victim twice.
    Duplicate,
    /// Stops at half of what is wanted.
    TooFew,
    /// Names more than it may.
    TooMany,
    /// Names all that it may, whatever is wanted.
    Greedy,
    /// Names one when nothing is wanted.
    Unwanted,
    /// Never names the last one.
    NeverLast,
    /// Knows entries by their slots alone.
    SlotOnly,
    /// Keeps weights in 32 bits.
    Narrow,
    /// Remembers the hash of every key that ever was.
    Leak,
    /// Panics at a batch of more than 1,000 events.
    SmallBatch,
    /// Takes an entry for the one that had the same hash.
    ByHash,
    /// Panics at a snapshot that it did not write.
    OwnSnapshot,
    /// Believes what stands at the beginning of a snapshot of how long it is.
    TrustSnapshot,
    /// Remembers entries by their ids, and takes those that it is handed for residents.
    RememberIds,
    /// Puts all that it knows into a snapshot, and keeps nothing.
    HandOver,
    /// Puts the hash of every key that ever was into a snapshot.
    Hoard,
    /// Panics when it is to hand over a snapshot.
    TrapSnapshot,
    /// Computes for ever when it is to hand over a snapshot.
    LoopSnapshot,
    /// Hands over more than an answer may have.
    FloodSnapshot,
    /// Computes for ever over what it is handed.
    LoopRestore,
    /// Takes memory without end for what it is handed.
    BombRestore,
}

#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    fault: Option<Fault>,
}

#[derive(Default)]
struct Strategy {
    fault: Option<Fault>,
    /// By order of arrival.
    queue: BTreeMap<u64, Entry>,
    /// Where each entry stands in the queue.
    places: BTreeMap<u64, u64>,
    arrivals: u64,
    gone: Vec<EntryId>,
    hashes: Vec<u64>,
}

#[derive(Clone, Copy)]
struct Entry {
    id: EntryId,
    hash: u64,
    weight: u64,
}

thread_local! {
    static STRATEGY: RefCell<Strategy> = RefCell::default();
}

struct Component;

impl Guest for Component {
    fn open(settings: String, capacity: u64) -> Result<(), Error> {
        let config: Option<Config> = serde_json::from_str(&settings).map_err(|error| Error {
            kind: ErrorKind::InvalidInput,
            code: String::new(),
            message: error.to_string(),
            retry_after: None,
        })?;
        let fault = config.unwrap_or_default().fault;
        assert!(fault != Some(Fault::PanicAtOpen), "a panic was asked for");
        assert!(fault != Some(Fault::NoSmallShard) || capacity > 0, "a shard of nothing");
        STRATEGY.set(Strategy { fault, ..Strategy::default() });
        Ok(())
    }

    fn step(events: Batch, wanted: u64, max_victims: u32) -> Vec<EntryId> {
        STRATEGY.with_borrow_mut(|strategy| {
            strategy.note(&events);
            strategy.choose(wanted, max_victims as usize)
        })
    }
}

/// What a snapshot begins with. There is nothing for a queue to remember, so a healthy one has no more.
const FORM: &[u8] = b"zoo 1\n";

impl eviction_memory::Guest for Component {
    fn snapshot() -> Vec<u8> {
        STRATEGY.with_borrow_mut(|strategy| {
            match strategy.fault {
                Some(Fault::TrapSnapshot) => panic!("a trap was asked for"),
                Some(Fault::LoopSnapshot) => spin(),
                Some(Fault::FloodSnapshot) => return vec![7; 24 << 20],
                _ => {}
            }
            let entries = match strategy.fault {
                Some(Fault::HandOver) => std::mem::take(&mut strategy.queue),
                _ => strategy.queue.clone(),
            };
            let remembered = match strategy.fault {
                Some(Fault::RememberIds) => entries.values().map(|entry| entry.id).collect(),
                Some(Fault::TrustSnapshot) => vec![entries.len() as u64],
                Some(Fault::Hoard) => strategy.hashes.clone(),
                _ => Vec::new(),
            };
            [FORM.to_vec(), remembered.into_iter().flat_map(u64::to_le_bytes).collect()].concat()
        })
    }

    fn restore(memory: Vec<u8>) {
        STRATEGY.with_borrow_mut(|strategy| {
            match strategy.fault {
                Some(Fault::LoopRestore) => spin(),
                Some(Fault::BombRestore) => bomb(),
                _ => {}
            }
            let remembered = memory.strip_prefix(FORM);
            assert!(strategy.fault != Some(Fault::OwnSnapshot) || remembered.is_some(), "what is that?");
            let mut numbers =
                remembered.unwrap_or_default().as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
            match strategy.fault {
                Some(Fault::RememberIds) => numbers.for_each(|id| strategy.insert(id, 0, 1)),
                Some(Fault::TrustSnapshot) => {
                    let count = numbers.next().unwrap_or_default() as usize;
                    strategy.hashes = std::hint::black_box(Vec::with_capacity(count));
                }
                _ => {}
            }
        });
    }
}

fn spin() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

fn bomb() -> ! {
    loop {
        std::mem::forget(std::hint::black_box(vec![1u8; 1 << 20]));
    }
}

impl Strategy {
    fn note(&mut self, events: &Batch) {
        let count = events.inserted.len() + events.accessed.len() + events.removed.len();
        assert!(self.fault != Some(Fault::SmallBatch) || count <= 1_000, "a batch of {count} events");
        for ((&id, &hash), &weight) in events.inserted.iter().zip(&events.hashes).zip(&events.weights) {
            if matches!(self.fault, Some(Fault::Leak | Fault::Hoard)) {
                self.hashes.push(hash);
            }
            let weight = if self.fault == Some(Fault::Narrow) { u64::from(weight as u32) } else { weight };
            self.insert(id, hash, weight);
        }
        for &id in &events.removed {
            let name = match self.fault {
                Some(Fault::Removed) => continue,
                Some(Fault::ByHash) => self.queue.values().find(|entry| entry.id == id).map_or(id, |entry| entry.hash),
                _ => self.name(id, 0),
            };
            if let Some(place) = self.places.remove(&name) {
                self.queue.remove(&place);
            }
        }
    }

    fn insert(&mut self, id: EntryId, hash: u64, weight: u64) {
        self.arrivals += 1;
        if let Some(former) = self.places.insert(self.name(id, hash), self.arrivals) {
            self.queue.remove(&former);
        }
        self.queue.insert(self.arrivals, Entry { id, hash, weight });
    }

    /// What it knows an entry by.
    fn name(&self, id: EntryId, hash: u64) -> u64 {
        match self.fault {
            Some(Fault::ByHash) => hash,
            Some(Fault::SlotOnly) => u64::from(id as u32),
            _ => id,
        }
    }

    fn choose(&mut self, wanted: u64, max_victims: usize) -> Vec<EntryId> {
        let mut victims = Vec::new();
        let (mut wanted, mut max_victims) = (wanted, max_victims);
        match self.fault {
            Some(Fault::Unwanted) if wanted == 0 => wanted = 1,
            _ if wanted == 0 => return victims,
            Some(Fault::Trap) => panic!("a trap was asked for"),
            Some(Fault::Loop) => spin(),
            Some(Fault::Bomb) => bomb(),
            Some(Fault::Overflow) => {
                std::hint::black_box(descend(1));
            }
            Some(Fault::Stranger) => victims.push(u64::MAX - 7),
            Some(Fault::Undead) => victims.extend(self.gone.last()),
            Some(Fault::TooFew) => wanted /= 2,
            Some(Fault::TooMany) => max_victims = max_victims.saturating_add(1),
            Some(Fault::Greedy) => wanted = u64::MAX,
            _ => {}
        }
        let mut freed = 0u64;
        while freed < wanted && victims.len() < max_victims {
            if self.fault == Some(Fault::NeverLast) && self.queue.len() == 1 {
                break;
            }
            let Some((_, Entry { id, hash, weight })) = self.queue.pop_first() else { break };
            self.places.remove(&self.name(id, hash));
            freed = freed.saturating_add(weight);
            victims.push(id);
            if self.fault == Some(Fault::Duplicate) {
                victims.push(id);
            }
            self.gone.push(id);
            let remembered = self.gone.len().saturating_sub(8);
            self.gone.drain(..remembered);
        }
        victims
    }
}

/// Goes deeper than any stack is, and needs what it finds there on its way back, so that no loop can be made of it.
#[allow(unconditional_recursion, reason = "that is what it is for")]
fn descend(depth: u64) -> u64 {
    let here = std::hint::black_box([depth; 64]);
    descend(depth + 1) + here[depth as usize % 64]
}

bindings::export!(Component with_types_in bindings);
