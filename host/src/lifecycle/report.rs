use serde::Serialize;

use crate::object::{StorageMetadata, Timestamp};

/// What the policies of a store say together about one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It stays, and nobody wanted otherwise.
    Keep,
    /// It moves to the archive.
    Archive,
    /// It goes.
    Delete,
    /// It would go, but is retained until then.
    Retained {
        /// The first moment at which it may go.
        until: Timestamp,
    },
    /// It stays, because this went wrong: not every policy could be heard.
    Undecided {
        /// What went wrong.
        problem: String,
    },
}

/// An object and what is to happen to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// The object as it was judged.
    pub metadata: StorageMetadata,
    /// What is to happen to it.
    pub verdict: Verdict,
}

/// What applying the policies of a store came to. Every object considered is in exactly one of the other counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LifecycleReport {
    /// Objects that were judged.
    pub considered: u64,
    /// Objects that stay, and nobody wanted otherwise.
    pub kept: u64,
    /// Objects that moved to the archive.
    pub archived: u64,
    /// Objects that were deleted.
    pub deleted: u64,
    /// Objects that a policy wanted deleted and that are retained.
    pub kept_by_retention: u64,
    /// Objects kept because a policy could not be heard.
    pub kept_by_failure: u64,
    /// Objects that were written, changed or deleted while they were judged, and so left alone.
    pub changed_meanwhile: u64,
    /// Objects that were to be archived or deleted, and could not be; they are as they were.
    pub failed: u64,
    /// The first [`LifecycleReport::MAX_PROBLEMS`] different things that went wrong.
    pub problems: Vec<String>,
}

impl LifecycleReport {
    /// How many problems are told; the rest is only counted.
    pub const MAX_PROBLEMS: usize = 20;

    pub(super) fn tell(&mut self, problem: String) {
        if self.problems.len() < Self::MAX_PROBLEMS && !self.problems.contains(&problem) {
            tracing::warn!("lifecycle: {problem}");
            self.problems.push(problem);
        }
    }
}
