//! Counting from many threads at once.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize};

/// Counts events and sums their sizes, without threads waiting for one another's cache lines: each has a stripe to itself,
/// as long as there are enough, and who reads adds the stripes up.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    stripes: [Stripe; OWNED + SHARED],
}

/// Stripes that one thread at a time writes to, which so needs no locked instruction: that takes as long as a cache hit.
const OWNED: usize = 24;
/// Stripes for the threads that found none of those free.
const SHARED: usize = 8;

/// As long as the pair of cache lines that current processors fetch together.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe {
    count: AtomicU64,
    sum: AtomicU64,
}

/// The stripe of a thread, the same in all counters.
struct Claim(usize);

/// A bit for each stripe that no thread owns.
static FREE: AtomicU32 = AtomicU32::new((1 << OWNED) - 1);

impl Claim {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        // What the owner before wrote there is seen from here on.
        let claimed = FREE.fetch_update(Acquire, Relaxed, |free| (free != 0).then(|| free & (free - 1)));
        Self(match claimed {
            Ok(free) => free.trailing_zeros() as usize,
            Err(_) => OWNED + NEXT.fetch_add(1, Relaxed) % SHARED,
        })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.0 < OWNED {
            FREE.fetch_or(1 << self.0, Release);
        }
    }
}

thread_local! {
    static CLAIM: Claim = Claim::new();
}

impl Counter {
    /// Counts an event.
    #[inline]
    pub(crate) fn count(&self) {
        let (stripe, is_owned) = self.stripe();
        add(&stripe.count, 1, is_owned);
    }

    /// Counts an event of this size.
    #[inline]
    pub(crate) fn add(&self, size: u64) {
        let (stripe, is_owned) = self.stripe();
        add(&stripe.count, 1, is_owned);
        add(&stripe.sum, size, is_owned);
    }

    #[inline]
    fn stripe(&self) -> (&Stripe, bool) {
        // A thread that ends may count after it has given its stripe back.
        let index = CLAIM.try_with(|claim| claim.0).unwrap_or(OWNED);
        (&self.stripes[index], index < OWNED)
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

#[inline]
fn add(sum: &AtomicU64, value: u64, is_owned: bool) {
    if is_owned {
        sum.store(sum.load(Relaxed).wrapping_add(value), Relaxed);
    } else {
        sum.fetch_add(value, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_between_threads() {
        let counter = Counter::default();
        // More at a time than there are stripes, and stripes that pass from one to another.
        let threads = OWNED as u64 + 2 * SHARED as u64;
        for _ in 0..3 {
            std::thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| (0..1000).for_each(|size| counter.add(size)));
                }
            });
        }
        counter.count();
        assert_eq!((counter.events(), counter.sum()), (3 * threads * 1000 + 1, 3 * threads * 499_500));
    }
}
