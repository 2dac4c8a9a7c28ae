use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::schedule::Schedule;
use crate::error::Result;
use crate::object::Timestamp;
use crate::random::chance;

/// What a task does each time it is due.
#[async_trait]
pub trait TaskExecutor: fmt::Debug + Send + Sync + 'static {
    /// Does it, as of `now`. The future is dropped when it takes longer than the task's deadline, and when the host stops and
    /// it takes too long to end: what it has others do must then come to an end too.
    ///
    /// # Errors
    /// Why it could not be done; it is logged, counted, and tried again as the task says.
    async fn execute(&self, now: Timestamp) -> Result<()>;
}

/// Something to be done again and again.
#[derive(Clone, Debug)]
pub struct ScheduledTask {
    /// Its name, of which there is one in a scheduler, such as `lifecycle:documents`.
    pub name: String,
    /// What kind of task it is, such as `lifecycle`: one of a few words, since metrics are counted by it.
    pub kind: &'static str,
    /// When it starts.
    pub schedule: Schedule,
    /// How far a start may be from where the schedule has it, at random: up to so much later than a time of day, but before the
    /// next one; up to so much before or after the end of an interval, but at most half of it. Absent:
    /// [`Schedule::usual_jitter`].
    pub jitter: Option<Duration>,
    /// How long a run may take; one that takes longer is dropped and counts as failed. Absent: as long as it takes.
    pub deadline: Option<Duration>,
    /// Whether a run that failed is tried again before it is due again.
    pub retries: Retries,
    /// What becomes of a start that nobody was there for.
    pub missed: MissedStarts,
    /// What of it outlasts the host.
    pub memory: Memory,
    /// What is done.
    pub executor: Arc<dyn TaskExecutor>,
}

impl ScheduledTask {
    /// A task that does not retry, and that makes up for what it missed. It may take as long as it does, and what is known of
    /// it outlasts the host.
    pub fn new(name: String, kind: &'static str, schedule: Schedule, executor: Arc<dyn TaskExecutor>) -> Self {
        Self {
            name,
            kind,
            schedule,
            jitter: None,
            deadline: None,
            retries: Retries::NONE,
            missed: MissedStarts::RunOnce,
            memory: Memory::Lasting,
            executor,
        }
    }

    /// Its jitter, or the usual one.
    pub(super) fn jitter(&self) -> Duration {
        self.jitter.unwrap_or_else(|| self.schedule.usual_jitter())
    }
}

/// What becomes of starts that came while no host ran, while the machine slept, or while the clock was set forward over
/// them. Starts that come while the task runs or is paused are none of these: they are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissedStarts {
    /// They are noted and left out.
    Skip,
    /// The task starts once for all of them, soon. So it does, once, after a run that was cut off by the end of the host.
    #[default]
    RunOnce,
}

/// What is known of a task after the host has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Memory {
    /// Its runs, when it starts next, and whether it is paused.
    #[default]
    Lasting,
    /// Whether it is paused. For tasks that run all the time, and whose runs nobody asks for later.
    Fleeting,
}

/// Whether, and when, a run that failed is tried again before the task is due again. A start that is due comes first, and is
/// a first try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// How often at most.
    pub times: u32,
    /// How long after the first failure; twice as long after each further one, and each time less up to a half at random.
    pub backoff: Duration,
    /// The longest that it gets.
    pub max_backoff: Duration,
}

impl Retries {
    /// Not at all.
    pub const NONE: Self = Self::times(0);

    /// So often, after half a minute at first, and at most an hour later.
    pub const fn times(times: u32) -> Self {
        Self { times, backoff: Duration::from_secs(30), max_backoff: Duration::from_secs(60 * 60) }
    }

    /// How long after the failure of an attempt (the first is 1) the next one comes.
    pub(super) fn wait(&self, attempt: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1));
        let longest = self.backoff.saturating_mul(doubled).min(self.max_backoff);
        longest.mul_f64(1.0 - 0.5 * chance())
    }
}
