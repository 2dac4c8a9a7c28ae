//! What happens in a host, told to whoever wants to know as it happens.
//!
//! [Events](Event) go through one bounded [`EventStream`]. Whoever does not keep up with it loses the oldest ones, and is told
//! how many; nobody waits for a subscriber, and without one an event costs a look at a counter.

mod event;
mod filter;
mod stream;

pub use event::{Event, EventType, ObjectEvent, Published};
pub use filter::EventFilter;
pub use stream::{EventStream, Subscription, Told};
