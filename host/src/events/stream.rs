use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::broadcast::{self, Receiver, Sender};

use super::{Event, Published};
use crate::object::now;

/// How many events are kept for subscribers that are behind.
const KEPT: usize = 8192;

/// The events of a host. Cloning shares the stream.
#[derive(Clone)]
pub struct EventStream(Arc<Inner>);

struct Inner {
    run: Arc<str>,
    sender: Sender<Arc<Published>>,
    /// How many events there were; held while one is told, so that they come in the order of their numbers.
    count: Mutex<u64>,
}

/// One that keeps some thousands of events, of a run of its own.
impl Default for EventStream {
    fn default() -> Self {
        Self::with_capacity(KEPT)
    }
}

impl EventStream {
    /// A stream that keeps so many events, or a few more, for subscribers that are behind.
    pub fn with_capacity(capacity: usize) -> Self {
        let (sender, _) = broadcast::channel(capacity);
        let run = ulid::Ulid::generate().to_string().into();
        Self(Arc::new(Inner { run, sender, count: Mutex::default() }))
    }

    /// Tells all subscribers of an event. It is put together only if there is one.
    pub fn publish(&self, event: impl FnOnce() -> Event) {
        let Inner { run, sender, count } = &*self.0;
        if sender.receiver_count() == 0 {
            return;
        }
        let event = event();
        let mut count = count.lock();
        *count += 1;
        let published = Published { run: Arc::clone(run), sequence: *count, time: now(), event };
        // The last subscriber may have gone just now.
        let _ = sender.send(Arc::new(published));
    }

    /// Tells of what happens from now on.
    pub fn subscribe(&self) -> Subscription {
        Subscription { run: Arc::clone(&self.0.run), receiver: self.0.sender.subscribe() }
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream").field("run", &self.0.run).finish_non_exhaustive()
    }
}

/// One that is told of events.
#[derive(Debug)]
pub struct Subscription {
    run: Arc<str>,
    receiver: Receiver<Arc<Published>>,
}

/// What a subscriber is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// The next event.
    Event(Arc<Published>),
    /// So many events came and went while nobody listened here.
    Lost(u64),
}

impl Subscription {
    /// The run whose events these are.
    pub fn run(&self) -> &Arc<str> {
        &self.run
    }

    /// Waits for the next event; `None` when the host has ended. Nothing is lost if this is dropped half way.
    pub async fn next(&mut self) -> Option<Told> {
        match self.receiver.recv().await {
            Ok(event) => Some(Told::Event(event)),
            Err(RecvError::Lagged(count)) => Some(Told::Lost(count)),
            Err(RecvError::Closed) => None,
        }
    }

    /// What is there already, without waiting.
    pub fn try_next(&mut self) -> Option<Told> {
        match self.receiver.try_recv() {
            Ok(event) => Some(Told::Event(event)),
            Err(TryRecvError::Lagged(count)) => Some(Told::Lost(count)),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::EventType;

    #[tokio::test]
    async fn who_does_not_keep_up_is_told_how_much_is_gone() {
        let stream = EventStream::with_capacity(4);
        stream.publish(|| unreachable!("nobody wants to know"));
        let (mut quick, mut slow) = (stream.subscribe(), stream.subscribe());
        for count in 1..=10 {
            stream.publish(|| Event::lost(count));
            let Some(Told::Event(event)) = quick.next().await else { panic!("it keeps up") };
            assert_eq!((event.sequence, event.event.kind), (count, EventType::EventsLost));
        }
        assert_eq!(slow.next().await, Some(Told::Lost(6)));
        for sequence in 7..=10 {
            let Some(Told::Event(event)) = slow.next().await else { panic!("these are kept") };
            assert_eq!(event.sequence, sequence);
        }
        drop(stream);
        assert_eq!(slow.next().await, None);
    }

    #[tokio::test]
    async fn an_event_is_written_as_a_cloud_event() {
        let stream = EventStream::default();
        let mut subscription = stream.subscribe();
        let (store, key) = ("documents".parse().unwrap(), "a/b".parse().unwrap());
        let about = crate::events::ObjectEvent { size: Some(3), ..Default::default() };
        stream.publish(|| Event::of_object(EventType::ObjectCreated, &store, &key, &about));
        let Some(Told::Event(event)) = subscription.next().await else { panic!("there is one") };
        let written = serde_json::to_value(&*event).unwrap();
        assert_eq!(written["id"], format!("{}-1", subscription.run()));
        let of = |name: &str| written[name].as_str().unwrap().to_owned();
        assert_eq!((of("specversion"), of("source")), ("1.0".to_owned(), "/stores/documents".to_owned()));
        assert_eq!((of("type"), of("subject")), ("object.created".to_owned(), "a/b".to_owned()));
        assert_eq!(written["data"]["size"], 3);
    }
}
