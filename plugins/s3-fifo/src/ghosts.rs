use std::collections::BTreeMap;

/// The keys that were dropped last, by their hashes, from the oldest to the newest. Touched on misses alone.
#[derive(Debug, Default)]
pub(crate) struct Ghosts {
    /// Hashes by the order in which they came.
    hashes: BTreeMap<u64, u64>,
    /// Where each hash stands in that order.
    places: BTreeMap<u64, u64>,
    came: u64,
}

impl Ghosts {
    /// Puts a hash behind all others.
    pub(crate) fn push(&mut self, hash: u64) {
        self.came += 1;
        if let Some(former) = self.places.insert(hash, self.came) {
            self.hashes.remove(&former);
        }
        self.hashes.insert(self.came, hash);
    }

    /// Takes a hash out; whether it was there.
    pub(crate) fn take(&mut self, hash: u64) -> bool {
        self.places.remove(&hash).and_then(|place| self.hashes.remove(&place)).is_some()
    }

    /// Forgets the oldest until no more than `most` are left.
    pub(crate) fn trim(&mut self, most: usize) {
        while self.hashes.len() > most {
            if let Some((_, oldest)) = self.hashes.pop_first() {
                self.places.remove(&oldest);
            }
        }
    }

    /// From the oldest to the newest.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> {
        self.hashes.values().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_and_what_came_again_is_new() {
        let mut ghosts = Ghosts::default();
        [1, 2, 3, 1, 4].into_iter().for_each(|hash| ghosts.push(hash));
        assert_eq!(ghosts.iter().collect::<Vec<_>>(), [2, 3, 1, 4]);
        assert!(ghosts.take(3) && !ghosts.take(3));
        ghosts.trim(2);
        assert_eq!(ghosts.iter().collect::<Vec<_>>(), [1, 4]);
        assert!(!ghosts.take(2));
    }
}
