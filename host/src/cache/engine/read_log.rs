use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::cache::EntryId;

/// The latest reads of a shard, in order.
///
/// Readers, who hold the shard's read lock, write into a ring; whoever holds its write lock takes them out. That lock
/// orders the two, so the atomics need no ordering of their own. When the ring runs over, the oldest reads are lost.
/// Readers that meet may overwrite one another's reads: a strategy is told a sample, so that no hit pays for an atomic
/// addition.
#[derive(Debug)]
pub(super) struct ReadLog {
    count: AtomicUsize,
    ids: Box<[AtomicU64]>,
}

/// A power of two. Of the sizes tried in the prototype, 1,024 gave the best speed at no loss of hits.
const LEN: usize = 1024;

impl ReadLog {
    pub(super) fn new() -> Self {
        Self { count: AtomicUsize::new(0), ids: (0..LEN).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Notes a read, and says whether this one filled the ring.
    pub(super) fn record(&self, id: EntryId) -> bool {
        let index = self.count.load(Relaxed);
        self.count.store(index + 1, Relaxed);
        self.ids[index % LEN].store(id.0, Relaxed);
        index % LEN == LEN - 1
    }

    /// Appends the reads to `out`, and forgets them.
    pub(super) fn drain_into(&mut self, out: &mut Vec<u64>) {
        let count = std::mem::take(self.count.get_mut());
        let oldest = count.saturating_sub(LEN);
        out.extend((oldest..count).map(|index| *self.ids[index % LEN].get_mut()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_reads_come_out_in_order() {
        let mut log = ReadLog::new();
        let mut reads = Vec::new();
        for id in 0..3 {
            assert!(!log.record(EntryId(id)));
        }
        log.drain_into(&mut reads);
        assert_eq!(reads, [0, 1, 2]);
        reads.clear();
        let filled = (0..LEN as u64 + 10).filter(|&id| log.record(EntryId(id))).count();
        log.drain_into(&mut reads);
        assert_eq!((filled, reads.len(), reads[0], reads[LEN - 1]), (1, LEN, 10, LEN as u64 + 9));
        reads.clear();
        log.drain_into(&mut reads);
        assert!(reads.is_empty());
    }
}
