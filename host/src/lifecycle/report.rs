use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::object::{StorageMetadata, Tags, Timestamp};

/// What the policies of a store say together about one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It stays, and nobody wanted otherwise.
    Keep,
    /// It moves to the archive.
    Archive,
    /// It goes.
    Delete,
    /// It gets these tags, all that it has from then on.
    Tag {
        /// The tags.
        tags: Tags,
    },
    /// It is in the trash, and goes when its time is over.
    Purge,
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

impl Verdict {
    /// It in a word or two.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Archive => "archive",
            Self::Delete => "delete",
            Self::Tag { .. } => "tag",
            Self::Purge => "purge",
            Self::Retained { .. } => "retain",
            Self::Undecided { .. } => "keep, undecided",
        }
    }
}

/// An object and what is to happen to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// The object as it was judged.
    pub metadata: StorageMetadata,
    /// What is to happen to it.
    pub verdict: Verdict,
    /// The policy that wants it so; of several, the first, or the one that retains it the longest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Arc<str>>,
}

/// What one policy says of one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opinion {
    /// The policy's name.
    pub policy: String,
    /// Whether it is heard; otherwise it is only monitored.
    pub decides: bool,
    /// It wants the object archived.
    pub archive: bool,
    /// It wants the object deleted.
    pub delete: bool,
    /// It wants the object retained until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retain_until: Option<Timestamp>,
    /// It wants these tags set.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
}

/// What applying the policies of a store came to. Every object considered is in exactly one of the other counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleReport {
    /// Objects that were judged.
    pub considered: u64,
    /// Objects that stay, and nobody wanted otherwise.
    pub kept: u64,
    /// Objects that moved to the archive.
    pub archived: u64,
    /// Objects that were deleted, or put into the trash.
    pub deleted: u64,
    /// Objects that got tags.
    pub tagged: u64,
    /// Objects that were in the trash long enough, and went for good.
    pub purged: u64,
    /// Objects that stay in the trash.
    pub in_trash: u64,
    /// Objects that a policy wanted deleted and that are retained.
    pub kept_by_retention: u64,
    /// Objects kept because a policy could not be heard.
    pub kept_by_failure: u64,
    /// Objects that were written, changed or deleted while they were judged, and so left alone.
    pub changed_meanwhile: u64,
    /// Objects that were to be archived or deleted, and could not be; they are as they were.
    pub failed: u64,
    /// Copies that were removed from the archive because nothing refers to them any more; they are in no other count.
    pub swept: u64,
    /// What policies that are only monitored would have done otherwise, by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub monitored: BTreeMap<String, Differences>,
    /// The first [`LifecycleReport::MAX_PROBLEMS`] different things that went wrong.
    pub problems: Vec<String>,
}

/// Where a policy that is only monitored differs from those that decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Differences {
    /// Objects that it would have archived, and that were not to be.
    pub would_archive: u64,
    /// Objects that it would have deleted, and that were not to be.
    pub would_delete: u64,
    /// Objects that it would have kept, and that were to be archived or deleted.
    pub would_keep: u64,
    /// Objects that it could not be heard about.
    pub unheard: u64,
}

impl Differences {
    /// How many objects it differs on.
    pub fn count(&self) -> u64 {
        self.would_archive + self.would_delete + self.would_keep
    }

    /// Takes note of what both say of one object. Whether it is kept by a retention or for another reason is the same.
    pub(super) fn note(&mut self, decided: &Verdict, would: &Verdict) {
        match (decided, would) {
            (Verdict::Archive, Verdict::Archive) | (Verdict::Delete, Verdict::Delete) => {}
            (_, Verdict::Archive) => self.would_archive += 1,
            (_, Verdict::Delete) => self.would_delete += 1,
            (Verdict::Archive | Verdict::Delete, _) => self.would_keep += 1,
            _ => {}
        }
    }
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
