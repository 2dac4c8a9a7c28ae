//! W-TinyLFU, an eviction strategy that asks of a newcomer whether it is worth more than whom it would drive out. What comes
//! in goes through a small window, which drops what was not read for longest; that is then held against what the main part
//! would drop for it, and the one that was asked for less often lately goes. The main part is a segmented LRU: one read on
//! probation makes an entry protected. How often a key was asked for, also one that is not there, is known from a sketch.
//!
//! From Einziger, Friedman and Manes, *TinyLFU: A Highly Efficient Cache Admission Policy*, ACM Transactions on Storage 13(4),
//! 2017, with the sketch of their Caffeine, in which four bits a counter do without the paper's doorkeeper. An entry that is
//! heavier than what it would replace has to be worth all of it together, as in Einziger, Eytan, Friedman and Manes,
//! *Lightweight Robust Size Aware Cache Management*, ACM Transactions on Storage 18(3), 2022.
//!
//! ```yaml
//! plugins:
//!   tinylfu:
//!     source: plugins/tinylfu
//!     config:
//!       window: 1         # the window's part of the capacity, in percent, from 1 to 99; 1 if absent
//!       protected: 80     # the part of the rest that is for the protected, in percent, up to 100; 80 if absent
//! stores:
//!   documents:
//!     provider_type: file
//!     cache: { size_limit: 64MiB, eviction_policy: tinylfu }
//! ```

mod sketch;

use larder_sdk::eviction::{Queues, Restored};
use larder_sdk::{EntryId, Error, EvictionStrategy, Result};

use sketch::Sketch;

/// The queues, each from what was not read for longest to what was read last.
const WINDOW: usize = 0;
const PROBATION: usize = 1;
const PROTECTED: usize = 2;

/// What a snapshot begins with: another form has another number.
const FORM: &[u8] = b"tinylfu 1\n";

/// The window, the main part in its two segments, and the sketch.
#[derive(Debug)]
pub struct TinyLfu {
    queues: Queues<3>,
    sketch: Sketch,
    /// By slot, the hash of the entry's key.
    hashes: Vec<u64>,
    /// What the window may weigh, the main part, and the protected of it.
    window: u128,
    main: u128,
    protected: u128,
    /// The one at the front of the window, if it was found to be worth more than those that make room for it.
    admitted: Option<EntryId>,
    /// The queues of keys that were resident before a reload.
    restored: Restored<usize>,
}

/// What the operator says.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The window's part of the capacity, in percent.
    pub window: u8,
    /// The part of the rest that is for the protected, in percent.
    pub protected: u8,
}

impl Default for Config {
    /// As in the paper.
    fn default() -> Self {
        Self { window: 1, protected: 80 }
    }
}

impl EvictionStrategy for TinyLfu {
    type Config = Config;

    fn open(Config { window, protected }: Config, capacity: u64) -> Result<Self> {
        if !(1..=99).contains(&window) {
            return Err(Error::invalid_input(format!("`window` is a percentage from 1 to 99, and {window} is none")));
        }
        if protected > 100 {
            return Err(Error::invalid_input(format!("`protected` is a percentage, and {protected} is more than 100")));
        }
        let percent = |of: u128, part: u8| of * u128::from(part) / 100;
        let window = percent(capacity.into(), window);
        let main = u128::from(capacity) - window;
        Ok(Self {
            queues: Queues::new(),
            sketch: Sketch::new(),
            hashes: Vec::new(),
            window,
            main,
            protected: percent(main, protected),
            admitted: None,
            restored: Restored::default(),
        })
    }

    fn on_insert(&mut self, id: EntryId, hash: u64, weight: u64) {
        let slot = id.slot();
        if slot >= self.hashes.len() {
            self.hashes.resize(slot + 1, 0);
        }
        self.hashes[slot] = hash;
        match self.restored.get(hash) {
            Some(queue) => self.queues.push(queue, id, weight),
            None => {
                self.queues.push(WINDOW, id, weight);
                self.sketch.reserve(self.queues.len());
                self.sketch.count(hash);
            }
        }
        self.leave_window();
    }

    fn on_access(&mut self, id: EntryId) {
        self.sketch.count(self.hashes[id.slot()]);
        match self.queues.queue_of(id) {
            WINDOW => self.queues.move_to(WINDOW, id),
            _ => self.queues.move_to(PROTECTED, id),
        }
        while self.queues.weight(PROTECTED) > self.protected
            && let Some(id) = self.queues.front(PROTECTED)
        {
            self.queues.move_to(PROBATION, id);
        }
    }

    fn on_remove(&mut self, id: EntryId) {
        self.queues.remove(id);
    }

    fn victim(&mut self) -> Option<EntryId> {
        self.restored.clear();
        if let Some(candidate) = self.candidate()
            && self.admitted != Some(candidate)
        {
            if !self.is_worth_its_room(candidate) {
                self.queues.remove(candidate);
                return Some(candidate);
            }
            self.admitted = Some(candidate);
        }
        let victim = [PROBATION, PROTECTED, WINDOW].into_iter().find_map(|queue| self.queues.front(queue))?;
        self.queues.remove(victim);
        self.leave_window();
        Some(victim)
    }

    fn snapshot(&self) -> Vec<u8> {
        let mut bytes = FORM.to_vec();
        self.sketch.write(&mut bytes);
        for queue in [WINDOW, PROBATION, PROTECTED] {
            for id in self.queues.iter(queue) {
                bytes.push(queue as u8);
                bytes.extend(self.hashes[id.slot()].to_le_bytes());
            }
        }
        bytes
    }

    fn restore(&mut self, memory: &[u8]) {
        let Some((sketch, residents)) = memory.strip_prefix(FORM).and_then(Sketch::read) else { return };
        self.sketch = sketch;
        let residents =
            residents.as_chunks().0.iter().map(|&[queue, a, b, c, d, e, f, g, h]| {
                (u64::from_le_bytes([a, b, c, d, e, f, g, h]), usize::from(queue))
            });
        self.restored = residents.filter(|(_, queue)| *queue <= PROTECTED).collect();
    }

    fn restored_place(&self, hash: u64) -> Option<usize> {
        self.restored.place(hash)
    }
}

impl TinyLfu {
    /// Who leaves the window next, if it has to.
    fn candidate(&self) -> Option<EntryId> {
        self.queues.front(WINDOW).filter(|_| self.queues.weight(WINDOW) > self.window)
    }

    /// How much more the main part may weigh.
    fn room(&self) -> u128 {
        self.main.saturating_sub(self.queues.weight(PROBATION) + self.queues.weight(PROTECTED))
    }

    /// Has what the window has no room for go on probation, as far as there is room.
    fn leave_window(&mut self) {
        while let Some(id) = self.candidate()
            && u128::from(self.queues.weight_of(id)) <= self.room()
        {
            self.queues.move_to(PROBATION, id);
        }
    }

    /// Whether a candidate was asked for more often than all those together that would make room for it. These were asked
    /// for at least once if not too long ago, and a candidate counts 15 at most, so it takes no long look.
    fn is_worth_its_room(&self, candidate: EntryId) -> bool {
        let frequency = |id: EntryId| self.sketch.estimate(self.hashes[id.slot()]);
        let (mut room, mut worth) = (self.room(), 0);
        for victim in self.queues.iter(PROBATION).chain(self.queues.iter(PROTECTED)) {
            if room >= u128::from(self.queues.weight_of(candidate)) {
                break;
            }
            room += u128::from(self.queues.weight_of(victim));
            worth += frequency(victim);
            if worth >= frequency(candidate) {
                return false;
            }
        }
        room >= u128::from(self.queues.weight_of(candidate))
    }
}

larder_sdk::export!(eviction: TinyLfu);

#[cfg(test)]
mod tests;
