//! Who watches over a plugin: counts its failures, says when it may start again, and when it may not any more.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tracing::{error, info, warn};

use super::fault::{Fault, FaultKind};
use super::limits::{Breach, Limits, MemoryBudget};
use super::log::RateLimit;
use super::metrics::{Calls, Meter, Refusal};
use super::operation::Operation;
use super::{Kind, Restart};
use crate::error::Error;
use crate::object::{Timestamp, now};

/// How often the same failure is told in the log; those between are counted.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// Watches over one plugin at work for one store.
///
/// An instance that fails is dropped, and the next call makes a fresh one. One that fails young, before it was healthy,
/// counts: from the second in a row on, the next instance is made only after a while, and in the end not at all.
/// Instances that are there go on meanwhile.
pub(super) struct Supervisor {
    pub(super) plugin: Arc<str>,
    /// The store that it works for.
    pub(super) store: Arc<str>,
    pub(super) kind: Kind,
    pub(super) limits: Limits,
    pub(super) meter: Meter,
    log: RateLimit,
    pub(super) budget: Arc<MemoryBudget>,
    restart: Restart,
    quarantined: AtomicBool,
    /// Locked when an instance fails or is to be made.
    standing: Mutex<Standing>,
}

#[derive(Debug, Default)]
struct Standing {
    state: State,
    /// Instances in a row that failed young.
    streak: u32,
    failures: u64,
    last_failure: Option<Failure>,
    reported: Option<(Instant, String)>,
    unreported: u64,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Running,
    BackingOff {
        until: Instant,
    },
    Quarantined {
        since: Timestamp,
    },
}

/// How long an instance lives, and what it does in that time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    born: Instant,
    answered: u64,
}

impl Life {
    pub(super) fn begin() -> Self {
        Self { born: Instant::now(), answered: 0 }
    }

    /// It answered so many calls.
    pub(super) fn answered(&mut self, calls: u64) {
        self.answered += calls;
    }
}

/// How a plugin is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PluginStatus {
    /// Whether it works.
    pub state: PluginState,
    /// How many of its instances failed since it was loaded.
    pub failures: u64,
    /// The last of these failures.
    pub last_failure: Option<Failure>,
    /// How its calls ended, since the host started.
    pub calls: Calls,
    /// How many calls did not reach it, since the host started.
    pub refusals: u64,
    /// How many instances were started, since the host started.
    pub starts: u64,
    /// How many instances there are.
    pub instances: u64,
    /// The bytes of linear memory that they have together.
    pub memory: u64,
}

/// Whether a plugin works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PluginState {
    /// It does, as far as is known.
    Running,
    /// It failed again and again, and no fresh instance is made for a while.
    BackingOff {
        /// How long that still is.
        #[serde(with = "humantime_text")]
        remaining: Duration,
    },
    /// It failed too often, and no fresh instance is made until it is reset or replaced.
    Quarantined {
        /// Since when.
        since: Timestamp,
    },
}

/// Durations as people write them.
mod humantime_text {
    use std::time::Duration;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(*duration))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        humantime::parse_duration(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// A failure of a plugin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// When it was.
    pub at: Timestamp,
    /// What its callers were told.
    pub message: String,
}

impl Supervisor {
    pub(super) fn new(
        plugin: Arc<str>,
        store: Arc<str>,
        kind: Kind,
        limits: Limits,
        restart: Restart,
        meter: Meter,
        budget: Arc<MemoryBudget>,
    ) -> Self {
        let log = RateLimit::new(limits.log_lines);
        meter.state().set(0);
        let (quarantined, standing) = (AtomicBool::new(false), Mutex::default());
        Self { plugin, store, kind, limits, meter, log, budget, restart, quarantined, standing }
    }

    /// How long a call may take.
    pub(super) fn timeout(&self) -> Duration {
        self.limits.timeout(self.kind)
    }

    /// How long this call may take. No shard waits while a strategy takes over what another one remembered.
    pub(super) fn timeout_of(&self, operation: Operation) -> Duration {
        match operation {
            Operation::Restore => self.limits.call_timeout.unwrap_or(Limits::CALL_TIMEOUT),
            _ => self.timeout(),
        }
    }

    /// Lets a call through to an instance that is there.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the plugin is quarantined.
    pub(super) fn admit_call(&self) -> Result<(), Error> {
        if self.quarantined.load(Relaxed) { Err(self.refusal()) } else { Ok(()) }
    }

    /// Says whether a fresh instance may be made.
    ///
    /// # Errors
    /// [`Error::Unavailable`], which says when it may, if it may not now.
    pub(super) fn admit_start(&self) -> Result<(), Error> {
        let mut standing = self.standing.lock();
        match standing.state {
            State::Running => return Ok(()),
            State::BackingOff { until } if until <= Instant::now() => {
                standing.state = State::Running;
                self.meter.state().set(0);
                return Ok(());
            }
            State::BackingOff { .. } | State::Quarantined { .. } => {}
        }
        drop(standing);
        Err(self.refusal())
    }

    /// The error for a call that is turned away because of failures before it.
    fn refusal(&self) -> Error {
        let plugin = &self.plugin;
        let standing = self.standing.lock();
        let why = standing.last_failure.as_ref().map_or("", |failure| &failure.message);
        match standing.state {
            State::Quarantined { .. } => {
                self.meter.refused(Refusal::Quarantined);
                Error::unavailable(format!(
                    "the plugin {plugin} is quarantined, since it failed {} times in a row; `larder plugin reset {plugin}` \
                     starts it again; its last failure: {why}",
                    standing.streak
                ))
            }
            State::BackingOff { until } => {
                self.meter.refused(Refusal::BackingOff);
                let remaining = until.saturating_duration_since(Instant::now());
                Error::Unavailable {
                    message: format!("the plugin {plugin} is about to be started again after a failure: {why}"),
                    retry_after: Some(remaining),
                }
            }
            State::Running => Error::unavailable(format!("the plugin {plugin} was just started again")),
        }
    }

    /// A line of the plugin's as it may be written to the log, or nothing if there were too many.
    pub(super) fn admit_line<'a>(&self, line: &'a str) -> Option<Cow<'a, str>> {
        let admitted = self.log.admit(&self.plugin, line);
        if admitted.is_none() {
            self.meter.dropped_log_line();
        }
        admitted
    }

    /// Takes note that an instance failed, and tells the operator, with the guest's backtrace. Makes the error that the
    /// callers get.
    pub(super) fn failed(&self, fault: Fault, operation: Operation, breach: Option<&Breach>, life: Life) -> Error {
        let kind = fault.kind(breach);
        self.meter.failed(kind);
        let message = self.message(&fault, kind, operation, breach);
        let was_healthy = life.answered >= Restart::HEALTHY_CALLS || life.born.elapsed() >= self.restart.healthy_after;
        let mut standing = self.standing.lock();
        standing.failures += 1;
        standing.last_failure = Some(Failure { at: now(), message: message.clone() });
        standing.streak = if was_healthy { 1 } else { standing.streak + 1 };
        let retry_after = self.next_state(&mut standing);
        self.tell(&mut standing, &fault, operation, &message);
        match kind {
            FaultKind::Timeout => Error::timeout(message),
            FaultKind::Memory | FaultKind::Tables | FaultKind::TotalMemory => Error::exhausted(message),
            FaultKind::Returned => Error::too_large(message),
            FaultKind::Contract => Error::internal(message),
            FaultKind::Trap | FaultKind::StackOverflow => Error::Unavailable { message, retry_after },
        }
    }

    /// What comes of the failures so far. Returns how long no fresh instance is made.
    fn next_state(&self, standing: &mut Standing) -> Option<Duration> {
        if matches!(standing.state, State::Quarantined { .. }) {
            return None;
        }
        if self.restart.quarantine_after.is_some_and(|limit| standing.streak >= limit.get()) {
            standing.state = State::Quarantined { since: now() };
            self.quarantined.store(true, Relaxed);
            self.meter.state().set(2);
            return None;
        }
        let delay = self.restart.delay(standing.streak)?;
        standing.state = State::BackingOff { until: Instant::now() + delay };
        self.meter.state().set(1);
        Some(delay)
    }

    fn message(&self, fault: &Fault, kind: FaultKind, operation: Operation, breach: Option<&Breach>) -> String {
        let (plugin, name) = (&self.plugin, operation.as_str());
        match (kind, fault) {
            (FaultKind::Timeout, _) | (_, Fault::Timeout) => {
                let limit = humantime::format_duration(self.timeout_of(operation));
                format!("the plugin {plugin} did not finish {name} within {limit} (limits.call_timeout)")
            }
            (FaultKind::Returned, _) => {
                let limit = ByteSize::b(self.limits.returned as u64);
                format!("the plugin {plugin} handed over more than {limit} at once (limits.returned)")
            }
            (FaultKind::StackOverflow, _) => format!("the plugin {plugin} failed: its stack overflowed"),
            (_, Fault::Contract(what)) => {
                format!("the plugin {plugin} broke the contract of a {}: {what}", self.kind.noun())
            }
            (_, Fault::Trap(trap)) => match breach {
                Some(breach) => format!("the plugin {plugin} was stopped: {}", breach.message()),
                None => match trap.downcast_ref::<wasmtime::Trap>() {
                    Some(trap) => format!("the plugin {plugin} failed: {trap}"),
                    None => format!("the plugin {plugin} failed: {}", trap.root_cause()),
                },
            },
        }
    }

    /// Writes a failure to the log; one that was told a short while ago is counted until it is told again.
    fn tell(&self, standing: &mut Standing, fault: &Fault, operation: Operation, message: &str) {
        let (plugin, store, operation) = (&*self.plugin, &*self.store, operation.as_str());
        let told = |(at, told): &(Instant, String)| told == message && at.elapsed() < REPORT_EVERY;
        if standing.reported.as_ref().is_some_and(told) {
            standing.unreported += 1;
        } else {
            let before = std::mem::take(&mut standing.unreported);
            standing.reported = Some((Instant::now(), message.to_owned()));
            match fault.backtrace() {
                Some(trace) => error!(plugin, store, operation, before, "{message}; the instance is dropped\n{trace}"),
                None => error!(plugin, store, operation, before, "{message}; the instance is dropped"),
            }
        }
        match standing.state {
            State::Running => {}
            State::BackingOff { until } => {
                let after = humantime::format_duration(round(until.saturating_duration_since(Instant::now())));
                warn!(plugin, store, failures = standing.streak, "the plugin is not started again before {after}");
            }
            State::Quarantined { .. } => error!(
                plugin,
                store,
                failures = standing.streak,
                "the plugin is quarantined: it failed too often; `larder plugin reset {plugin}` starts it again"
            ),
        }
    }

    /// Forgets all failures: the plugin may start again.
    pub(super) fn reset(&self) {
        *self.standing.lock() = Standing::default();
        self.quarantined.store(false, Relaxed);
        self.meter.state().set(0);
        info!(plugin = &*self.plugin, store = &*self.store, "the plugin was reset");
    }

    pub(super) fn status(&self) -> PluginStatus {
        let standing = self.standing.lock();
        let state = match standing.state {
            State::Running => PluginState::Running,
            State::BackingOff { until } => {
                PluginState::BackingOff { remaining: round(until.saturating_duration_since(Instant::now())) }
            }
            State::Quarantined { since } => PluginState::Quarantined { since },
        };
        let count = |gauge: &prometheus::IntGauge| u64::try_from(gauge.get()).unwrap_or(0);
        PluginStatus {
            state,
            failures: standing.failures,
            last_failure: standing.last_failure.clone(),
            calls: self.meter.calls(),
            refusals: self.meter.refusals(),
            starts: self.meter.starts(),
            instances: count(self.meter.instances()),
            memory: count(self.meter.memory()),
        }
    }
}

/// To milliseconds: more is of no interest to anyone.
fn round(duration: Duration) -> Duration {
    Duration::from_millis(duration.as_millis() as u64)
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor").field("plugin", &self.plugin).field("store", &self.store).finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Supervisor {
    /// One of the provider `zoo` in the store `cage`, under default limits.
    pub(super) fn for_test(restart: Restart) -> Self {
        let (plugin, store): (Arc<str>, Arc<str>) = ("zoo".into(), "cage".into());
        let meter = super::metrics::Metrics::new().unwrap().meter(&plugin, &store);
        let budget = Arc::new(MemoryBudget::new(1 << 20));
        Self::new(plugin, store, Kind::Provider, Limits::default(), restart, meter, budget)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn supervisor(restart: Restart) -> Supervisor {
        Supervisor::for_test(restart)
    }

    fn trap(supervisor: &Supervisor, life: Life) -> Error {
        supervisor.failed(Fault::Trap(wasmtime::Error::msg("bang")), Operation::Store, None, life)
    }

    fn slow() -> Restart {
        Restart { backoff: Duration::from_secs(100), quarantine_after: NonZeroU32::new(3), ..Restart::default() }
    }

    #[test]
    fn a_first_failure_is_free_a_second_waits_and_a_third_is_the_last() {
        let supervisor = supervisor(slow());
        assert!(trap(&supervisor, Life::begin()).to_string().contains("bang"));
        assert!(supervisor.admit_start().is_ok());

        let Error::Unavailable { retry_after: Some(after), .. } = trap(&supervisor, Life::begin()) else { panic!() };
        assert!(after >= Duration::from_secs(15));
        let Err(Error::Unavailable { retry_after: Some(_), message }) = supervisor.admit_start() else { panic!() };
        assert!(message.contains("bang"), "{message}");
        assert!(supervisor.admit_call().is_ok(), "instances that are there go on");
        assert!(matches!(supervisor.status().state, PluginState::BackingOff { .. }));

        trap(&supervisor, Life::begin());
        let refused = supervisor.admit_call().unwrap_err().to_string();
        assert!(refused.contains("quarantined") && refused.contains("larder plugin reset zoo"), "{refused}");
        let status = supervisor.status();
        assert!(matches!(status.state, PluginState::Quarantined { .. }));
        assert_eq!((status.failures, status.refusals), (3, 2));
        assert!(status.last_failure.unwrap().message.contains("bang"));

        supervisor.reset();
        assert!(supervisor.admit_call().is_ok() && supervisor.admit_start().is_ok());
        assert_eq!(supervisor.status().state, PluginState::Running);
    }

    #[test]
    fn the_failure_of_an_instance_that_was_healthy_is_a_first_one() {
        let supervisor = supervisor(slow());
        let mut healthy = Life::begin();
        healthy.answered(Restart::HEALTHY_CALLS);
        for _ in 0..10 {
            trap(&supervisor, healthy);
            assert!(supervisor.admit_start().is_ok());
        }
        let long = Life { born: Instant::now() - Duration::from_secs(11), answered: 0 };
        trap(&supervisor, long);
        assert!(supervisor.admit_start().is_ok());
        trap(&supervisor, Life::begin());
        assert!(supervisor.admit_start().is_err());
    }

    #[test]
    fn a_wait_that_is_over_lets_an_instance_start_and_is_longer_the_next_time() {
        let supervisor = supervisor(Restart { backoff: Duration::from_millis(1), ..Restart::default() });
        trap(&supervisor, Life::begin());
        trap(&supervisor, Life::begin());
        std::thread::sleep(Duration::from_millis(2));
        assert!(supervisor.admit_start().is_ok());
        assert_eq!(supervisor.status().state, PluginState::Running);
    }
}
