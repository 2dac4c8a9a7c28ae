use std::num::NonZeroUsize;
use std::thread::available_parallelism;

/// Into how many parts a cache is split, each with a lock to itself, and how much each may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shards {
    /// A power of two.
    pub(super) count: usize,
    /// The most that the weights in one shard sum to.
    pub(super) capacity: u64,
}

/// Below this a part would be too small to choose well what it drops: with 4 KiB objects it holds some 3,600.
const MIN_CAPACITY: u64 = 16 * 1024 * 1024;
/// How many of the largest entries a part must hold at least.
const MIN_ENTRIES: u64 = 16;

impl Shards {
    /// Twice as many as threads run at a time, so that two seldom meet; fewer if that would make the parts too small,
    /// down to one, which chooses among all entries.
    pub(super) fn of(size_limit: u64, entry_limit: u64) -> Self {
        let wanted = available_parallelism().map_or(1, NonZeroUsize::get).next_power_of_two() * 2;
        let smallest = MIN_CAPACITY.max(entry_limit.saturating_mul(MIN_ENTRIES));
        let mut count = wanted;
        while count > 1 && size_limit / (count as u64) < smallest {
            count /= 2;
        }
        Self { count, capacity: size_limit / count as u64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn a_small_cache_is_not_split() {
        assert_eq!(Shards::of(20 * MIB, MIB), Shards { count: 1, capacity: 20 * MIB });
        assert_eq!(Shards::of(0, MIB), Shards { count: 1, capacity: 0 });
        assert_eq!(Shards::of(64 * MIB, 64 * MIB).count, 1);
    }

    #[test]
    fn a_large_cache_is_split_into_a_power_of_two() {
        let shards = Shards::of(1 << 40, MIB);
        assert!(shards.count > 1 && shards.count.is_power_of_two());
        assert_eq!(shards.capacity, (1 << 40) / shards.count as u64);
    }
}
