use super::queues::choose;
use crate::cache::{Batch, EntryId, EvictionStrategy};
use crate::error::Result;

/// Drops the first entry, in the order of the slots, that was not read since a hand last passed it.
///
/// CLOCK, or second chance (Corbató, *A paging experiment with the Multics system*, 1969). It is what stands in for a
/// strategy that failed, since of all there are it is made soonest of what is there.
#[derive(Debug)]
pub(in crate::cache) struct Clock {
    frames: Vec<Frame>,
    hand: usize,
    residents: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Frame {
    generation: u32,
    visited: bool,
    /// 0 where no entry is.
    weight: u64,
}

impl Clock {
    pub(in crate::cache) fn new(_capacity: u64) -> Self {
        Self { frames: Vec::new(), hand: 0, residents: 0 }
    }

    fn frame(&mut self, id: EntryId) -> Option<&mut Frame> {
        let frame = self.frames.get_mut(id.slot() as usize)?;
        (frame.weight > 0 && frame.generation == id.generation()).then_some(frame)
    }

    fn insert(&mut self, id: EntryId, weight: u64) {
        let slot = id.slot() as usize;
        if slot >= self.frames.len() {
            self.frames.resize(slot + 1, Frame::default());
        }
        self.residents += usize::from(self.frames[slot].weight == 0);
        self.frames[slot] = Frame { generation: id.generation(), visited: false, weight: weight.max(1) };
    }

    fn remove(&mut self, id: EntryId) {
        if let Some(frame) = self.frame(id) {
            frame.weight = 0;
            self.residents -= 1;
        }
    }

    fn victim(&mut self) -> Option<(EntryId, u64)> {
        if self.residents == 0 {
            return None;
        }
        // Ends: a round clears every bit.
        loop {
            let slot = self.hand % self.frames.len();
            self.hand = slot + 1;
            let frame = &mut self.frames[slot];
            if frame.weight > 0 && !std::mem::take(&mut frame.visited) {
                let victim = (EntryId::new(slot as u32, frame.generation), frame.weight);
                frame.weight = 0;
                self.residents -= 1;
                return Some(victim);
            }
        }
    }
}

impl EvictionStrategy for Clock {
    fn step(&mut self, batch: &Batch, wanted: u64, max_victims: usize, victims: &mut Vec<EntryId>) -> Result<()> {
        for (&id, &weight) in batch.inserted.iter().zip(&batch.weights) {
            self.insert(EntryId(id), weight);
        }
        for &id in &batch.accessed {
            if let Some(frame) = self.frame(EntryId(id)) {
                frame.visited = true;
            }
        }
        for &id in &batch.removed {
            self.remove(EntryId(id));
        }
        choose(wanted, max_victims, victims, || self.victim());
        Ok(())
    }
}

super::factory!(Clock, "clock");
