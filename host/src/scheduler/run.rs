use std::fmt;

use serde::{Deserialize, Serialize};

use crate::object::Timestamp;

/// A run of a task that has ended, or a start that it missed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// When it started; of a missed start, when it was to be.
    pub started_at: Timestamp,
    /// When it ended; absent if nobody was there to see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    pub outcome: RunOutcome,
    /// Why it started.
    pub trigger: Trigger,
    /// Which try it was, from 1 on.
    pub attempt: u32,
    /// What went wrong, cut off after 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Run {
    const MESSAGE: usize = 500;

    pub(super) fn cut(mut message: String) -> String {
        if let Some((end, _)) = message.char_indices().nth(Self::MESSAGE) {
            message.truncate(end);
            message.push('\u{2026}');
        }
        message
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunOutcome {
    /// As it should.
    Succeeded,
    /// With an error, or in a panic.
    Failed,
    /// It took longer than it may, and was dropped.
    TimedOut,
    /// The host stopped, or was killed.
    Interrupted,
    /// It did not start: no host was there at its time, and what was missed is left out.
    Missed,
}

impl RunOutcome {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Succeeded, Self::Failed, Self::TimedOut, Self::Interrupted, Self::Missed];

    /// One word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed-out",
            Self::Interrupted => "interrupted",
            Self::Missed => "missed",
        }
    }

    /// Whether something ran, and did not end as it should.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut | Self::Interrupted)
    }
}

impl fmt::Display for RunOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a run started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// It was due.
    Schedule,
    /// The run before failed.
    Retry,
    /// It makes up for starts that were missed.
    CatchUp,
    /// Somebody asked for it.
    Hand,
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Schedule => "schedule",
            Self::Retry => "retry",
            Self::CatchUp => "catch-up",
            Self::Hand => "hand",
        })
    }
}

/// How a task is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskStatus {
    /// Its name.
    pub name: String,
    /// What kind of task it is.
    pub kind: String,
    /// When it starts, for people.
    pub schedule: String,
    /// Whether it is paused: it then starts only if somebody asks for it.
    pub paused: bool,
    /// Since when it runs; absent if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_since: Option<Timestamp>,
    /// When it starts next; absent while it runs or is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_run: Option<Timestamp>,
    /// Its last run; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<Run>,
    /// When a run last ended as it should.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success: Option<Timestamp>,
    /// How many runs have ended since the task came to be.
    pub runs: u64,
    /// How many of them failed.
    pub failures: u64,
}
