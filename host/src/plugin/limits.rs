use std::time::Duration;

use wasmtime::ResourceLimiter;

use super::Kind;

/// What one plugin may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of linear memory, summed over the memories of one instance.
    pub memory: usize,
    /// Entries of tables, summed over the tables of one instance.
    pub table_entries: usize,
    /// Wall time of one call, not counting the time that it waits for its caller to send or to take bytes. Unless it is
    /// set, a call may take [`Limits::CALL_TIMEOUT`], and one of an eviction strategy [`Limits::STEP_TIMEOUT`].
    pub call_timeout: Option<Duration>,
    /// How many instances a provider may have, and so how many calls run side by side. A plugin that keeps data in its
    /// memory must have 1.
    pub instances: usize,
    /// The most bytes of an object that cross in one piece; more come as a stream.
    pub whole_body: usize,
    /// The largest component, in bytes.
    pub component_size: u64,
}

impl Limits {
    /// How long a call may take unless it is set.
    pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);
    /// How long a call of an eviction strategy may take unless it is set: a shard of the cache waits for it.
    pub const STEP_TIMEOUT: Duration = Duration::from_millis(50);

    /// How long a call of a plugin of this kind may take.
    pub fn timeout(&self, kind: Kind) -> Duration {
        self.call_timeout.unwrap_or(match kind {
            Kind::Provider | Kind::Lifecycle => Self::CALL_TIMEOUT,
            Kind::Eviction => Self::STEP_TIMEOUT,
        })
    }
}

/// One instance with 64 MiB, and bodies of 1 MiB in one piece: more than any first-party plugin needs.
impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 64 << 20,
            table_entries: 100_000,
            call_timeout: None,
            instances: 1,
            whole_body: 1 << 20,
            component_size: 64 << 20,
        }
    }
}

/// Counts what one instance has, and says no to what goes beyond.
#[derive(Debug)]
pub(super) struct Limiter {
    memory: Budget,
    tables: Budget,
    breach: Option<String>,
}

#[derive(Debug)]
struct Budget {
    limit: usize,
    used: usize,
}

impl Budget {
    fn grow(&mut self, current: usize, desired: usize) -> bool {
        let used = self.used.saturating_sub(current).saturating_add(desired);
        let fits = used <= self.limit;
        if fits {
            self.used = used;
        }
        fits
    }
}

impl Limiter {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            memory: Budget { limit: limits.memory, used: 0 },
            tables: Budget { limit: limits.table_entries, used: 0 },
            breach: None,
        }
    }

    /// The limit that was hit, if one was.
    pub(super) fn breach(&self) -> Option<&str> {
        self.breach.as_deref()
    }

    fn refuse(&mut self, message: String) -> wasmtime::Error {
        let error = wasmtime::Error::msg(message.clone());
        self.breach = Some(message);
        error
    }
}

/// Refusing is an error, not a failed growth: a guest that is told no goes on to abort with a bare `unreachable`, and
/// nobody would know why.
impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if self.memory.grow(current, desired) {
            return Ok(true);
        }
        let limit = self.memory.limit;
        Err(self.refuse(format!("it wanted {desired} bytes of memory, and its limit is {limit} (limits.memory)")))
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if self.tables.grow(current, desired) {
            return Ok(true);
        }
        let limit = self.tables.limit;
        Err(self.refuse(format!("it wanted a table of {desired} entries, and its limit is {limit} in all")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_summed_over_the_instance() {
        let mut limiter = Limiter::new(&Limits { memory: 100, ..Limits::default() });
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(limiter.memory_growing(0, 30, None).unwrap());
        assert!(limiter.memory_growing(30, 41, None).is_err());
        assert!(limiter.breach().unwrap().contains("limits.memory"));
        assert!(limiter.memory_growing(30, 40, None).unwrap());
        assert!(limiter.memory_growing(0, 1, None).is_err());
    }
}
