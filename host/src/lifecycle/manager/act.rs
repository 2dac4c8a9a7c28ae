//! What is done with objects once it is decided.

use futures::stream::{self, StreamExt};

use super::LifecycleManager;
use crate::error::Error;
use crate::lifecycle::{AgeingStep, AuditRecord, LifecycleReport, Planned, Verdict};
use crate::object::{Key, StorageMetadata, Timestamp};
use crate::provider::layers::Trashed;

/// A step to be taken with an object.
struct Act {
    key: Key,
    step: AgeingStep,
    /// What it comes to if it is taken.
    done: Outcome,
    record: AuditRecord,
    /// The object and when it was last read, where it is for that too that the step is taken.
    unread: Option<(StorageMetadata, Timestamp)>,
}

impl LifecycleManager {
    /// How many objects are archived or deleted at once.
    const AT_ONCE: usize = 8;

    /// Does what was planned with the objects of a batch, once all of it is on record. With each plan comes when the object
    /// was last read, if policies are told.
    pub(super) async fn carry_out(
        &self,
        planned: impl Iterator<Item = (Planned, Option<Timestamp>)>,
        now: Timestamp,
        report: &mut LifecycleReport,
    ) {
        let mut acts = Vec::new();
        for (planned, last_read_at) in planned {
            match self.act(planned, last_read_at, now) {
                Ok(act) => acts.push(act),
                Err(outcome) => outcome.count(report),
            }
        }
        // Where acts wait for their turn, what is said to have begun begins soon.
        let at_once = if self.pace.is_some() { Self::AT_ONCE } else { acts.len() };
        while !acts.is_empty() {
            let rest = acts.split_off(at_once.min(acts.len()));
            self.take_all(acts, report).await;
            acts = rest;
        }
    }

    async fn take_all(&self, acts: Vec<Act>, report: &mut LifecycleReport) {
        if let Some(audit) = &self.audit {
            let records = acts.iter().map(|act| act.record.clone()).collect();
            if let Err(error) = audit.begin(records).await {
                acts.iter().for_each(|_| Outcome::Failed(error.to_string()).count(report));
                return;
            }
        }
        let mut acting = stream::iter(acts).map(|act| self.take(act)).buffer_unordered(Self::AT_ONCE);
        while let Some(outcome) = acting.next().await {
            outcome.count(report);
        }
    }

    /// What a verdict asks for, or what it comes to if that is nothing.
    fn act(&self, planned: Planned, last_read_at: Option<Timestamp>, now: Timestamp) -> Result<Act, Outcome> {
        let Planned { metadata, verdict, by } = planned;
        let key = metadata.key.clone();
        let unread = last_read_at.map(|at| (metadata.clone(), at));
        let by = by.map(|by| by.to_string()).unwrap_or_default();
        let judged = Box::new(metadata);
        let (done, step) = match verdict {
            Verdict::Keep => return Err(Outcome::Kept),
            Verdict::Retained { .. } => return Err(Outcome::KeptByRetention),
            Verdict::Undecided { problem } => return Err(Outcome::KeptByFailure(problem)),
            Verdict::Archive => (Outcome::Archived, AgeingStep::Archive { judged, now }),
            Verdict::Delete => (Outcome::Deleted, self.deletion(judged, &by, now)),
            Verdict::Tag { tags } => (Outcome::Tagged, AgeingStep::Tag { judged, tags }),
            Verdict::Purge => match Trashed::of(&judged) {
                Some(trashed) if trashed.until <= now => (Outcome::Purged, AgeingStep::Purge { due: Some(now) }),
                _ => return Err(Outcome::InTrash),
            },
        };
        let record = AuditRecord::new(&self.name, &key, &step, by, now);
        Ok(Act { key, step, done, record, unread })
    }

    async fn take(&self, act: Act) -> Outcome {
        let Act { key, step, done, record, unread } = act;
        if let Some(pace) = &self.pace {
            pace.turn().await;
        }
        let result = match self.was_read(unread).await {
            true => Err(Error::precondition_failed(format!("`{key}` was read since it was judged"))),
            false => self.store.age(&key, step).await,
        };
        if let Some(audit) = &self.audit {
            audit.end(record.of_result(&result)).await;
        }
        match result {
            Ok(()) => done,
            Err(Error::NotFound { .. } | Error::PreconditionFailed { .. }) => Outcome::ChangedMeanwhile,
            Err(error) => Outcome::Failed(format!("`{key}` in `{}` stays as it was: {error}", self.name)),
        }
    }

    /// Whether an object was read since that was asked about it, which may be some time where acts wait for their turn.
    async fn was_read(&self, unread: Option<(StorageMetadata, Timestamp)>) -> bool {
        match (&self.reads, unread) {
            (Some(reads), Some((object, at))) => reads.last_reads(&[object]).await != [at],
            _ => false,
        }
    }

    fn deletion(&self, judged: Box<StorageMetadata>, by: &str, now: Timestamp) -> AgeingStep {
        match self.trash {
            None => AgeingStep::Delete { judged },
            Some(keep) => {
                let until = chrono::Duration::from_std(keep).ok().and_then(|keep| now.checked_add_signed(keep));
                AgeingStep::Trash { judged, now, until: until.unwrap_or(Timestamp::MAX_UTC), by: by.to_owned() }
            }
        }
    }
}

/// What came of a verdict.
enum Outcome {
    Kept,
    Archived,
    Deleted,
    Tagged,
    Purged,
    InTrash,
    KeptByRetention,
    KeptByFailure(String),
    ChangedMeanwhile,
    Failed(String),
}

impl Outcome {
    fn count(self, report: &mut LifecycleReport) {
        report.considered += 1;
        match self {
            Self::Kept => report.kept += 1,
            Self::Archived => report.archived += 1,
            Self::Deleted => report.deleted += 1,
            Self::Tagged => report.tagged += 1,
            Self::Purged => report.purged += 1,
            Self::InTrash => report.in_trash += 1,
            Self::KeptByRetention => report.kept_by_retention += 1,
            Self::ChangedMeanwhile => report.changed_meanwhile += 1,
            Self::KeptByFailure(problem) => {
                report.kept_by_failure += 1;
                report.tell(problem);
            }
            Self::Failed(problem) => {
                report.failed += 1;
                report.tell(problem);
            }
        }
    }
}
