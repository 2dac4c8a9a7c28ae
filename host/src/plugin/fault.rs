//! What went wrong in a plugin, for its callers and for the operator.

use std::time::Duration;

use tracing::error;
use wasmtime::Trap;

use super::clock::Elapsed;
use super::limits::Limiter;
use crate::error::Error;

/// Why an instance is of no more use.
#[derive(Debug)]
pub(super) enum Fault {
    /// It trapped, or broke the rules of the component model.
    Trap(wasmtime::Error),
    /// It did not answer in time.
    Timeout,
}

impl From<Elapsed> for Fault {
    fn from(_: Elapsed) -> Self {
        Self::Timeout
    }
}

impl Fault {
    /// Tells the operator, once, with the guest's backtrace; and makes the error that the caller gets.
    pub(super) fn report(self, plugin: &str, operation: &str, limit: Duration, limiter: &Limiter) -> Error {
        let error = match &self {
            Self::Timeout => timeout(plugin, operation, limit),
            Self::Trap(trap) => match (limiter.breach(), trap.downcast_ref::<Trap>()) {
                (Some(breach), _) => Error::exhausted(format!("the plugin {plugin} was stopped: {breach}")),
                (None, Some(Trap::Interrupt)) => timeout(plugin, operation, limit),
                (None, Some(trap)) => Error::unavailable(format!("the plugin {plugin} failed: {trap}")),
                (None, None) => Error::unavailable(format!("the plugin {plugin} failed: {}", trap.root_cause())),
            },
        };
        match self {
            Self::Timeout => error!(plugin, operation, "{error}; the instance is dropped"),
            Self::Trap(trap) => error!(plugin, operation, "{error}; the instance is dropped\n{trap:?}"),
        }
        error
    }
}

/// What callers get whose calls ran beside one that took too long.
pub(super) fn interrupted(plugin: &str) -> Error {
    Error::unavailable(format!("the plugin {plugin} was restarted, since another call did not end in time"))
}

fn timeout(plugin: &str, operation: &str, limit: Duration) -> Error {
    let limit = humantime::format_duration(limit);
    Error::timeout(format!("the plugin {plugin} did not finish {operation} within {limit} (limits.call_timeout)"))
}
