use std::num::NonZeroUsize;
use std::thread::available_parallelism;

/// Into how many parts a cache is split, each with a lock to itself: `per_thread` for each thread that runs at a time, so
/// that two seldom meet; fewer if a part would then have a smaller share than `smallest` of `limit`, down to one, which
/// chooses among all entries. A power of two, as `per_thread` is to be.
pub(in crate::cache) fn shards(limit: u64, smallest: u64, per_thread: usize) -> usize {
    let mut count = available_parallelism().map_or(1, NonZeroUsize::get).next_power_of_two() * per_thread;
    while count > 1 && limit / (count as u64) < smallest {
        count /= 2;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_cache_is_not_split() {
        assert_eq!(shards(20, 16, 2), 1);
        assert_eq!(shards(0, 16, 2), 1);
    }

    #[test]
    fn a_large_cache_is_split_into_a_power_of_two() {
        let count = shards(1 << 40, 16, 2);
        assert!(count > 1 && count.is_power_of_two());
        assert!((count..4 * count).contains(&shards(count as u64 * 16, 16, 2).max(count)));
        assert_eq!(shards(count as u64 * 16 - 1, 16, 2), count / 2);
    }
}
