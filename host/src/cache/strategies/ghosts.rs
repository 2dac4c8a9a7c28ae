use std::collections::{HashMap, VecDeque};

/// Keys that were dropped, by hash, first in, first out, until what their entries weighed is more than a limit.
#[derive(Debug)]
pub(super) struct Ghosts {
    limit: u64,
    weight: u64,
    /// By hash, the number of the ghost and what its entry weighed.
    members: HashMap<u64, (u64, u64)>,
    /// Hashes and numbers; those that `members` has otherwise, or not at all, are gone.
    order: VecDeque<(u64, u64)>,
    next: u64,
}

impl Ghosts {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, weight: 0, members: HashMap::new(), order: VecDeque::new(), next: 0 }
    }

    /// Remembers a key.
    pub(super) fn push(&mut self, hash: u64, weight: u64) {
        if weight > self.limit {
            return;
        }
        self.remove(hash);
        while self.weight + weight > self.limit
            && let Some((oldest, number)) = self.order.pop_front()
        {
            if self.members.get(&oldest).is_some_and(|member| member.0 == number) {
                self.remove(oldest);
            }
        }
        if self.order.len() > 2 * self.members.len() + 64 {
            let members = &self.members;
            self.order.retain(|(hash, number)| members.get(hash).is_some_and(|member| member.0 == *number));
        }
        self.members.insert(hash, (self.next, weight));
        self.order.push_back((hash, self.next));
        self.next += 1;
        self.weight += weight;
    }

    /// Forgets a key, and says whether it was remembered.
    pub(super) fn remove(&mut self, hash: u64) -> bool {
        let removed = self.members.remove(&hash);
        self.weight -= removed.map_or(0, |(_, weight)| weight);
        removed.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_when_their_weights_are_over_the_limit() {
        let mut ghosts = Ghosts::new(10);
        (0..4).for_each(|hash| ghosts.push(hash, 3));
        assert!(!ghosts.remove(0));
        ghosts.push(1, 3);
        ghosts.push(4, 3);
        assert!(!ghosts.remove(2), "1 came again, so 2 is the oldest");
        assert!(ghosts.remove(1) && ghosts.remove(3) && ghosts.remove(4));
        ghosts.push(5, 11);
        assert!(!ghosts.remove(5));
        assert_eq!(ghosts.weight, 0);
    }

    #[test]
    fn what_comes_and_goes_leaves_nothing_behind() {
        let mut ghosts = Ghosts::new(10);
        for _ in 0..10_000 {
            ghosts.push(7, 1);
            ghosts.remove(7);
        }
        assert!(ghosts.order.len() <= 66, "{}", ghosts.order.len());
    }
}
