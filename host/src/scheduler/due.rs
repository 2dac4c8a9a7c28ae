use std::time::Duration;

use super::clock::Moment;
use super::schedule::Schedule;
use super::task::ScheduledTask;
use crate::object::Timestamp;
use crate::random::chance;

/// When a task starts next by its schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// When the steady reading is this.
    Steady(Duration),
    /// At a time of day: that of the schedule, and when the task starts for it.
    Wall { met: Timestamp, start: Timestamp },
    /// The schedule has come to its end.
    Never,
}

impl Due {
    /// The first start of a task that is new.
    pub(super) fn first(task: &ScheduledTask, at: Moment) -> Self {
        match &task.schedule {
            Schedule::Every(interval) => Self::Steady(at.steady + interval.mul_f64(0.1 * chance())),
            Schedule::Cron(..) => Self::met_after(task, at.wall),
        }
    }

    /// The first start for a time of day after this one.
    pub(super) fn met_after(task: &ScheduledTask, moment: Timestamp) -> Self {
        let Schedule::Cron(expression, zone) = &task.schedule else { return Self::Never };
        let Some(met) = expression.next_after(moment, *zone) else { return Self::Never };
        let mut jitter = task.jitter();
        if jitter.is_zero() {
            return Self::Wall { met, start: met };
        }
        if let Some(following) = expression.next_after(met, *zone) {
            jitter = jitter.min((following - met).to_std().unwrap_or_default());
        }
        let later = chrono::Duration::from_std(jitter.mul_f64(chance())).unwrap_or_default();
        Self::Wall { met, start: met + later }
    }

    /// An interval's start that was planned for this time of day, before this process. It is not further away than the interval
    /// allows, whatever became of the clock; if it has passed, it is the first after it that is still to come.
    pub(super) fn planned(task: &ScheduledTask, interval: Duration, start: Timestamp, at: Moment) -> Self {
        let span = match (start - at.wall).to_std() {
            Ok(left) => left.min(interval + jitter_of(task, interval)),
            Err(_) => until_next((at.wall - start).to_std().unwrap_or_default(), interval),
        };
        Self::Steady(at.steady + span)
    }

    /// How late the start is; `None` if it is still to come.
    pub(super) fn lateness(self, at: Moment) -> Option<Duration> {
        match self {
            Self::Steady(due) => at.steady.checked_sub(due),
            Self::Wall { start, .. } => (at.wall - start).to_std().ok(),
            Self::Never => None,
        }
    }

    /// How long it is until the start; nothing if it has come.
    pub(super) fn wait(self, at: Moment) -> Option<Duration> {
        match self {
            Self::Steady(due) => Some(due.saturating_sub(at.steady)),
            Self::Wall { start, .. } => Some((start - at.wall).to_std().unwrap_or_default()),
            Self::Never => None,
        }
    }

    /// The time of day of the start.
    pub(super) fn wall(self, at: Moment) -> Option<Timestamp> {
        match self {
            Self::Steady(due) => Some(at.wall_after(due.saturating_sub(at.steady))),
            Self::Wall { start, .. } => Some(start),
            Self::Never => None,
        }
    }

    /// The start after this one, which has come.
    pub(super) fn following(self, task: &ScheduledTask, at: Moment) -> Self {
        match (&task.schedule, self) {
            (Schedule::Every(interval), Self::Steady(_)) => {
                let jitter = jitter_of(task, *interval);
                Self::Steady(at.steady + (*interval - jitter) + jitter.mul_f64(2.0 * chance()))
            }
            (_, Self::Wall { met, .. }) => Self::met_after(task, met.max(at.wall)),
            (_, due) => due,
        }
    }

    /// The first start that is still to come: this one, if it has not come yet. Those between are left out.
    pub(super) fn to_come(self, task: &ScheduledTask, at: Moment) -> Self {
        match (self.lateness(at), &task.schedule) {
            (None, _) => self,
            (Some(late), Schedule::Every(interval)) => Self::Steady(at.steady + until_next(late, *interval)),
            (Some(_), Schedule::Cron(..)) => Self::met_after(task, at.wall),
        }
    }
}

fn jitter_of(task: &ScheduledTask, interval: Duration) -> Duration {
    task.jitter().min(interval / 2)
}

/// From a start that is so late to the first of its interval that is still to come.
fn until_next(late: Duration, interval: Duration) -> Duration {
    let into = late.as_nanos() % interval.as_nanos();
    interval - Duration::from_nanos(u64::try_from(into).unwrap_or(u64::MAX))
}
