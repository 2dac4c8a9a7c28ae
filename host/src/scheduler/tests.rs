use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::*;

mod clock_jumps;
mod oracle;
mod restarts;
mod runs;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn at(text: &str) -> Timestamp {
    DateTime::parse_from_rfc3339(text).unwrap().with_timezone(&Utc)
}

fn cron(expression: &str, zone: Tz) -> Schedule {
    Schedule::Cron(expression.parse().unwrap(), zone)
}

/// A clock whose time goes by as soon as everybody waits for it: tokio's, paused, with a time of day that can be set.
#[derive(Debug)]
struct SimulatedClock {
    begun: Instant,
    start: Mutex<Timestamp>,
    set: Notify,
}

impl SimulatedClock {
    fn starting(start: &str) -> Arc<Self> {
        Arc::new(Self { begun: Instant::now(), start: Mutex::new(at(start)), set: Notify::new() })
    }

    /// Sets the time of day forwards, or backwards if it is negative.
    fn jump(&self, by: chrono::Duration) {
        *self.start.lock() += by;
        self.set.notify_waiters();
    }
}

#[async_trait]
impl Clock for SimulatedClock {
    fn wall(&self) -> Timestamp {
        *self.start.lock() + self.steady()
    }

    fn steady(&self) -> Duration {
        self.begun.elapsed()
    }

    async fn sleep(&self, span: Duration) {
        tokio::select! {
            () = tokio::time::sleep(span) => {}
            () = self.set.notified() => {}
        }
    }
}

/// Notes when it starts. Each run takes `takes`, and the first so many fail.
#[derive(Debug, Default)]
struct Probe {
    takes: Duration,
    failing: AtomicU32,
    panics: bool,
    starts: Mutex<Vec<Timestamp>>,
    ended: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Probe {
    fn taking(takes: Duration) -> Arc<Self> {
        Arc::new(Self { takes, ..Self::default() })
    }

    fn failing(times: u32) -> Arc<Self> {
        Arc::new(Self { failing: AtomicU32::new(times), ..Self::default() })
    }

    fn starts(&self) -> Vec<Timestamp> {
        self.starts.lock().clone()
    }

    /// When it started, to the minute, in UTC.
    fn shown(&self) -> Vec<String> {
        self.starts().iter().map(|start| start.format("%m-%d %H:%M").to_string()).collect()
    }
}

#[async_trait]
impl TaskExecutor for Probe {
    async fn execute(&self, now: Timestamp) -> Result<()> {
        self.starts.lock().push(now);
        let at_once = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        tokio::time::sleep(self.takes).await;
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        self.ended.fetch_add(1, Ordering::SeqCst);
        assert!(!self.panics, "a task that panics");
        match self.failing.load(Ordering::SeqCst) {
            0 => Ok(()),
            left => {
                self.failing.store(left - 1, Ordering::SeqCst);
                Err(Error::internal("it does not work"))
            }
        }
    }
}

fn task(name: &str, schedule: Schedule, probe: &Arc<Probe>) -> ScheduledTask {
    ScheduledTask::new(name.to_owned(), "test", schedule, probe.clone())
}

fn every(interval: Duration) -> Schedule {
    Schedule::Every(interval)
}

/// A scheduler at work.
struct AtWork {
    scheduler: Arc<TaskScheduler>,
    stop: CancellationToken,
    work: JoinHandle<()>,
}

impl AtWork {
    fn begin(scheduler: TaskScheduler, tasks: impl IntoIterator<Item = ScheduledTask>) -> Self {
        let scheduler = Arc::new(scheduler);
        tasks.into_iter().for_each(|task| scheduler.schedule_task(task).unwrap());
        let stop = CancellationToken::new();
        let (running, token) = (scheduler.clone(), stop.clone());
        let work = tokio::spawn(async move { running.execute_tasks(token, 10 * MINUTE).await });
        Self { scheduler, stop, work }
    }

    fn status(&self, name: &str) -> TaskStatus {
        self.scheduler.status().into_iter().find(|status| status.name == name).unwrap()
    }

    /// The end of the host as it should be.
    async fn stop(self) {
        self.stop.cancel();
        self.work.await.unwrap();
    }

    /// The end of the host by `kill -9`, after what it had to write was written.
    async fn kill(self) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.work.abort();
        assert!(self.work.await.unwrap_err().is_cancelled());
    }
}

async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}
