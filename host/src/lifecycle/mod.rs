//! The third seam: how objects age.

mod ageing_store;
mod audit;
mod manager;
mod metrics;
mod pace;
mod progress;
mod reads;
mod report;
mod rule;

use std::fmt;
use std::time::Duration;

pub use ageing_store::{AgeingStep, AgeingStore};
pub use audit::{Audit, AuditOutcome, AuditRecord, on_record};
pub use manager::LifecycleManager;
pub use metrics::LifecycleMetrics;
pub use reads::ReadLog;
pub use report::{Differences, LifecycleReport, Opinion, Planned, Verdict};
pub use rule::{Rule, Since};

use crate::error::Result;
use crate::object::{StorageMetadata, Tags, Timestamp};

/// Says how objects age: a pure function of an object's metadata and the time.
///
/// A native policy answers the three questions for one object; whoever can answer for many at once, as a plugin does,
/// overrides [`decide`](LifecyclePolicy::decide).
pub trait LifecyclePolicy: fmt::Debug + Send + Sync + 'static {
    /// Whether the object should move to the archive.
    fn should_archive(&self, candidate: &Candidate, now: Timestamp) -> bool;

    /// Whether the object should be deleted.
    fn should_delete(&self, candidate: &Candidate, now: Timestamp) -> bool;

    /// For how long after its `updated_at` nothing may delete the object; zero for no such wish.
    fn retention_period(&self, candidate: &Candidate) -> Duration;

    /// The tags that the object should have beside those that it has.
    fn tags(&self, _candidate: &Candidate, _now: Timestamp) -> Option<&Tags> {
        None
    }

    /// Decides for each candidate, as of `now`: as many decisions as candidates, in the same order.
    ///
    /// # Errors
    /// A plugin's failure: every one of the candidates is then kept.
    fn decide(&self, candidates: &[Candidate], now: Timestamp) -> Result<Vec<Decision>> {
        let decide = |candidate| Decision {
            archive: self.should_archive(candidate, now),
            delete: self.should_delete(candidate, now),
            retain: self.retention_period(candidate),
            tags: self.tags(candidate, now).cloned().unwrap_or_default(),
        };
        Ok(candidates.iter().map(decide).collect())
    }

    /// Whether it knows when it would decide otherwise, so that nobody need ask it about everything again and again.
    fn foresees(&self) -> bool {
        false
    }

    /// Of one that [foresees](LifecyclePolicy::foresees), for each candidate, in the same order: no later than when it might
    /// first decide otherwise about it than as of `now`, if nothing is changed about it but that it is read; `None` for never.
    /// What is not after `now` says that it can not be told.
    ///
    /// # Errors
    /// A plugin's failure: of none of the candidates it can be told.
    fn next_changes(&self, candidates: &[Candidate], now: Timestamp) -> Result<Vec<Option<Timestamp>>> {
        Ok(vec![Some(now); candidates.len()])
    }

    /// What all its decisions come from. Another one is another policy.
    fn fingerprint(&self) -> String {
        format!("{self:?}")
    }
}

/// An object to be judged.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// What is known of it.
    pub metadata: StorageMetadata,
    /// When it was last read, or written if that is later, if the host keeps track of that: no earlier than it was, and later
    /// where it is not known.
    pub last_read_at: Option<Timestamp>,
}

/// What a policy wants for one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Move it to the archive.
    pub archive: bool,
    /// Delete it.
    pub delete: bool,
    /// Nothing deletes it for so long after its `updated_at`, whoever asks.
    pub retain: Duration,
    /// Set these tags, beside those that it has.
    pub tags: Tags,
}

impl Decision {
    /// Leave it where it is, and promise nothing.
    pub const KEEP: Self = Self { archive: false, delete: false, retain: Duration::ZERO, tags: Tags::new() };
}
