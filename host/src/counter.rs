//! Counting from many threads at once.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;

/// Counts events and sums their sizes, without threads waiting for one another's cache lines: each adds to a stripe of
/// its own, as long as there are no more threads than such stripes, and who reads adds the stripes up.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    stripes: [Stripe; OWNED + SHARED],
}

/// How many stripes a thread can have to itself. It then adds with a load and a store in place of an atomic addition, which
/// locks the cache line.
const OWNED: usize = 16;
/// How many stripes, behind those, are for the threads that found all others taken.
const SHARED: usize = 16;

/// As long as the pair of cache lines that current processors fetch together.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe {
    count: AtomicU64,
    sum: AtomicU64,
}

/// Which stripes no thread owns, a bit each. Its lock hands the figures in a stripe on from one owner to the next.
static FREE: Mutex<u16> = Mutex::new(u16::MAX);

thread_local! {
    /// The stripe of this thread, once it has one; apart from the lease, since looking at what has a destructor costs more.
    static STRIPE: Cell<Option<usize>> = const { Cell::new(None) };
    static LEASE: Lease = Lease::take();
}

/// A stripe for as long as a thread lives.
struct Lease(usize);

impl Lease {
    fn take() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let mut free = FREE.lock();
        match free.trailing_zeros() as usize {
            OWNED.. => Self(shared(NEXT.fetch_add(1, Relaxed))),
            stripe => {
                *free &= !(1 << stripe);
                Self(stripe)
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // What is counted by destructors that run after this one.
        STRIPE.set(Some(shared(self.0)));
        if self.0 < OWNED {
            *FREE.lock() |= 1 << self.0;
        }
    }
}

fn shared(number: usize) -> usize {
    OWNED + number % SHARED
}

/// The stripe of this thread.
#[inline]
fn stripe() -> usize {
    STRIPE.get().unwrap_or_else(lease)
}

#[cold]
fn lease() -> usize {
    let stripe = LEASE.try_with(|lease| lease.0).unwrap_or(shared(0));
    STRIPE.set(Some(stripe));
    stripe
}

impl Counter {
    /// Counts an event.
    #[inline]
    pub(crate) fn count(&self) {
        let stripe = stripe();
        add(&self.stripes[stripe].count, 1, stripe);
    }

    /// Counts an event of this size.
    #[inline]
    pub(crate) fn add(&self, size: u64) {
        let stripe = stripe();
        add(&self.stripes[stripe].count, 1, stripe);
        add(&self.stripes[stripe].sum, size, stripe);
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

/// Adds to a figure of a stripe of this thread.
#[inline]
fn add(figure: &AtomicU64, more: u64, stripe: usize) {
    if stripe < OWNED {
        figure.store(figure.load(Relaxed).wrapping_add(more), Relaxed);
    } else {
        figure.fetch_add(more, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    #[test]
    fn nothing_is_lost_between_threads() {
        const THREADS: usize = OWNED + SHARED + 4;
        let counter = Counter::default();
        let all_are_there = Barrier::new(THREADS);
        // Those that begin with the second time take over stripes of the first.
        for _ in 0..2 {
            thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(|| {
                        all_are_there.wait();
                        (0..1000).for_each(|size| counter.add(size));
                        all_are_there.wait();
                    });
                }
            });
        }
        counter.count();
        let threads = 2 * THREADS as u64;
        assert_eq!((counter.events(), counter.sum()), (threads * 1000 + 1, threads * 499_500));
    }
}
