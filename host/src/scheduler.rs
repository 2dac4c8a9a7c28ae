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
            let next = self.start_due(&mut running);
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.changed.notified() => {}
                () = wait_until(next) => {}
                Some(ended) = running.join_next_with_id() => self.note_end(ended),
            }
        }
        let deadline = Instant::now() + grace;
        while let Ok(Some(ended)) = timeout_at(deadline, running.join_next_with_id()).await {
            self.note_end(ended);
        }
        running.abort_all();
        while let Some(ended) = running.join_next_with_id().await {
            self.note_end(ended);
        }
    }

    /// Starts what is due, and returns when the next that does not run will be.
    fn start_due(&self, running: &mut JoinSet<Result<()>>) -> Option<Instant> {
        let (moment, instant) = ((self.clock)(), Instant::now());
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

    fn note_end(&self, ended: Result<(Id, Result<()>), JoinError>) {
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
        let late = Instant::now().saturating_duration_since(entry.due);
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

    fn scheduler() -> Arc<TaskScheduler> {
        let (start, origin) = (now(), Instant::now());
        Arc::new(TaskScheduler::with_clock(Arc::new(move || {
            start + chrono::Duration::from_std(origin.elapsed()).unwrap()
        })))
    }

    fn task(name: &str, every: Duration, executor: &Arc<Counter>) -> ScheduledTask {
        ScheduledTask { name: name.to_owned(), every, executor: executor.clone() }
    }

    /// Runs the scheduler for so long, and then stops it.
    async fn run_for(scheduler: &Arc<TaskScheduler>, time: Duration) {
        let stop = CancellationToken::new();
        let (running, token) = (scheduler.clone(), stop.clone());
        let running = tokio::spawn(async move { running.execute_tasks(token, Duration::from_secs(10)).await });
        tokio::time::sleep(time).await;
        stop.cancel();
        running.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_runs_at_its_interval_for_weeks() {
        let (scheduler, counter) = (scheduler(), Arc::new(Counter::default()));
        scheduler.schedule_task(task("hourly", HOUR, &counter)).unwrap();
        run_for(&scheduler, HOUR * 24 * 7 * 4).await;
        let runs = counter.runs.load(Ordering::SeqCst);
        assert!((24 * 28 * 9 / 10..=24 * 28 * 11 / 10 + 1).contains(&runs), "{runs}");
        let status = &scheduler.status()[0];
        assert_eq!((status.runs, status.failures), (runs as u64, 0));
        assert_eq!(status.outcome, Some(TaskOutcome::Succeeded));
        let (last, next) = (status.last_run.unwrap(), status.next_run.unwrap());
        let minutes = (next - last).num_minutes();
        assert!((53..=67).contains(&minutes), "{minutes}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_never_overlaps_itself() {
        let (scheduler, counter) = (scheduler(), Arc::new(Counter { takes: HOUR * 5 / 2, ..Counter::default() }));
        scheduler.schedule_task(task("slow", HOUR, &counter)).unwrap();
        run_for(&scheduler, HOUR * 24).await;
        assert_eq!(counter.most_at_once.load(Ordering::SeqCst), 1);
        let runs = counter.runs.load(Ordering::SeqCst);
        assert!((7..=9).contains(&runs), "{runs}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_counted_and_tried_again() {
        let failing = Arc::new(Counter { fails: true, ..Counter::default() });
        let panicking = Arc::new(Counter { panics: true, ..Counter::default() });
        let scheduler = scheduler();
        scheduler.schedule_task(task("failing", HOUR, &failing)).unwrap();
        scheduler.schedule_task(task("panicking", HOUR, &panicking)).unwrap();
        run_for(&scheduler, HOUR * 10).await;
        for (status, counter, message) in
            [(&scheduler.status()[0], failing, "it does not work"), (&scheduler.status()[1], panicking, "panicked")]
        {
            assert!(status.runs >= 8, "{status:?}");
            assert_eq!(status.runs, counter.runs.load(Ordering::SeqCst) as u64);
            assert_eq!(status.failures, status.runs);
            assert_eq!(status.outcome, Some(TaskOutcome::Failed(message.to_owned())));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn stopping_waits_for_its_grace_and_no_longer() {
        let quick = Arc::new(Counter { takes: Duration::from_secs(5), ..Counter::default() });
        let endless = Arc::new(Counter { takes: HOUR * 1000, ..Counter::default() });
        let scheduler = scheduler();
        let instantly = Duration::from_millis(10);
        scheduler.schedule_task(task("endless", instantly, &endless)).unwrap();
        scheduler.schedule_task(task("quick", instantly, &quick)).unwrap();
        let before = Instant::now();
        run_for(&scheduler, Duration::from_secs(1)).await;
        assert!(before.elapsed() < Duration::from_secs(12), "{:?}", before.elapsed());
        let [endless, quick] = &scheduler.status()[..] else { panic!("two tasks") };
        assert_eq!(quick.outcome, Some(TaskOutcome::Succeeded));
        assert_eq!(endless.outcome, Some(TaskOutcome::Failed("was stopped with the host".to_owned())));
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_can_come_while_others_run() {
        let (scheduler, late) = (scheduler(), Arc::new(Counter::default()));
        let (other, counter) = (scheduler.clone(), late.clone());
        let adding = tokio::spawn(async move {
            tokio::time::sleep(HOUR).await;
            other.schedule_task(task("late", HOUR, &counter)).unwrap();
        });
        run_for(&scheduler, HOUR * 3).await;
        adding.await.unwrap();
        assert!(late.runs.load(Ordering::SeqCst) >= 1);
    }

    #[tokio::test]
    async fn a_name_is_taken_once() {
        let (scheduler, counter) = (scheduler(), Arc::new(Counter::default()));
        scheduler.schedule_task(task("one", HOUR, &counter)).unwrap();
        assert!(scheduler.schedule_task(task("one", HOUR, &counter)).is_err());
        assert!(scheduler.schedule_task(task("two", Duration::ZERO, &counter)).is_err());
    }
}
