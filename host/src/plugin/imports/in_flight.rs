use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Result};

/// How many calls of an instance the host works on at once.
const CALLS: usize = 1024;
/// How many bytes these calls may have brought with them, all together.
const BYTES: usize = 64 << 20;

/// What an instance has asked of the host and not yet been answered.
///
/// A guest may begin any number of calls without waiting for one, and what it passed lies in the host's memory until the
/// call ends.
#[derive(Debug)]
pub(in super::super) struct InFlight {
    calls: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
}

/// A place among the calls in flight, given back when it is dropped.
#[derive(Debug)]
pub(in super::super) struct Permit {
    _call: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

impl InFlight {
    /// Takes a place for a call that brought so many bytes.
    ///
    /// # Errors
    /// [`Error::Exhausted`] if there are too many.
    pub(in super::super) fn begin(&self, bytes: usize) -> Result<Permit> {
        let full = || {
            Error::exhausted(format!(
                "the plugin has {CALLS} calls to the host in flight, or {BYTES} bytes in them; it must wait for some to end"
            ))
        };
        let call = Arc::clone(&self.calls).try_acquire_owned().map_err(|_| full())?;
        let bytes = u32::try_from(bytes).map_err(|_| full())?;
        let bytes = Arc::clone(&self.bytes).try_acquire_many_owned(bytes).map_err(|_| full())?;
        Ok(Permit { _call: call, _bytes: bytes })
    }
}

impl Default for InFlight {
    fn default() -> Self {
        Self { calls: Arc::new(Semaphore::new(CALLS)), bytes: Arc::new(Semaphore::new(BYTES)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_their_bytes_are_bounded() {
        let in_flight = InFlight::default();
        let permits: Vec<Permit> = (0..64).map(|_| in_flight.begin(1 << 20).unwrap()).collect();
        assert!(matches!(in_flight.begin(1), Err(Error::Exhausted { .. })));
        let rest: Vec<Permit> = (64..CALLS).map(|_| in_flight.begin(0).unwrap()).collect();
        assert!(matches!(in_flight.begin(0), Err(Error::Exhausted { .. })));
        drop((permits, rest));
        assert!(in_flight.begin(BYTES).is_ok());
        assert!(in_flight.begin(usize::MAX).is_err());
    }
}
