use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::events::Published;

/// Events that wait to be sent: so many at most, and how many there was no room for.
#[derive(Debug)]
pub(super) struct Queue {
    capacity: usize,
    /// Held to put events in, or to take them out.
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Arc<Published>>,
    /// How many went since the last that was told.
    lost: u64,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, state: Mutex::default(), filled: Notify::new() }
    }

    /// Puts an event behind the others, in place of the oldest if there is no room. Returns how many were lost by that.
    #[must_use]
    pub(super) fn push(&self, event: Arc<Published>) -> u64 {
        let mut state = self.state.lock();
        let full = state.waiting.len() == self.capacity;
        if full {
            state.waiting.pop_front();
            state.lost += 1;
        }
        state.waiting.push_back(event);
        drop(state);
        self.filled.notify_one();
        u64::from(full)
    }

    /// So many events never came here, or were given up.
    pub(super) fn lose(&self, count: u64) {
        self.state.lock().lost += count;
        self.filled.notify_one();
    }

    /// Waits until there is something to tell.
    pub(super) async fn wait(&self) {
        loop {
            let filled = self.filled.notified();
            if self.len() > 0 {
                return;
            }
            filled.await;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.state.lock().waiting.len()
    }

    /// How many are lost, and the oldest of the events, up to so many. They stay.
    pub(super) fn first(&self, most: usize) -> (u64, Vec<Arc<Published>>) {
        let state = self.state.lock();
        (state.lost, state.waiting.iter().take(most).cloned().collect())
    }

    /// Takes out what was told. What made room meanwhile was told too, and is not lost.
    pub(super) fn pop(&self, lost: u64, events: &[Arc<Published>]) {
        let Some(last) = events.last() else { return };
        let mut state = self.state.lock();
        let still_there = state.waiting.iter().take_while(|event| event.sequence <= last.sequence).count();
        state.waiting.drain(..still_there);
        let made_room = (events.len() - still_there) as u64;
        state.lost = state.lost.saturating_sub(lost + made_room);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(sequence: u64) -> Arc<Published> {
        Arc::new(Published { run: "run".into(), ..Published::lost("run", sequence, 0) })
    }

    fn sequences(queue: &Queue) -> (u64, Vec<u64>) {
        let (lost, events) = queue.first(100);
        (lost, events.iter().map(|event| event.sequence).collect())
    }

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let queue = Queue::new(3);
        let dropped: u64 = (1..=5).map(|sequence| queue.push(event(sequence))).sum();
        assert_eq!(dropped, 2);
        assert_eq!(sequences(&queue), (2, vec![3, 4, 5]));
        let (lost, events) = queue.first(2);
        queue.pop(lost, &events);
        assert_eq!(sequences(&queue), (0, vec![5]));
    }

    #[test]
    fn what_made_room_while_it_was_sent_is_not_lost() {
        let queue = Queue::new(3);
        (1..=3).for_each(|sequence| assert_eq!(queue.push(event(sequence)), 0));
        let (lost, events) = queue.first(2);
        (4..=6).for_each(|sequence| assert_eq!(queue.push(event(sequence)), 1));
        assert_eq!(sequences(&queue), (3, vec![4, 5, 6]));
        queue.pop(lost, &events);
        assert_eq!(sequences(&queue), (1, vec![4, 5, 6]), "the third was neither sent nor kept");
        queue.lose(2);
        assert_eq!(sequences(&queue).0, 3);
    }
}
