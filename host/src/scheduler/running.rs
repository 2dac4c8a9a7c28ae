use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::clock::{Moment, sleep_until};
use super::entry::{Entry, Running, Step};
use super::record::{Record, Records};
use super::run::RunOutcome;
use super::task::Memory;
use super::{State, TaskScheduler, is_correction};
use crate::error::{Error, Result};

/// How long changes are gathered before the file is written again.
const GATHER: Duration = Duration::from_millis(250);

type Ended = (RunOutcome, Option<String>);

impl TaskScheduler {
    /// Starts tasks as they become due, until `stop` is cancelled. Then it starts none, waits up to `grace` for those that
    /// run, and drops those that still do. To be called once at a time.
    pub async fn execute_tasks(&self, stop: CancellationToken, grace: Duration) {
        let over = CancellationToken::new();
        let work = async {
            self.start_until(stop, grace).await;
            over.cancel();
        };
        tokio::join!(work, self.save_changes(&over));
    }

    async fn start_until(&self, stop: CancellationToken, grace: Duration) {
        let mut running = JoinSet::new();
        self.state.lock().stopped = false;
        loop {
            let wait = self.start_due(&mut running);
            let due = async {
                match wait {
                    Some(wait) => self.clock.sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.changed.notified() => {}
                () = due => {}
                Some(ended) = running.join_next_with_id() => self.note_end(ended),
            }
        }
        self.state.lock().stopped = true;
        let patience = sleep_until(&*self.clock, self.clock.steady() + grace);
        let ends = async {
            while let Some(ended) = running.join_next_with_id().await {
                self.note_end(ended);
            }
        };
        tokio::select! {
            () = ends => {}
            () = patience => {}
        }
        running.abort_all();
        while let Some(ended) = running.join_next_with_id().await {
            self.note_end(ended);
        }
        self.state.lock().entries.values_mut().for_each(|entry| entry.refuse());
    }

    /// Starts what is due now, and returns how long it is until the next that does not run will be.
    fn start_due(&self, running: &mut JoinSet<Ended>) -> Option<Duration> {
        let at = Moment::of(&*self.clock);
        let State { entries, seen, .. } = &mut *self.state.lock();
        let expected = seen.wall_after(at.steady.saturating_sub(seen.steady));
        *seen = at;
        if is_correction(expected, at) {
            tracing::warn!("the clock was set back from {expected} to {}: tasks are scheduled anew", at.wall);
            entries.values_mut().for_each(|entry| entry.clock_was_wrong(at));
        }
        let mut next = None;
        for entry in entries.values_mut() {
            match entry.poll(at) {
                Step::Wait => {}
                Step::Start(begun) => {
                    let (executor, clock) = (entry.task.executor.clone(), self.clock.clone());
                    let deadline = entry.task.deadline;
                    let handle = running.spawn(async move {
                        let Some(deadline) = deadline else { return ended(executor.execute(at.wall).await) };
                        tokio::select! {
                            biased;
                            result = executor.execute(at.wall) => ended(result),
                            () = sleep_until(&*clock, at.steady + deadline) => {
                                let deadline = humantime::format_duration(deadline);
                                (RunOutcome::TimedOut, Some(format!("took longer than its deadline of {deadline}")))
                            }
                        }
                    });
                    entry.note_start(handle.id(), begun, at);
                    self.note_change(entry);
                }
                Step::LeftOut => {
                    self.metrics.note_missed(entry.task.kind);
                    self.note_change(entry);
                }
            }
            next = next.into_iter().chain(entry.wait(at)).min();
        }
        self.metrics.set_running(running.len());
        next
    }

    fn note_end(&self, ended: Result<(Id, Ended), JoinError>) {
        let (id, (outcome, message)) = match ended {
            Ok((id, ended)) => (id, ended),
            Err(error) if error.is_cancelled() => {
                (error.id(), (RunOutcome::Interrupted, Some("was stopped with the host".to_owned())))
            }
            Err(error) => (error.id(), (RunOutcome::Failed, Some("panicked".to_owned()))),
        };
        let at = Moment::of(&*self.clock);
        let mut state = self.state.lock();
        let of_id = |running: &Running| running.id == id;
        let Some(entry) = state.entries.values_mut().find(|entry| entry.running.as_ref().is_some_and(of_id)) else {
            return;
        };
        let took = entry.running.as_ref().map(|running| at.steady.saturating_sub(running.since)).unwrap_or_default();
        let (task, kind) = (&entry.task.name, entry.task.kind);
        if let Some(message) = &message {
            tracing::warn!(task, %outcome, "the task did not end as it should: {message}");
        }
        self.metrics.note_end(kind, outcome, took);
        if outcome == RunOutcome::Succeeded {
            self.metrics.set_last_success(task, at.wall);
        }
        entry.note_end(outcome, message, at);
        self.note_change(entry);
    }

    /// Has the file written, if it says more of the task than it did.
    fn note_change(&self, entry: &Entry) {
        if entry.task.memory == Memory::Lasting {
            self.unsaved.notify_one();
        }
    }

    async fn save_changes(&self, over: &CancellationToken) {
        if self.file.is_none() {
            return;
        }
        while !over.is_cancelled() {
            tokio::select! {
                () = over.cancelled() => {}
                () = self.unsaved.notified() => {}
            }
            if let Err(error) = self.save().await {
                tracing::warn!("{error}");
            }
            tokio::select! {
                () = over.cancelled() => {}
                () = tokio::time::sleep(GATHER) => {}
            }
        }
        if let Err(error) = self.save().await {
            tracing::warn!("{error}");
        }
    }

    /// Writes down what is known of the tasks now, on a thread that may block.
    pub(super) async fn save(&self) -> Result<()> {
        let Some(file) = self.file.clone() else { return Ok(()) };
        let _alone = self.saving.lock().await;
        let records = self.records();
        let path = file.path().display().to_string();
        let written = tokio::task::spawn_blocking(move || file.write(&records)).await;
        written.unwrap_or_else(|error| Err(error.into())).map_err(|error| {
            Error::internal(format!(
                "what tasks do can not be written to {path}: {error}; the folder must be writable, and its disk not full"
            ))
        })
    }

    /// What is to be remembered.
    pub(super) fn records(&self) -> Records {
        let at = Moment::of(&*self.clock);
        let state = self.state.lock();
        let mut tasks: BTreeMap<String, Record> =
            state.entries.iter().map(|(name, entry)| (name.clone(), entry.record(at))).collect();
        // A task may come later; one that has not come until the end is none any more.
        if !state.stopped {
            tasks.extend(state.remembered.clone());
        }
        Records { version: Records::VERSION, saved_at: at.wall, tasks }
    }
}

fn ended(result: Result<()>) -> Ended {
    match result {
        Ok(()) => (RunOutcome::Succeeded, None),
        Err(error) => (RunOutcome::Failed, Some(error.to_string())),
    }
}
