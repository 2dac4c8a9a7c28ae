use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::run::{Run, RunOutcome, Trigger};
use crate::object::Timestamp;

/// What is remembered of all tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Records {
    /// The version of this form.
    pub(super) version: u32,
    /// When this was so: if the clock is far behind it, somebody has set it.
    pub(super) saved_at: Timestamp,
    pub(super) tasks: BTreeMap<String, Record>,
}

impl Records {
    pub(super) const VERSION: u32 = 1;
}

/// What is remembered of a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Its schedule, as it is shown: when it is another one, the next start is none any more.
    pub(super) schedule: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) paused: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) next_run: Option<Timestamp>,
    /// The run that goes on: whoever reads this later knows that it was cut off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) running: Option<Begun>,
    #[serde(default)]
    pub(super) history: History,
}

/// A run that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Begun {
    pub(super) started_at: Timestamp,
    pub(super) trigger: Trigger,
    pub(super) attempt: u32,
}

/// The runs of a task, all counted and the last ones kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct History {
    pub(super) runs: u64,
    pub(super) failures: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last_success: Option<Timestamp>,
    /// The oldest is first.
    last: VecDeque<Run>,
}

impl History {
    /// How many runs are kept of a task.
    const KEPT: usize = 20;

    pub(super) fn push(&mut self, run: Run) {
        if run.outcome != RunOutcome::Missed {
            self.runs += 1;
        }
        if run.outcome.is_failure() {
            self.failures += 1;
        }
        if run.outcome == RunOutcome::Succeeded {
            self.last_success = run.ended_at;
        }
        self.last.push_back(run);
        while self.last.len() > Self::KEPT {
            self.last.pop_front();
        }
    }

    /// The last run, missed starts left out.
    pub(super) fn last_run(&self) -> Option<&Run> {
        self.last.iter().rfind(|run| run.outcome != RunOutcome::Missed)
    }

    /// What is kept, newest first.
    pub(super) fn newest_first(&self) -> Vec<Run> {
        self.last.iter().rev().cloned().collect()
    }
}
