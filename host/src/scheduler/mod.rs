//! Runs what has to be done again and again.
//!
//! A [`ScheduledTask`] says what, and when: at an interval, or at times of day as cron says them. A [`TaskScheduler`] starts
//! it, once at a time, tries it again if it failed, and remembers in a file what it did and when it is due, so that a restart
//! changes nothing of it.
//!
//! # When somebody sets the clock
//!
//! Intervals, deadlines and waits are measured by the [steady](Clock::steady) reading of the clock, which nobody sets. Times of
//! day are those of the [wall](Clock::wall):
//!
//! - **Forwards**, over the start of a task: the start was missed, as if the host had been down, and [`MissedStarts`] says what
//!   becomes of it.
//! - **Backwards** by up to three hours: what was done is not done again. A task waits for its next start until the clock has
//!   come there.
//! - **Backwards** by more: the clock was wrong before. The next start is the first that its schedule has after the new time.
//!
//! A start that is up to a minute late is none that was missed.

mod clock;
mod cron;
mod due;
mod entry;
mod metrics;
mod record;
mod run;
mod running;
mod schedule;
mod state_file;
mod task;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::Registry;
use tokio::sync::{Notify, oneshot};

pub use self::clock::{Clock, SystemClock};
pub use self::cron::CronExpression;
pub use self::run::{Run, RunOutcome, TaskStatus, Trigger};
pub use self::schedule::Schedule;
pub use self::task::{Memory, MissedStarts, Retries, ScheduledTask, TaskExecutor};

use self::clock::Moment;
use self::entry::Entry;
use self::metrics::Metrics;
use self::record::{Record, Records};
use self::state_file::StateFile;
use crate::error::{Error, Result};
use crate::object::Timestamp;

/// A clock that is set back by more than this was wrong before.
const CORRECTION: Duration = Duration::from_secs(3 * 60 * 60);

/// Starts tasks when they are due. A task never overlaps itself: starts that come while it runs are left out.
pub struct TaskScheduler {
    clock: Arc<dyn Clock>,
    file: Option<StateFile>,
    metrics: Metrics,
    /// Guards all that is known of the tasks; never held while one runs.
    state: Mutex<State>,
    /// Wakes the loop when something is due at another time than it was.
    changed: Notify,
    /// Says that the file is behind.
    unsaved: Notify,
    /// Held while the file is written, so that an older state does not replace a newer one.
    saving: tokio::sync::Mutex<()>,
}

struct State {
    entries: BTreeMap<String, Entry>,
    /// What is remembered of tasks that have not come yet.
    remembered: BTreeMap<String, Record>,
    /// Whether the time of day was one that can have come since that was written down.
    clock_held: bool,
    /// When the clock was last looked at.
    seen: Moment,
    /// Whether nothing is started any more.
    stopped: bool,
}

/// One that keeps nothing over restarts, by the system's clock.
impl Default for TaskScheduler {
    fn default() -> Self {
        Self::with_clock(Arc::new(SystemClock::default()))
    }
}

impl TaskScheduler {
    /// A scheduler that keeps nothing over restarts.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self::with_records(clock, None, None)
    }

    /// A scheduler that remembers its tasks in this file. If the file can not be understood it is set aside, with a warning,
    /// and the tasks begin anew. It is read here, and written whenever something has changed.
    pub fn with_file(clock: Arc<dyn Clock>, path: &Path) -> Self {
        let file = StateFile::at(path);
        let records = file.read();
        Self::with_records(clock, Some(file), records)
    }

    fn with_records(clock: Arc<dyn Clock>, file: Option<StateFile>, records: Option<Records>) -> Self {
        let seen = Moment::of(&*clock);
        let clock_held = records.as_ref().is_none_or(|records| !is_correction(records.saved_at, seen));
        let state = State {
            entries: BTreeMap::new(),
            remembered: records.map(|records| records.tasks).unwrap_or_default(),
            clock_held,
            seen,
            stopped: false,
        };
        Self {
            clock,
            file,
            metrics: Metrics::new().expect("the names and labels of the metrics are well-formed"),
            state: Mutex::new(state),
            changed: Notify::new(),
            unsaved: Notify::new(),
            saving: tokio::sync::Mutex::default(),
        }
    }

    /// Has a registry show what the tasks do.
    ///
    /// # Errors
    /// [`Error::Internal`] if the registry has metrics of the same names.
    pub fn register(&self, registry: &Registry) -> Result<()> {
        let registered = self.metrics.register(registry);
        registered.map_err(|error| Error::internal(format!("the metrics of tasks can not be registered: {error}")))
    }

    /// Takes a task on, and goes on with what is remembered of it.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if there is one of that name, or its interval is zero.
    pub fn schedule_task(&self, task: ScheduledTask) -> Result<()> {
        let name = task.name.clone();
        if task.schedule == Schedule::Every(Duration::ZERO) {
            return Err(Error::invalid_input(format!(
                "the task {name:?} is to run without a pause; give it an interval"
            )));
        }
        let at = Moment::of(&*self.clock);
        let mut state = self.state.lock();
        if state.entries.contains_key(&name) {
            return Err(Error::invalid_input(format!("there is a task {name:?} already; give this one another name")));
        }
        self.metrics.expect(task.kind);
        let mut entry = Entry::new(task, at);
        if let Some(record) = state.remembered.remove(&name) {
            entry.recall(record, at, state.clock_held);
        }
        if let Some(last_success) = entry.status(at).last_success {
            self.metrics.set_last_success(&name, last_success);
        }
        state.entries.insert(name, entry);
        drop(state);
        self.changed.notify_one();
        self.unsaved.notify_one();
        Ok(())
    }

    /// Starts a task no more, and forgets it. A run that has begun goes on to its end.
    pub fn cancel_task(&self, name: &str) {
        if self.state.lock().entries.remove(name).is_some() {
            self.metrics.forget(name);
            self.unsaved.notify_one();
        }
    }

    /// How the tasks are doing, ordered by name.
    pub fn status(&self) -> Vec<TaskStatus> {
        let at = Moment::of(&*self.clock);
        self.state.lock().entries.values().map(|entry| entry.status(at)).collect()
    }

    /// The last runs of a task, up to 20, newest first.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if there is no such task.
    pub fn history(&self, name: &str) -> Result<Vec<Run>> {
        self.with_entry(name, |entry, _| entry.history())
    }

    /// Starts a task at once, also if it is paused, and waits for the run to end. It goes on if nobody waits any more.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if there is no such task; [`Error::Unavailable`] if it runs, or the host stops.
    pub async fn run_task(&self, name: &str) -> Result<Run> {
        let (ended, end) = oneshot::channel();
        let stops = || Error::unavailable(format!("the task {name} is not run: the host stops"));
        if self.state.lock().stopped {
            return Err(stops());
        }
        let is_free = self.with_entry(name, |entry, _| entry.ask(ended))?;
        if !is_free {
            return Err(Error::unavailable(format!("the task {name} runs already; ask again when it has ended")));
        }
        self.changed.notify_one();
        end.await.map_err(|_| stops())
    }

    /// Starts a task no more until [`resume_task`](Self::resume_task), over restarts too. A run that has begun goes on to its
    /// end.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if there is no such task; [`Error::Internal`] if that can not be written down: it is then paused
    /// until the host ends.
    pub async fn pause_task(&self, name: &str) -> Result<()> {
        self.with_entry(name, |entry, _| entry.pause())?;
        self.changed.notify_one();
        self.save().await
    }

    /// Starts a task again when it is due. Starts that came while it was paused are left out.
    ///
    /// # Errors
    /// As [`pause_task`](Self::pause_task).
    pub async fn resume_task(&self, name: &str) -> Result<()> {
        self.with_entry(name, Entry::resume)?;
        self.changed.notify_one();
        self.save().await
    }

    fn with_entry<T>(&self, name: &str, work: impl FnOnce(&mut Entry, Moment) -> T) -> Result<T> {
        let at = Moment::of(&*self.clock);
        let mut state = self.state.lock();
        let entry = state.entries.get_mut(name);
        let entry = entry.ok_or_else(|| {
            Error::invalid_input(format!("there is no task {name:?}: `larder task ls` shows those that there are"))
        })?;
        Ok(work(entry, at))
    }
}

/// Whether a clock that showed `before`, and shows what it does now, was wrong then.
fn is_correction(before: Timestamp, now: Moment) -> bool {
    (before - now.wall).to_std().is_ok_and(|back| back > CORRECTION)
}

impl fmt::Debug for TaskScheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskScheduler").field("tasks", &self.status()).finish_non_exhaustive()
    }
}
