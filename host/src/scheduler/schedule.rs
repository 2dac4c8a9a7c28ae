use std::fmt;
use std::time::Duration;

use chrono_tz::Tz;

use super::cron::CronExpression;

/// When a task starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// At an interval, from one start to the next. It is measured by the steady reading of the clock, so that nobody who sets
    /// the time of day changes it. A new task starts within the first tenth of it.
    Every(Duration),
    /// At times of day, on the clocks of a time zone.
    Cron(CronExpression, Tz),
}

impl Schedule {
    /// How far a start is from where the schedule has it, unless a task says otherwise: up to a tenth of an interval, shorter or
    /// longer, so that tasks of the same interval do not come all at once; nothing from a time of day.
    pub fn usual_jitter(&self) -> Duration {
        match self {
            Self::Every(interval) => *interval / 10,
            Self::Cron(..) => Duration::ZERO,
        }
    }
}

/// In one line for people; of equal schedules alone it is the same.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(interval) => write!(f, "every {}", humantime::format_duration(*interval)),
            Self::Cron(expression, zone) => write!(f, "{expression} {zone}"),
        }
    }
}
