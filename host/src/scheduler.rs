//! Runs what has to be done again and again.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::object::{Timestamp, now};

/// What a task does each time it is due.
#[async_trait]
pub trait TaskExecutor: fmt::Debug + Send + Sync + 'static {
    /// Does it, as of `now`. The future is dropped if the host stops and it takes too long to end.
    ///
    /// # Errors
    /// Why it could not be done; it is logged, counted, and tried again when the task is due again.
    async fn execute(&self, now: Timestamp) -> Result<()>;
}

/// Something to be done again and again.
#[derive(Clone, Debug)]
pub struct ScheduledTask {
    /// Its name, of which there is one in a scheduler.
    pub name: String,
    /// From one start to the next, on average: each time it is up to a tenth shorter or longer, so that tasks of the same
    /// interval do not come all at once. The first start comes within a tenth of it.
    pub every: Duration,
    /// What is done.
    pub executor: Arc<dyn TaskExecutor>,
}

/// How a task is doing.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct TaskStatus {
    /// Its name.
    pub name: String,
    /// When it last started.
    pub last_run: Option<Timestamp>,
    /// When it starts next; absent while it runs.
    pub next_run: Option<Timestamp>,
    /// How its last run ended; absent before the first end.
    pub outcome: Option<TaskOutcome>,
    /// How many runs have ended.
    pub runs: u64,
    /// How many of them failed.
    pub failures: u64,
}

/// How a run of a task ended.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskOutcome {
    /// As it should.
    Succeeded,
    /// With this error.
    Failed(String),
}

/// Where a scheduler takes the time from that it tells its tasks.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Starts tasks when they are due. A task never overlaps itself: starts that come while it runs are left out.
pub struct TaskScheduler {
    clock: Clock,
    /// Guards all that is known of the tasks; never held while one runs.
    entries: Mutex<BTreeMap<String, Entry>>,
    /// Wakes the loop when there is a new task.
    changed: Notify,
}

struct Entry {
    task: ScheduledTask,
    /// When it starts next. While it runs: the earliest start after this one.
    due: Instant,
    running: Option<Id>,
    status: TaskStatus,
}

impl Default for TaskScheduler {
    fn default() -> Self {
        Self::with_clock(Arc::new(now))
    }
}

impl TaskScheduler {
    /// A scheduler that tells its tasks the time of this clock. Intervals are measured with tokio's.
    pub fn with_clock(clock: Clock) -> Self {
        Self { clock, entries: Mutex::default(), changed: Notify::new() }
    }

    /// Takes a task on.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if there is one of that name, or its interval is zero.
    pub fn schedule_task(&self, task: ScheduledTask) -> Result<()> {
        let name = task.name.clone();
        if task.every.is_zero() {
            return Err(Error::invalid_input(format!(
                "the task {name:?} is to run without a pause; give it an interval"
            )));
        }
        let mut entries = self.entries.lock();
        if entries.contains_key(&name) {
            return Err(Error::invalid_input(format!("there is a task {name:?} already; give this one another name")));
        }
        let due = Instant::now() + task.every.mul_f64(0.1 * chance());
        let status =
            TaskStatus { name: name.clone(), last_run: None, next_run: None, outcome: None, runs: 0, failures: 0 };
        entries.insert(name, Entry { task, due, running: None, status });
        self.changed.notify_one();
        Ok(())
    }

    /// Starts a task no more. A run that has begun goes on to its end.
    pub fn cancel_task(&self, name: &str) {
        self.entries.lock().remove(name);
    }

    /// How the tasks are doing, ordered by name.
    pub fn status(&self) -> Vec<TaskStatus> {
        let (moment, instant) = ((self.clock)(), Instant::now());
        let status = |entry: &Entry| {
            let wait = entry.due.saturating_duration_since(instant);
            let next_run = moment + chrono::Duration::from_std(wait).unwrap_or_default();
            TaskStatus { next_run: entry.running.is_none().then_some(next_run), ..entry.status.clone() }
        };
        self.entries.lock().values().map(status).collect()
    }

    /// Starts tasks as they become due, until `stop` is cancelled. Then it starts none, waits up to `grace` for those that
    /// run, and drops those that still do. To be called once at a time.
    pub async fn execute_tasks(&self, stop: CancellationToken, grace: Duration) {
        let mut running = JoinSet::new();
        loop {
            let next = self.start_due(Instant::now(), &mut running);
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.changed.notified() => {}
                () = wait_until(next) => {}
                Some(ended) = running.join_next_with_id() => self.note_end(ended, Instant::now()),
            }
        }
        let deadline = Instant::now() + grace;
        while let Ok(Some(ended)) = timeout_at(deadline, running.join_next_with_id()).await {
            self.note_end(ended, Instant::now());
        }
        running.abort_all();
        while let Some(ended) = running.join_next_with_id().await {
            self.note_end(ended, Instant::now());
        }
    }

    /// Starts what is due at this instant, and returns when the next that does not run will be.
    fn start_due(&self, instant: Instant, running: &mut JoinSet<Result<()>>) -> Option<Instant> {
        let moment = (self.clock)();
        let mut next = None;
        for entry in self.entries.lock().values_mut().filter(|entry| entry.running.is_none()) {
            if entry.due <= instant {
                let executor = entry.task.executor.clone();
                let handle = running.spawn(async move { executor.execute(moment).await });
                entry.running = Some(handle.id());
                entry.due = instant + entry.task.every.mul_f64(0.9 + 0.2 * chance());
                entry.status.last_run = Some(moment);
            } else {
                next = next.map_or(Some(entry.due), |next: Instant| Some(next.min(entry.due)));
            }
        }
        next
    }

    fn note_end(&self, ended: Result<(Id, Result<()>), JoinError>, instant: Instant) {
        let (id, result) = match ended {
            Ok((id, Ok(()))) => (id, Ok(())),
            Ok((id, Err(error))) => (id, Err(error.to_string())),
            Err(error) if error.is_cancelled() => (error.id(), Err("was stopped with the host".to_owned())),
            Err(error) => (error.id(), Err("panicked".to_owned())),
        };
        let mut entries = self.entries.lock();
        let Some(entry) = entries.values_mut().find(|entry| entry.running == Some(id)) else { return };
        entry.running = None;
        // A run that took longer than the interval does not start again at once: the starts it missed are left out.
        let late = instant.saturating_duration_since(entry.due);
        if !late.is_zero() {
            let every = entry.task.every.as_nanos();
            let missed = u32::try_from(late.as_nanos() / every + 1).unwrap_or(u32::MAX);
            entry.due += entry.task.every.saturating_mul(missed);
        }
        let status = &mut entry.status;
        status.runs += 1;
        status.outcome = Some(match result {
            Ok(()) => TaskOutcome::Succeeded,
            Err(message) => {
                status.failures += 1;
                tracing::warn!(task = status.name, failures = status.failures, "task failed: {message}");
                TaskOutcome::Failed(message)
            }
        });
    }
}

impl fmt::Debug for TaskScheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskScheduler").field("tasks", &self.status()).finish_non_exhaustive()
    }
}

async fn wait_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// A random number from 0 up to 1. Without a source of randomness it is a half: jitter is a courtesy.
fn chance() -> f64 {
    getrandom::u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const HOUR: Duration = Duration::from_secs(60 * 60);

    /// Counts its runs, each of which takes `takes`, and how many there are at once.
    #[derive(Debug, Default)]
    struct Counter {
        takes: Duration,
        fails: bool,
        panics: bool,
        runs: AtomicUsize,
        at_once: AtomicUsize,
        most_at_once: AtomicUsize,
    }

    #[async_trait]
    impl TaskExecutor for Counter {
        async fn execute(&self, _: Timestamp) -> Result<()> {
            self.runs.fetch_add(1, Ordering::SeqCst);
            let at_once = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
            self.most_at_once.fetch_max(at_once, Ordering::SeqCst);
            tokio::time::sleep(self.takes).await;
            self.at_once.fetch_sub(1, Ordering::SeqCst);
            assert!(!self.panics, "a task that panics");
            if self.fails { Err(Error::internal("it does not work")) } else { Ok(()) }
        }
    }

    fn task(name: &str, every: Duration, executor: &Arc<Counter>) -> ScheduledTask {
        ScheduledTask { name: name.to_owned(), every, executor: executor.clone() }
    }

    /// Goes through so much time without waiting for it; every run of a task takes `takes` of it.
    async fn go_through(scheduler: &TaskScheduler, time: Duration, takes: Duration) {
        let mut instant = Instant::now();
        let (end, mut running) = (instant + time, JoinSet::new());
        while instant < end {
            let next = scheduler.start_due(instant, &mut running);
            match running.join_next_with_id().await {
                Some(ended) => {
                    instant += takes;
                    scheduler.note_end(ended, instant);
                }
                None => instant = next.expect("a task that does not run is due some time"),
            }
        }
    }

    /// Runs the scheduler for so long, and then stops it.
    async fn run_for(scheduler: &Arc<TaskScheduler>, time: Duration, grace: Duration) {
        let stop = CancellationToken::new();
        let (running, token) = (scheduler.clone(), stop.clone());
        let running = tokio::spawn(async move { running.execute_tasks(token, grace).await });
        tokio::time::sleep(time).await;
        stop.cancel();
        running.await.unwrap();
    }

    #[tokio::test]
    async fn a_task_runs_at_its_interval_for_weeks() {
        let (scheduler, counter) = (TaskScheduler::default(), Arc::new(Counter::default()));
        scheduler.schedule_task(task("hourly", HOUR, &counter)).unwrap();
        go_through(&scheduler, HOUR * 24 * 7 * 4, Duration::ZERO).await;
        let runs = counter.runs.load(Ordering::SeqCst);
        assert!((24 * 28 * 9 / 10..=24 * 28 * 11 / 10 + 1).contains(&runs), "{runs}");
        let status = &scheduler.status()[0];
        assert_eq!((status.runs, status.failures), (runs as u64, 0));
        assert_eq!(status.outcome, Some(TaskOutcome::Succeeded));
        assert!(status.last_run.is_some());
    }

    #[tokio::test]
    async fn the_first_start_is_near_and_told() {
        let start = now();
        let (scheduler, counter) = (TaskScheduler::with_clock(Arc::new(move || start)), Arc::new(Counter::default()));
        scheduler.schedule_task(task("hourly", HOUR, &counter)).unwrap();
        let [status] = &scheduler.status()[..] else { panic!("one task") };
        let minutes = (status.next_run.unwrap() - start).num_minutes();
        assert!((0..=6).contains(&minutes), "{minutes}");
        assert_eq!((status.last_run, &status.outcome, status.runs), (None, &None, 0));
    }

    #[tokio::test]
    async fn starts_that_come_while_it_runs_are_left_out() {
        let (scheduler, counter) = (TaskScheduler::default(), Arc::new(Counter::default()));
        scheduler.schedule_task(task("slow", HOUR, &counter)).unwrap();
        go_through(&scheduler, HOUR * 24, HOUR * 5 / 2).await;
        let runs = counter.runs.load(Ordering::SeqCst);
        assert!((6..=10).contains(&runs), "{runs}");
    }

    #[tokio::test]
    async fn a_task_never_overlaps_itself() {
        let counter = Arc::new(Counter { takes: Duration::from_millis(20), ..Counter::default() });
        let scheduler = Arc::new(TaskScheduler::default());
        scheduler.schedule_task(task("slow", Duration::from_millis(2), &counter)).unwrap();
        while counter.runs.load(Ordering::SeqCst) < 3 {
            run_for(&scheduler, Duration::from_millis(100), HOUR).await;
        }
        assert_eq!(counter.most_at_once.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_failure_is_counted_and_tried_again() {
        let failing = Arc::new(Counter { fails: true, ..Counter::default() });
        let panicking = Arc::new(Counter { panics: true, ..Counter::default() });
        let scheduler = TaskScheduler::default();
        scheduler.schedule_task(task("failing", HOUR, &failing)).unwrap();
        scheduler.schedule_task(task("panicking", HOUR, &panicking)).unwrap();
        go_through(&scheduler, HOUR * 10, Duration::ZERO).await;
        for (status, counter, message) in
            [(&scheduler.status()[0], failing, "it does not work"), (&scheduler.status()[1], panicking, "panicked")]
        {
            assert!(status.runs >= 8, "{status:?}");
            assert_eq!(status.runs, counter.runs.load(Ordering::SeqCst) as u64);
            assert_eq!(status.failures, status.runs);
            assert_eq!(status.outcome, Some(TaskOutcome::Failed(message.to_owned())));
        }
    }

    #[tokio::test]
    async fn stopping_drops_what_does_not_end_within_its_grace() {
        let endless = Arc::new(Counter { takes: HOUR, ..Counter::default() });
        let scheduler = Arc::new(TaskScheduler::default());
        scheduler.schedule_task(task("endless", Duration::from_millis(1), &endless)).unwrap();
        while endless.runs.load(Ordering::SeqCst) == 0 {
            run_for(&scheduler, Duration::from_millis(20), Duration::from_millis(10)).await;
        }
        let outcome = scheduler.status()[0].outcome.clone();
        assert_eq!(outcome, Some(TaskOutcome::Failed("was stopped with the host".to_owned())));
    }

    #[tokio::test]
    async fn stopping_waits_for_what_ends_within_its_grace() {
        let slow = Arc::new(Counter { takes: Duration::from_millis(200), ..Counter::default() });
        let scheduler = Arc::new(TaskScheduler::default());
        scheduler.schedule_task(task("slow", HOUR / 1000, &slow)).unwrap();
        while slow.runs.load(Ordering::SeqCst) == 0 {
            run_for(&scheduler, Duration::from_millis(100), HOUR).await;
        }
        assert_eq!(scheduler.status()[0].outcome, Some(TaskOutcome::Succeeded));
    }

    #[tokio::test]
    async fn a_task_can_come_while_the_scheduler_runs() {
        let (scheduler, late) = (Arc::new(TaskScheduler::default()), Arc::new(Counter::default()));
        let stop = CancellationToken::new();
        let (running, token) = (scheduler.clone(), stop.clone());
        let running = tokio::spawn(async move { running.execute_tasks(token, HOUR).await });
        tokio::task::yield_now().await;
        scheduler.schedule_task(task("late", Duration::from_millis(10), &late)).unwrap();
        while late.runs.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        stop.cancel();
        running.await.unwrap();
    }

    #[tokio::test]
    async fn a_name_is_taken_once() {
        let (scheduler, counter) = (TaskScheduler::default(), Arc::new(Counter::default()));
        scheduler.schedule_task(task("one", HOUR, &counter)).unwrap();
        assert!(scheduler.schedule_task(task("one", HOUR, &counter)).is_err());
        assert!(scheduler.schedule_task(task("two", Duration::ZERO, &counter)).is_err());
    }
}
