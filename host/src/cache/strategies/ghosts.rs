use std::collections::{HashMap, VecDeque};

/// The keys that were dropped last, by hash, from the oldest to the newest.
#[derive(Debug, Default)]
pub(super) struct Ghosts {
    /// By hash, its number in the order.
    numbers: HashMap<u64, u64>,
    /// Hashes and numbers; those that `numbers` has otherwise, or not at all, are gone.
    order: VecDeque<(u64, u64)>,
    next: u64,
}

impl Ghosts {
    /// Puts a key behind all others, and forgets the oldest until no more than `most` are left.
    pub(super) fn push(&mut self, hash: u64, most: usize) {
        self.numbers.insert(hash, self.next);
        self.order.push_back((hash, self.next));
        self.next += 1;
        while self.numbers.len() > most
            && let Some((oldest, number)) = self.order.pop_front()
        {
            if self.numbers.get(&oldest) == Some(&number) {
                self.numbers.remove(&oldest);
            }
        }
        if self.order.len() > 2 * self.numbers.len() + 64 {
            let numbers = &self.numbers;
            self.order.retain(|(hash, number)| numbers.get(hash) == Some(number));
        }
    }

    /// Forgets a key, and says whether it was remembered.
    pub(super) fn take(&mut self, hash: u64) -> bool {
        self.numbers.remove(&hash).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_and_what_came_again_is_new() {
        let mut ghosts = Ghosts::default();
        [0, 1, 2, 3, 1, 4].into_iter().for_each(|hash| ghosts.push(hash, 4));
        assert!(!ghosts.take(0) && ghosts.take(3) && !ghosts.take(3));
        ghosts.push(5, 3);
        assert!(!ghosts.take(2), "it is older than 1, which came again");
        assert!(ghosts.take(1) && ghosts.take(4) && ghosts.take(5));
    }

    #[test]
    fn what_comes_and_goes_leaves_nothing_behind() {
        let mut ghosts = Ghosts::default();
        for _ in 0..10_000 {
            ghosts.push(7, 10);
            ghosts.take(7);
        }
        assert!(ghosts.order.len() <= 66, "{}", ghosts.order.len());
    }
}
