use super::EntryId;

/// No slot: the end of a queue.
const NONE: u32 = u32::MAX;

/// Entries in some queues, each entry in one of them: doubly linked lists through one array of slots, so that any entry
/// can be taken out of the middle, and nothing is allocated but for slots that were never used.
///
/// A queue is named by its number, which is less than `N`. Only what is in a queue may be asked for or taken out: that is
/// what a strategy hears of, between its `on_insert` and its end.
///
/// ```
/// use larder_sdk::EntryId;
/// use larder_sdk::eviction::Queues;
///
/// const YOUNG: usize = 0;
/// const OLD: usize = 1;
/// let mut queues = Queues::<2>::new();
/// let [a, b] = [EntryId(0), EntryId(1)];
/// queues.push(YOUNG, a, 10);
/// queues.push(YOUNG, b, 5);
/// queues.move_to(OLD, a);
/// assert_eq!((queues.front(YOUNG), queues.queue_of(a), queues.weight(OLD)), (Some(b), OLD, 10));
/// queues.remove(b);
/// assert_eq!((queues.front(YOUNG), queues.len()), (None, 1));
/// ```
#[derive(Clone, Debug)]
pub struct Queues<const N: usize> {
    nodes: Vec<Node>,
    ends: [Ends; N],
}

#[derive(Clone, Copy, Debug)]
struct Node {
    id: EntryId,
    weight: u64,
    queue: usize,
    before: u32,
    behind: u32,
}

#[derive(Clone, Copy, Debug)]
struct Ends {
    front: u32,
    back: u32,
    len: usize,
    /// For a moment, entries may weigh more together than 64 bits hold.
    weight: u128,
}

impl<const N: usize> Queues<N> {
    /// Empty queues.
    pub const fn new() -> Self {
        Self { nodes: Vec::new(), ends: [Ends { front: NONE, back: NONE, len: 0, weight: 0 }; N] }
    }

    /// Puts an entry that is in none at the back of a queue.
    pub fn push(&mut self, queue: usize, id: EntryId, weight: u64) {
        let slot = id.slot();
        let node = Node { id, weight, queue, before: NONE, behind: NONE };
        if slot >= self.nodes.len() {
            self.nodes.resize(slot + 1, node);
        }
        self.nodes[slot] = node;
        self.link(queue, slot as u32);
    }

    /// Takes an entry out of its queue.
    pub fn remove(&mut self, id: EntryId) {
        self.unlink(id.slot() as u32);
    }

    /// Puts an entry at the back of a queue, be it another one or its own.
    pub fn move_to(&mut self, queue: usize, id: EntryId) {
        let slot = id.slot() as u32;
        if self.ends[queue].back != slot {
            self.unlink(slot);
            self.link(queue, slot);
        }
    }

    /// The entry that has been in a queue for longest.
    pub fn front(&self, queue: usize) -> Option<EntryId> {
        self.nodes.get(self.ends[queue].front as usize).map(|node| node.id)
    }

    /// The queue that an entry is in.
    pub fn queue_of(&self, id: EntryId) -> usize {
        self.nodes[id.slot()].queue
    }

    /// What an entry weighs.
    pub fn weight_of(&self, id: EntryId) -> u64 {
        self.nodes[id.slot()].weight
    }

    /// What the entries of a queue weigh together.
    pub const fn weight(&self, queue: usize) -> u128 {
        self.ends[queue].weight
    }

    /// How many entries there are in all queues.
    pub fn len(&self) -> usize {
        self.ends.iter().map(|ends| ends.len).sum()
    }

    /// Whether all queues are empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entries of a queue, from its front to its back.
    pub fn iter(&self, queue: usize) -> impl Iterator<Item = EntryId> {
        let mut next = self.ends[queue].front;
        std::iter::from_fn(move || {
            let node = self.nodes.get(next as usize)?;
            next = node.behind;
            Some(node.id)
        })
    }

    fn link(&mut self, queue: usize, slot: u32) {
        let ends = &mut self.ends[queue];
        let before = std::mem::replace(&mut ends.back, slot);
        let node = &mut self.nodes[slot as usize];
        (node.queue, node.before, node.behind) = (queue, before, NONE);
        ends.len += 1;
        ends.weight += u128::from(node.weight);
        match before {
            NONE => ends.front = slot,
            before => self.nodes[before as usize].behind = slot,
        }
    }

    fn unlink(&mut self, slot: u32) {
        let Node { weight, queue, before, behind, .. } = self.nodes[slot as usize];
        let ends = &mut self.ends[queue];
        ends.len -= 1;
        ends.weight -= u128::from(weight);
        match before {
            NONE => ends.front = behind,
            before => self.nodes[before as usize].behind = behind,
        }
        match behind {
            NONE => ends.back = before,
            behind => self.nodes[behind as usize].before = before,
        }
    }
}

impl<const N: usize> Default for Queues<N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(queues: &Queues<2>, queue: usize) -> Vec<u64> {
        queues.iter(queue).map(|id| id.0).collect()
    }

    #[test]
    fn entries_leave_and_move_from_anywhere() {
        let mut queues = Queues::<2>::new();
        (0..5).for_each(|id| queues.push(0, EntryId(id), 1 << id));
        queues.move_to(1, EntryId(2));
        queues.move_to(1, EntryId(0));
        queues.move_to(0, EntryId(3));
        queues.move_to(0, EntryId(3));
        assert_eq!((ids(&queues, 0), ids(&queues, 1)), (vec![1, 4, 3], vec![2, 0]));
        assert_eq!((queues.weight(0), queues.weight(1), queues.len()), (0b11010, 0b00101, 5));
        [4, 3, 1].into_iter().for_each(|id| queues.remove(EntryId(id)));
        assert_eq!((ids(&queues, 0), queues.front(0), queues.weight(0)), (vec![], None, 0));
        queues.remove(EntryId(0));
        assert_eq!((queues.front(1), queues.weight_of(EntryId(2)), queues.is_empty()), (Some(EntryId(2)), 4, false));
    }

    #[test]
    fn the_back_of_one_queue_moves_to_another() {
        let mut queues = Queues::<2>::new();
        queues.push(0, EntryId(0), 1);
        queues.move_to(1, EntryId(0));
        assert_eq!((ids(&queues, 0), ids(&queues, 1), queues.queue_of(EntryId(0))), (vec![], vec![0], 1));
    }

    #[test]
    fn weights_add_up_beyond_64_bits() {
        let mut queues = Queues::<2>::new();
        (0..3).for_each(|id| queues.push(0, EntryId(id), u64::MAX));
        assert_eq!(queues.weight(0), 3 * u128::from(u64::MAX));
        (0..3).for_each(|id| queues.remove(EntryId(id)));
        assert_eq!(queues.weight(0), 0);
    }
}
