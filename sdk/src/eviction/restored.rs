/// What a snapshot told of the keys that were resident, in the order in which they stood, until they come in again.
///
/// ```
/// use larder_sdk::eviction::Restored;
///
/// let mut restored: Restored<bool> = [(70, true), (7, false)].into_iter().collect();
/// assert_eq!((restored.get(7), restored.place(7)), (Some(false), Some(1)));
/// assert_eq!(restored.get(8), None);
/// restored.clear();
/// assert_eq!(restored.get(7), None);
/// ```
#[derive(Clone, Debug)]
pub struct Restored<T> {
    /// Hash, place and the rest, in order of the hashes: less memory than a map, which is used once.
    keys: Vec<(u64, usize, T)>,
}

impl<T: Copy> Restored<T> {
    /// What was told of the key with this hash.
    pub fn get(&self, hash: u64) -> Option<T> {
        self.find(hash).map(|(_, _, told)| *told)
    }

    /// Where it stood among all of them: for [`restored_place`](super::EvictionStrategy::restored_place).
    pub fn place(&self, hash: u64) -> Option<usize> {
        self.find(hash).map(|(_, place, _)| *place)
    }

    /// How many keys there are.
    pub const fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Forgets all. To be called when the first victim is chosen: by then, all that are still there have come in.
    pub fn clear(&mut self) {
        self.keys = Vec::new();
    }

    fn find(&self, hash: u64) -> Option<&(u64, usize, T)> {
        self.keys.binary_search_by_key(&hash, |(hash, ..)| *hash).ok().map(|at| &self.keys[at])
    }
}

impl<T> Default for Restored<T> {
    fn default() -> Self {
        Self { keys: Vec::new() }
    }
}

/// From hashes and what is told of them, in the order in which the keys stood.
impl<T> FromIterator<(u64, T)> for Restored<T> {
    fn from_iter<I: IntoIterator<Item = (u64, T)>>(keys: I) -> Self {
        let keys = keys.into_iter().enumerate().map(|(place, (hash, told))| (hash, place, told));
        let mut keys: Vec<_> = keys.collect();
        keys.sort_unstable_by_key(|&(hash, place, _)| (hash, place));
        Self { keys }
    }
}
