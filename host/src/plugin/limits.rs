use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use bytesize::ByteSize;
use prometheus::IntGauge;
use wasmtime::ResourceLimiter;

use super::Kind;
use super::fault::FaultKind;

/// What one plugin may use. Each limit is named in the error that a breach of it ends in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of linear memory, summed over the memories of one instance.
    pub memory: usize,
    /// Entries of tables, summed over the tables of one instance.
    pub table_entries: usize,
    /// Wall time of one call, not counting the time that it waits for its caller to send or to take bytes. Unless it is
    /// set, a call may take [`Limits::CALL_TIMEOUT`], and one of an eviction strategy [`Limits::STEP_TIMEOUT`].
    pub call_timeout: Option<Duration>,
    /// How many instances a provider may have. A plugin that keeps data in its memory must have 1.
    pub instances: usize,
    /// How many calls one instance of a provider has at a time; more wait until one of them ends, for as long as a call
    /// may take.
    pub calls: usize,
    /// The most bytes of an object that cross in one piece; more come as a stream.
    pub whole_body: usize,
    /// The largest object that goes to a provider or comes from it, in bytes. Absent: any.
    pub object_size: Option<u64>,
    /// The most bytes that a plugin hands to the host at once, in what it returns or passes to an import. A piece of a
    /// stream counts by itself.
    pub returned: usize,
    /// How many lines a second it may write to the log over time; five times as many may come at once.
    pub log_lines: u32,
    /// The largest component, in bytes.
    pub component_size: u64,
    /// How long the compiler may take for it.
    pub compile_time: Duration,
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

/// One instance with 64 MiB and 64 calls at a time, bodies of 1 MiB in one piece and 16 MiB of anything: more than any
/// first-party plugin needs.
impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 64 << 20,
            table_entries: 100_000,
            call_timeout: None,
            instances: 1,
            calls: 64,
            whole_body: 1 << 20,
            object_size: None,
            returned: 16 << 20,
            log_lines: 20,
            component_size: 64 << 20,
            compile_time: Duration::from_secs(120),
        }
    }
}

/// The linear memory that the plugins of a host may have together.
#[derive(Debug)]
pub(super) struct MemoryBudget {
    limit: usize,
    used: AtomicUsize,
}

impl MemoryBudget {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, used: AtomicUsize::new(0) }
    }

    /// Takes so many bytes, if they are left.
    fn take(&self, bytes: usize) -> bool {
        let taken = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.limit);
        self.used.fetch_update(Relaxed, Relaxed, taken).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Relaxed);
    }
}

/// A limit that an instance ran into.
#[derive(Clone, Debug)]
pub(super) struct Breach {
    kind: FaultKind,
    message: String,
}

impl Breach {
    pub(super) fn kind(&self) -> FaultKind {
        self.kind
    }

    /// What was wanted, and which limit was in the way.
    pub(super) fn message(&self) -> &str {
        &self.message
    }
}

/// Counts what one instance has, and says no to what goes beyond. What it had is given back when it goes.
#[derive(Debug)]
pub(super) struct Limiter {
    memory_limit: usize,
    table_limit: usize,
    memory: usize,
    table_entries: usize,
    budget: Arc<MemoryBudget>,
    gauge: IntGauge,
    breach: Option<Breach>,
}

impl Limiter {
    /// `gauge` shows the memory of this instance together with others of its plugin.
    pub(super) fn new(limits: &Limits, budget: Arc<MemoryBudget>, gauge: IntGauge) -> Self {
        let (memory_limit, table_limit) = (limits.memory, limits.table_entries);
        Self { memory_limit, table_limit, memory: 0, table_entries: 0, budget, gauge, breach: None }
    }

    /// The limit that was hit, if one was.
    pub(super) fn breach(&self) -> Option<&Breach> {
        self.breach.as_ref()
    }

    /// The bytes of linear memory that the instance has.
    pub(super) fn memory(&self) -> usize {
        self.memory
    }

    fn refuse(&mut self, kind: FaultKind, message: String) -> wasmtime::Error {
        let error = wasmtime::Error::msg(message.clone());
        self.breach = Some(Breach { kind, message });
        error
    }
}

/// Refusing is an error, not a failed growth: a guest that is told no goes on to abort with a bare `unreachable`, and
/// nobody would know why.
impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let grown = desired.saturating_sub(current);
        let limit = self.memory_limit;
        if self.memory.saturating_add(grown) > limit {
            let (wanted, limit) = (ByteSize::b(desired as u64), ByteSize::b(limit as u64));
            let message = format!("it wanted {wanted} of memory, and its limit is {limit} (limits.memory)");
            return Err(self.refuse(FaultKind::Memory, message));
        }
        if !self.budget.take(grown) {
            let limit = ByteSize::b(self.budget.limit as u64);
            let message = format!("it wanted memory, and all plugins together have their {limit} (plugin_memory)");
            return Err(self.refuse(FaultKind::TotalMemory, message));
        }
        self.memory += grown;
        self.gauge.add(grown as i64);
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let entries = self.table_entries.saturating_add(desired.saturating_sub(current));
        let limit = self.table_limit;
        if entries > limit {
            let message =
                format!("it wanted tables of {entries} entries, and its limit is {limit} (limits.table_entries)");
            return Err(self.refuse(FaultKind::Tables, message));
        }
        self.table_entries = entries;
        Ok(true)
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        self.budget.give_back(self.memory);
        self.gauge.sub(self.memory as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(memory: usize, budget: &Arc<MemoryBudget>, gauge: &IntGauge) -> Limiter {
        Limiter::new(&Limits { memory, ..Limits::default() }, Arc::clone(budget), gauge.clone())
    }

    fn gauge() -> IntGauge {
        IntGauge::new("memory", "memory").unwrap()
    }

    #[test]
    fn memory_is_summed_over_the_instance() {
        let mut limiter = limiter(100, &Arc::new(MemoryBudget::new(1000)), &gauge());
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(limiter.memory_growing(0, 30, None).unwrap());
        assert!(limiter.memory_growing(30, 41, None).is_err());
        assert!(limiter.breach().unwrap().message().contains("limits.memory"));
        assert!(limiter.memory_growing(30, 40, None).unwrap());
        assert!(limiter.memory_growing(0, 1, None).is_err());
        assert_eq!(limiter.memory(), 100);
    }

    #[test]
    fn all_plugins_share_a_budget_and_give_back_what_they_had() {
        let (budget, gauge) = (Arc::new(MemoryBudget::new(100)), gauge());
        let mut first = limiter(80, &budget, &gauge);
        let mut second = limiter(80, &budget, &gauge);
        assert!(first.memory_growing(0, 70, None).unwrap());
        assert!(second.memory_growing(0, 40, None).is_err());
        assert_eq!(second.breach().unwrap().kind(), FaultKind::TotalMemory);
        assert_eq!(gauge.get(), 70);
        drop(first);
        assert_eq!(gauge.get(), 0);
        assert!(second.memory_growing(0, 80, None).unwrap());
    }
}
