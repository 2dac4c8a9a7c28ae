use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::Id;

use super::clock::Moment;
use super::due::Due;
use super::record::{Begun, History, Record};
use super::run::{Run, RunOutcome, TaskStatus, Trigger};
use super::schedule::Schedule;
use super::task::{Memory, MissedStarts, ScheduledTask};
use crate::object::Timestamp;
use crate::random::chance;

/// A start that is later than this was missed. Up to this the host was busy, or its clock was being kept right.
const MISSED_AFTER: Duration = Duration::from_secs(60);
/// Starts that make up for missed ones are spread over this, as far as the task's jitter allows.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(60);

/// A task, and all that is known of it. It decides what to do at a moment, and knows nothing of threads.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) task: ScheduledTask,
    /// The next start by the schedule. While the task runs: the earliest one after this.
    due: Due,
    /// A start beside the schedule, if one is to come.
    extra: Option<Extra>,
    /// A start that nobody was there for, before this process.
    overdue: Option<Timestamp>,
    /// Who waits for a run that was asked for and has not started.
    asked: Vec<oneshot::Sender<Run>>,
    pub(super) running: Option<Running>,
    paused: bool,
    history: History,
}

/// What a task does at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing, until its [`wait`](Entry::wait) is over.
    Wait,
    /// It starts.
    Start(Begun),
    /// It has left out a start that it missed.
    LeftOut,
}

#[derive(Clone, Copy, Debug)]
struct Extra {
    /// By the steady reading.
    due: Duration,
    trigger: Trigger,
    attempt: u32,
}

/// A run that goes on.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) id: Id,
    pub(super) begun: Begun,
    pub(super) since: Duration,
    /// Who waits for its end.
    asked: Vec<oneshot::Sender<Run>>,
}

impl Entry {
    pub(super) fn new(task: ScheduledTask, at: Moment) -> Self {
        let due = Due::first(&task, at);
        Self {
            task,
            due,
            extra: None,
            overdue: None,
            asked: Vec::new(),
            running: None,
            paused: false,
            history: History::default(),
        }
    }

    /// With what was remembered of the task. `clock_held` says whether the time of day is one that can have come since.
    pub(super) fn recall(&mut self, record: Record, at: Moment, clock_held: bool) {
        self.paused = record.paused;
        if self.task.memory == Memory::Fleeting {
            return;
        }
        self.history = record.history;
        if let Some(Begun { started_at, trigger, attempt }) = record.running {
            let message = Some("the host ended in the middle of it".to_owned());
            let outcome = RunOutcome::Interrupted;
            self.history.push(Run { started_at, ended_at: None, outcome, trigger, attempt, message });
        }
        if record.schedule == self.task.schedule.to_string()
            && let Some(next_run) = record.next_run.filter(|_| clock_held)
        {
            self.due_at(next_run, at);
        }
        self.try_again(at);
    }

    /// Takes over a start that was planned before this process.
    fn due_at(&mut self, start: Timestamp, at: Moment) {
        match &self.task.schedule {
            Schedule::Cron(..) => self.due = Due::Wall { met: start, start },
            Schedule::Every(interval) => {
                self.due = Due::planned(&self.task, *interval, start, at);
                match (at.wall - start).to_std() {
                    Ok(late) if late > MISSED_AFTER => self.overdue = Some(start),
                    Ok(_) => self.extra = Some(Extra { due: at.steady, trigger: Trigger::Schedule, attempt: 1 }),
                    Err(_) => {}
                }
            }
        }
    }

    /// Takes it that the time of day was wrong until now.
    pub(super) fn clock_was_wrong(&mut self, at: Moment) {
        if let Due::Wall { .. } = self.due {
            self.due = Due::met_after(&self.task, at.wall);
        }
    }

    /// What is to be done at this moment.
    pub(super) fn poll(&mut self, at: Moment) -> Step {
        if self.running.is_some() {
            return Step::Wait;
        }
        let begin = |trigger, attempt| Step::Start(Begun { started_at: at.wall, trigger, attempt });
        if !self.asked.is_empty() {
            return begin(Trigger::Hand, 1);
        }
        if self.paused {
            return Step::Wait;
        }
        if let Some(start) = self.overdue.take() {
            return self.miss(start, at);
        }
        if let Some(late) = self.due.lateness(at) {
            if let Due::Wall { start, .. } = self.due
                && late > MISSED_AFTER
            {
                // The last of those that came meanwhile may be just in time.
                self.due = Due::met_after(&self.task, start.max(at.wall - MISSED_AFTER));
                return self.miss(start, at);
            }
            self.due = self.due.following(&self.task, at);
            self.extra = None;
            return begin(Trigger::Schedule, 1);
        }
        match self.extra.take_if(|extra| extra.due <= at.steady) {
            Some(Extra { trigger, attempt, .. }) => begin(trigger, attempt),
            None => Step::Wait,
        }
    }

    /// What becomes of a start that was to be at `start`, and of those that followed it.
    fn miss(&mut self, start: Timestamp, at: Moment) -> Step {
        match self.task.missed {
            MissedStarts::RunOnce => {
                let wait = self.task.jitter().min(CATCH_UP_WITHIN).mul_f64(chance());
                self.extra = Some(Extra { due: at.steady + wait, trigger: Trigger::CatchUp, attempt: 1 });
                Step::Wait
            }
            MissedStarts::Skip => {
                tracing::info!(task = self.task.name, %start, "a start was missed and is left out");
                let (outcome, trigger, message) = (RunOutcome::Missed, Trigger::Schedule, None);
                self.history.push(Run { started_at: start, ended_at: None, outcome, trigger, attempt: 1, message });
                Step::LeftOut
            }
        }
    }

    /// Notes that a run has begun which [`poll`](Self::poll) asked for.
    pub(super) fn note_start(&mut self, id: Id, begun: Begun, at: Moment) {
        let asked = std::mem::take(&mut self.asked);
        self.running = Some(Running { id, begun, since: at.steady, asked });
    }

    /// Notes the end of the run that goes on.
    pub(super) fn note_end(&mut self, outcome: RunOutcome, message: Option<String>, at: Moment) {
        let Some(Running { begun, asked, .. }) = self.running.take() else { return };
        let Begun { started_at, trigger, attempt } = begun;
        let message = message.map(Run::cut);
        let run = Run { started_at, ended_at: Some(at.wall), outcome, trigger, attempt, message };
        for waiting in asked {
            // Whoever went away is not told.
            let _ = waiting.send(run.clone());
        }
        self.history.push(run);
        if outcome == RunOutcome::Succeeded {
            self.extra = None;
        }
        self.due = self.due.to_come(&self.task, at);
        self.try_again(at);
    }

    /// Plans another try if the last run failed and the task has one left.
    fn try_again(&mut self, at: Moment) {
        let Some(Run { outcome, trigger, attempt, .. }) = self.history.last_run() else { return };
        let times = match (outcome, self.task.missed) {
            (RunOutcome::Interrupted, MissedStarts::RunOnce) => self.task.retries.times.max(1),
            _ => self.task.retries.times,
        };
        if outcome.is_failure() && *trigger != Trigger::Hand && *attempt <= times && !self.paused {
            let due = at.steady + self.task.retries.wait(*attempt);
            self.extra = Some(Extra { due, trigger: Trigger::Retry, attempt: attempt + 1 });
        }
    }

    /// When there will be something to start; `None` if that is up to others.
    pub(super) fn wait(&self, at: Moment) -> Option<Duration> {
        if self.running.is_some() {
            return None;
        }
        if !self.asked.is_empty() {
            return Some(Duration::ZERO);
        }
        if self.paused {
            return None;
        }
        if self.overdue.is_some() {
            return Some(Duration::ZERO);
        }
        let extra = self.extra.map(|extra| extra.due.saturating_sub(at.steady));
        self.due.wait(at).into_iter().chain(extra).min()
    }

    pub(super) fn pause(&mut self) {
        self.paused = true;
        self.extra = None;
        self.overdue = None;
    }

    /// Lets it start again. What came while it was paused is left out.
    pub(super) fn resume(&mut self, at: Moment) {
        self.paused = false;
        self.overdue = None;
        self.due = self.due.to_come(&self.task, at);
    }

    /// Has it start at once; the run is told to `waiting` when it has ended. False if it runs.
    pub(super) fn ask(&mut self, waiting: oneshot::Sender<Run>) -> bool {
        let free = self.running.is_none();
        if free {
            self.asked.push(waiting);
        }
        free
    }

    /// Tells those who wait for a run that there will be none.
    pub(super) fn refuse(&mut self) {
        self.asked.clear();
    }

    pub(super) fn status(&self, at: Moment) -> TaskStatus {
        TaskStatus {
            name: self.task.name.clone(),
            kind: self.task.kind.to_owned(),
            schedule: self.task.schedule.to_string(),
            paused: self.paused,
            running_since: self.running.as_ref().map(|running| running.begun.started_at),
            next_run: self.wait(at).map(|wait| at.wall_after(wait)),
            last_run: self.history.last_run().cloned(),
            last_success: self.history.last_success,
            runs: self.history.runs,
            failures: self.history.failures,
        }
    }

    pub(super) fn history(&self) -> Vec<Run> {
        self.history.newest_first()
    }

    /// What is to be remembered of it.
    pub(super) fn record(&self, at: Moment) -> Record {
        let schedule = self.task.schedule.to_string();
        if self.task.memory == Memory::Fleeting {
            return Record { schedule, paused: self.paused, ..Record::default() };
        }
        let next_run = match (self.overdue, self.extra) {
            (Some(start), _) => Some(start),
            // It is owed, whoever runs then.
            (None, Some(Extra { due, trigger: Trigger::CatchUp, .. })) => Due::Steady(due).wall(at),
            (None, _) => self.due.wall(at),
        };
        let running = self.running.as_ref().map(|running| running.begun);
        Record { schedule, paused: self.paused, next_run, running, history: self.history.clone() }
    }
}
