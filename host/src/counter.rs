//! Counting from many threads at once.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Counts events and sums their sizes, without threads waiting for one another's cache lines: each adds to a stripe of
/// its own, as long as there are no more threads than stripes, and who reads adds the stripes up.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    stripes: [Stripe; STRIPES],
}

const STRIPES: usize = 16;

/// As long as the pair of cache lines that current processors fetch together.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe {
    count: AtomicU64,
    sum: AtomicU64,
}

thread_local! {
    static STRIPE: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Relaxed) % STRIPES
    };
}

impl Counter {
    /// Counts an event.
    #[inline]
    pub(crate) fn count(&self) {
        STRIPE.with(|&stripe| self.stripes[stripe].count.fetch_add(1, Relaxed));
    }

    /// Counts an event of this size.
    #[inline]
    pub(crate) fn add(&self, size: u64) {
        STRIPE.with(|&stripe| {
            self.stripes[stripe].count.fetch_add(1, Relaxed);
            self.stripes[stripe].sum.fetch_add(size, Relaxed);
        });
    }

    /// How many events there were.
    pub(crate) fn events(&self) -> u64 {
        self.stripes.iter().map(|stripe| stripe.count.load(Relaxed)).sum()
    }

    /// The sum of their sizes.
    pub(crate) fn sum(&self) -> u64 {
        self.stripes.iter().map(|stripe| stripe.sum.load(Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_between_threads() {
        let counter = Counter::default();
        std::thread::scope(|scope| {
            for _ in 0..STRIPES + 4 {
                scope.spawn(|| (0..1000).for_each(|size| counter.add(size)));
            }
        });
        counter.count();
        let threads = STRIPES as u64 + 4;
        assert_eq!((counter.events(), counter.sum()), (threads * 1000 + 1, threads * 499_500));
    }
}
