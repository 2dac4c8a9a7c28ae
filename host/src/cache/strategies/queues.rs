use crate::cache::EntryId;

/// Rows of entries, from any of which any entry can be taken out: doubly linked lists through one array indexed by slot,
/// so that an entry is in one row at a time.
#[derive(Debug)]
pub(super) struct Queues {
    nodes: Vec<Node>,
    ends: Vec<Ends>,
}

/// Which row: a number below that given to [`Queues::new`].
pub(super) type Row = u16;

#[derive(Clone, Copy, Debug)]
struct Node {
    generation: u32,
    previous: u32,
    next: u32,
    /// The row that the slot's entry is in, or [`OUTSIDE`].
    row: Row,
    weight: u64,
}

#[derive(Clone, Copy, Debug)]
struct Ends {
    first: u32,
    last: u32,
}

/// No slot.
const NONE: u32 = u32::MAX;
/// No row.
const OUTSIDE: Row = Row::MAX;

impl Queues {
    /// So many rows, all empty.
    pub(super) fn new(rows: Row) -> Self {
        Self { nodes: Vec::new(), ends: vec![Ends { first: NONE, last: NONE }; rows.into()] }
    }

    /// Appends an entry of this weight to a row. If its slot was used again within a batch, so that the removal of the
    /// entry that had it stands further down, that one goes, and its row and weight are returned.
    pub(super) fn push_back(&mut self, row: Row, id: EntryId, weight: u64) -> Option<(Row, u64)> {
        let slot = id.slot();
        let former = self.unlink(slot);
        let ends = &mut self.ends[usize::from(row)];
        let node = Node { generation: id.generation(), previous: ends.last, next: NONE, row, weight };
        if self.nodes.len() <= slot as usize {
            self.nodes.resize(slot as usize + 1, Node { row: OUTSIDE, ..node });
        }
        self.nodes[slot as usize] = node;
        match ends.last {
            NONE => ends.first = slot,
            last => self.nodes[last as usize].next = slot,
        }
        ends.last = slot;
        former
    }

    /// Moves an entry to the end of a row, if it is in any.
    #[inline]
    pub(super) fn move_to_back(&mut self, row: Row, id: EntryId) {
        let Some(node) = self.node(id) else { return };
        if node.row == row && self.ends[usize::from(row)].last == id.slot() {
            return;
        }
        let weight = node.weight;
        self.push_back(row, id, weight);
    }

    /// The first entry of a row, and its weight.
    pub(super) fn front(&self, row: Row) -> Option<(EntryId, u64)> {
        self.at(self.ends[usize::from(row)].first)
    }

    /// The entry behind `id` in its row.
    pub(super) fn behind(&self, id: EntryId) -> Option<EntryId> {
        self.at(self.node(id)?.next).map(|(id, _)| id)
    }

    /// Takes the first entry of a row out.
    pub(super) fn pop_front(&mut self, row: Row) -> Option<(EntryId, u64)> {
        let first = self.front(row)?;
        self.unlink(first.0.slot());
        Some(first)
    }

    /// Takes an entry out, and returns its row and its weight, if it is in one.
    pub(super) fn remove(&mut self, id: EntryId) -> Option<(Row, u64)> {
        self.node(id)?;
        self.unlink(id.slot())
    }

    /// Whether an entry is in any row.
    pub(super) fn contains(&self, id: EntryId) -> bool {
        self.node(id).is_some()
    }

    fn node(&self, id: EntryId) -> Option<&Node> {
        let node = self.nodes.get(id.slot() as usize)?;
        (node.row != OUTSIDE && node.generation == id.generation()).then_some(node)
    }

    fn at(&self, slot: u32) -> Option<(EntryId, u64)> {
        let node = self.nodes.get(slot as usize)?;
        Some((EntryId::new(slot, node.generation), node.weight))
    }

    fn unlink(&mut self, slot: u32) -> Option<(Row, u64)> {
        let node = self.nodes.get_mut(slot as usize)?;
        let Node { previous, next, row, weight, .. } = *node;
        if row == OUTSIDE {
            return None;
        }
        node.row = OUTSIDE;
        let ends = &mut self.ends[usize::from(row)];
        match previous {
            NONE => ends.first = next,
            previous => self.nodes[previous as usize].next = next,
        }
        match next {
            NONE => ends.last = previous,
            next => self.nodes[next as usize].previous = previous,
        }
        Some((row, weight))
    }
}

/// Takes entries from `next` until they weigh `wanted` together, at most `max_victims` of them.
pub(super) fn choose(
    wanted: u64,
    max_victims: usize,
    victims: &mut Vec<EntryId>,
    mut next: impl FnMut() -> Option<(EntryId, u64)>,
) {
    let mut freed = 0u64;
    for _ in 0..max_victims {
        if freed >= wanted {
            return;
        }
        let Some((id, weight)) = next() else { return };
        freed = freed.saturating_add(weight);
        victims.push(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(slot: u32) -> EntryId {
        EntryId::new(slot, 7)
    }

    fn drain(queues: &mut Queues, row: Row) -> Vec<u32> {
        std::iter::from_fn(|| queues.pop_front(row)).map(|(id, _)| id.slot()).collect()
    }

    #[test]
    fn entries_leave_in_order_wherever_others_were_taken_out() {
        let mut queues = Queues::new(1);
        (0..6).for_each(|slot| assert_eq!(queues.push_back(0, id(slot), 1), None));
        for slot in [0, 3, 5] {
            assert_eq!(queues.remove(id(slot)), Some((0, 1)));
        }
        queues.move_to_back(0, id(1));
        queues.push_back(0, id(3), 1);
        assert_eq!(queues.behind(id(2)), Some(id(4)));
        assert_eq!(drain(&mut queues, 0), [2, 4, 1, 3]);
        assert!(drain(&mut queues, 0).is_empty());
    }

    #[test]
    fn another_generation_of_a_slot_is_another_entry() {
        let mut queues = Queues::new(1);
        queues.push_back(0, id(0), 5);
        assert_eq!(queues.remove(EntryId::new(0, 8)), None);
        queues.move_to_back(0, EntryId::new(9, 7));
        assert_eq!(queues.front(0), Some((id(0), 5)));
        assert_eq!(queues.push_back(0, EntryId::new(0, 8), 6), Some((0, 5)), "the former one went");
        assert_eq!(queues.pop_front(0), Some((EntryId::new(0, 8), 6)));
    }

    #[test]
    fn an_entry_is_in_one_row_at_a_time() {
        let mut queues = Queues::new(2);
        (0..4).for_each(|slot| assert_eq!(queues.push_back(0, id(slot), 1), None));
        queues.move_to_back(1, id(2));
        queues.move_to_back(1, id(0));
        queues.move_to_back(1, id(0));
        assert_eq!(drain(&mut queues, 0), [1, 3]);
        assert_eq!(drain(&mut queues, 1), [2, 0]);
    }
}
