use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::moment::Moment;

/// When which entries expire, soonest first. One that went for another reason stays here until its time, or until there
/// are more such than others.
#[derive(Debug)]
pub(super) struct Expiries<H> {
    heap: BinaryHeap<Reverse<Expiry<H>>>,
}

#[derive(Debug)]
struct Expiry<H> {
    at: Moment,
    entry: H,
}

impl<H> Expiries<H> {
    pub(super) const fn new() -> Self {
        Self { heap: BinaryHeap::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Notes when an entry expires. Of those noted before, the ones that are not `current` may be forgotten; `residents`
    /// is how many can be.
    pub(super) fn push(&mut self, at: Moment, entry: H, residents: usize, current: impl Fn(&H, Moment) -> bool) {
        if self.heap.len() > 2 * residents + 64 {
            self.heap.retain(|Reverse(expiry)| current(&expiry.entry, expiry.at));
        }
        self.heap.push(Reverse(Expiry { at, entry }));
    }

    /// Takes out one that has expired by `now`, if any has.
    pub(super) fn pop(&mut self, now: Moment) -> Option<H> {
        self.heap.peek().filter(|Reverse(expiry)| expiry.at <= now)?;
        self.heap.pop().map(|Reverse(expiry)| expiry.entry)
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.heap.clear();
    }
}

impl<H> PartialEq for Expiry<H> {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl<H> Eq for Expiry<H> {}

impl<H> PartialOrd for Expiry<H> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<H> Ord for Expiry<H> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_soonest_comes_out_first_and_none_before_its_time() {
        let now = Moment::now();
        let after = |seconds| now.checked_add(Duration::from_secs(seconds)).unwrap();
        let mut expiries = Expiries::new();
        for (seconds, entry) in [(3, 'c'), (1, 'a'), (2, 'b')] {
            expiries.push(after(seconds), entry, 3, |_, _| true);
        }
        let now = after(2);
        assert_eq!([expiries.pop(now), expiries.pop(now), expiries.pop(now)], [Some('a'), Some('b'), None]);
        assert!(!expiries.is_empty());
    }

    #[test]
    fn entries_that_went_do_not_pile_up() {
        let at = Moment::now();
        let mut expiries = Expiries::new();
        for number in 0..10_000 {
            expiries.push(at, number, 1, |&other, _| other + 1 == number);
        }
        assert!(expiries.heap.len() <= 67, "{}", expiries.heap.len());
    }
}
