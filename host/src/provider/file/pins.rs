use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;

/// The snapshots that are open, numbered in the order in which they were taken. What one may show stays on the disk.
#[derive(Debug, Default)]
pub(super) struct Pins {
    /// Guards the numbers; held to look, or to add or remove one.
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    taken: u64,
    numbers: BTreeSet<u64>,
}

/// Keeps all bodies that are there now, until it is dropped.
#[derive(Debug)]
pub(super) struct Pin {
    number: u64,
    pins: Arc<Pins>,
}

impl Pins {
    /// Pins what is there. A snapshot is taken after that: what was outdated before, it does not show.
    pub(super) fn pin(self: &Arc<Self>) -> Pin {
        let mut open = self.open.lock();
        open.taken += 1;
        let number = open.taken;
        open.numbers.insert(number);
        Pin { number, pins: Arc::clone(self) }
    }

    pub(super) fn oldest(&self) -> Option<u64> {
        self.open.lock().numbers.first().copied()
    }

    pub(super) fn newest(&self) -> Option<u64> {
        self.open.lock().numbers.last().copied()
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.pins.open.lock().numbers.remove(&self.number);
    }
}
