//! The host interfaces that a provider plugin may be granted.

mod in_flight;
mod secrets;
mod state;

pub(super) use in_flight::{InFlight, Permit};
