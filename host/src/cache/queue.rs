use super::EntryId;

/// Entries in a row, from which any can be taken out: a doubly linked list through an array indexed by slot.
#[derive(Debug, Default)]
pub(super) struct Queue {
    nodes: Vec<Node>,
    first: Option<u32>,
    last: Option<u32>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Node {
    /// Whom the slot belongs to, while that one is in the row.
    entry: Option<(EntryId, u64)>,
    previous: Option<u32>,
    next: Option<u32>,
}

impl Queue {
    /// Appends an entry of this weight.
    pub(super) fn push_back(&mut self, id: EntryId, weight: u64) {
        let slot = id.slot();
        self.unlink(slot);
        if self.nodes.len() <= slot as usize {
            self.nodes.resize(slot as usize + 1, Node::default());
        }
        let node = Node { entry: Some((id, weight)), previous: self.last, next: None };
        self.nodes[slot as usize] = node;
        match self.last {
            Some(last) => self.nodes[last as usize].next = Some(slot),
            None => self.first = Some(slot),
        }
        self.last = Some(slot);
    }

    /// Moves an entry to the end, if it is there.
    pub(super) fn move_to_back(&mut self, id: EntryId) {
        if let Some(weight) = self.remove(id) {
            self.push_back(id, weight);
        }
    }

    /// Takes the first entry out.
    pub(super) fn pop_front(&mut self) -> Option<(EntryId, u64)> {
        self.unlink(self.first?)
    }

    /// Takes the first entries out until they weigh `wanted` together, at most `max` of them.
    pub(super) fn pop_into(&mut self, wanted: u64, max: usize, out: &mut Vec<EntryId>) {
        let mut popped = 0;
        for _ in 0..max {
            if popped >= wanted {
                return;
            }
            let Some((id, weight)) = self.pop_front() else { return };
            popped += weight;
            out.push(id);
        }
    }

    /// Takes an entry out, and returns its weight, if it is there.
    pub(super) fn remove(&mut self, id: EntryId) -> Option<u64> {
        let (found, weight) = self.nodes.get(id.slot() as usize)?.entry?;
        if found != id {
            return None;
        }
        self.unlink(id.slot());
        Some(weight)
    }

    fn unlink(&mut self, slot: u32) -> Option<(EntryId, u64)> {
        let node = self.nodes.get_mut(slot as usize)?;
        let entry = node.entry.take()?;
        let Node { previous, next, .. } = *node;
        match previous {
            Some(previous) => self.nodes[previous as usize].next = next,
            None => self.first = next,
        }
        match next {
            Some(next) => self.nodes[next as usize].previous = previous,
            None => self.last = previous,
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(slot: u32) -> EntryId {
        EntryId::new(slot, 7)
    }

    fn drain(queue: &mut Queue) -> Vec<u32> {
        std::iter::from_fn(|| queue.pop_front()).map(|(id, _)| id.slot()).collect()
    }

    #[test]
    fn entries_leave_in_order_wherever_others_were_taken_out() {
        let mut queue = Queue::default();
        (0..6).for_each(|slot| queue.push_back(id(slot), 1));
        for slot in [0, 3, 5] {
            assert_eq!(queue.remove(id(slot)), Some(1));
        }
        queue.move_to_back(id(1));
        queue.push_back(id(3), 1);
        assert_eq!(drain(&mut queue), [2, 4, 1, 3]);
        assert!(drain(&mut queue).is_empty());
    }

    #[test]
    fn another_generation_of_a_slot_is_another_entry() {
        let mut queue = Queue::default();
        queue.push_back(id(0), 5);
        assert_eq!(queue.remove(EntryId::new(0, 8)), None);
        queue.move_to_back(EntryId::new(9, 7));
        assert_eq!(queue.pop_front(), Some((id(0), 5)));
    }
}
