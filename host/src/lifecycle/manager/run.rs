//! One run of the policies over a store.

use std::sync::Arc;

use super::LifecycleManager;
use super::course::{Batch, Course, Index};
use super::hearing::foresee;
use crate::error::Result;
use crate::lifecycle::progress::{Behind, Progress, ProgressKeeper};
use crate::lifecycle::report::{LifecycleReport, Planned, Verdict};
use crate::object::{Digest, Key, StorageMetadata, Timestamp, now as real_now};
use crate::provider::layers::{Restored, Trashed};
use crate::provider::{DueState, NextLook};

/// A run, and what it has come to so far.
pub(super) struct Run {
    /// What the policies were when it began.
    pub(super) policies: String,
    pub(super) course: Course,
    pub(super) report: LifecycleReport,
}

impl LifecycleManager {
    /// A run from the beginning, or from where an earlier one was cut off.
    ///
    /// # Errors
    /// Those of the index of what is due.
    pub(super) async fn begin(&self, cut_off: Option<Progress>) -> Result<Run> {
        let policies = self.policies_digest();
        let (behind, report) = cut_off.map(|cut_off| (cut_off.behind, cut_off.report)).unzip();
        let (course, goes_on) = self.course(&policies, behind).await?;
        Ok(Run { policies, course, report: report.filter(|_| goes_on).unwrap_or_default() })
    }

    /// How the objects of a run are found, and whether that is where an earlier one was cut off.
    async fn course(&self, policies: &str, behind: Option<Behind>) -> Result<(Course, bool)> {
        let index = Arc::clone(&self.store).due_index();
        let index = match index {
            Some(index) if self.foresees() => index,
            other => {
                if let Some(index) = other {
                    index.end().await?;
                }
                return Ok(match behind {
                    Some(Behind::Key(key)) => (Course::walk(None, Some(key)), true),
                    Some(Behind::Due) | None => (Course::walk(None, None), false),
                });
            }
        };
        let state = index.state().await?.filter(|state| state.purpose == policies);
        Ok(match (state, behind) {
            (Some(DueState { complete: true, serial, .. }), behind) => {
                let course = Course::Due { index: Index { of: index, serial }, after: None };
                (course, matches!(behind, Some(Behind::Due)))
            }
            (Some(DueState { serial, .. }), Some(Behind::Key(key))) => {
                (Course::walk(Some(Index { of: index, serial }), Some(key)), true)
            }
            _ => {
                let serial = index.begin(policies).await?;
                (Course::walk(Some(Index { of: index, serial }), None), false)
            }
        })
    }

    /// Goes on with a run until its end.
    ///
    /// # Errors
    /// The store can not be listed any further.
    pub(super) async fn go_on(&self, run: &mut Run, now: Timestamp, keeper: &mut ProgressKeeper) -> Result<()> {
        let Run { policies, course, report } = run;
        while let Some(batch) = course.next(&*self.store, now).await? {
            let (trash, objects): (Vec<_>, Vec<_>) = batch.objects.iter().cloned().partition(Trashed::is_mark_of);
            let candidates = self.candidates(objects).await;
            let planned = self.judge(&candidates, now).await;
            self.compare(&planned, &candidates, now, &mut report.monitored).await;
            let mut looks = Vec::new();
            if course.has_index() {
                let mut changes = vec![Some(now); candidates.len()];
                // What is acted on, and what nobody decided on, is looked at again whatever they foresee.
                if planned.iter().any(|planned| is_left(&planned.verdict)) {
                    let foreseen = foresee(&self.policies, &candidates, now).await;
                    // The index is for those that the run began with: of a plugin that was replaced since it says nothing.
                    if self.policies_digest() == *policies {
                        changes = foreseen;
                    }
                }
                let judged = planned.iter().zip(changes);
                looks.extend(judged.map(|(planned, change)| next_look(&batch, planned, change, now)));
                looks.extend(trash.iter().map(|object| next_look_at_trash(&batch, object, now)));
            }
            let reads = candidates.iter().map(|candidate| candidate.last_read_at);
            let purged = trash.into_iter().map(|metadata| Planned { metadata, verdict: Verdict::Purge, by: None });
            let planned = planned.into_iter().zip(reads).chain(purged.map(|planned| (planned, None)));
            self.carry_out(planned, now, report).await;
            course.set(looks).await?;
            if let Some(behind) = course.behind() {
                let (policies, report) = (policies.clone(), report.clone());
                keeper.note(Progress { policies, at: real_now(), behind, report }).await;
            }
        }
        course.end().await
    }

    /// Whether all that decides knows when it would decide otherwise.
    fn foresees(&self) -> bool {
        self.monitored.is_empty() && self.policies.iter().all(|named| named.policy.foresees())
    }

    /// What the policies are and whether they are told of reads, in a few characters; also which way of foreseeing what they
    /// say.
    pub(super) fn policies_digest(&self) -> String {
        let mut all = format!("2 {}", self.reads.is_some());
        for named in self.policies.iter().chain(self.monitored.iter()) {
            all = format!("{all}\n{:?} {:?}", named.name, named.policy.fingerprint());
        }
        Digest::of(all.as_bytes()).to_string()
    }
}

/// Whether an object that is judged so stays as it is. What is done changes it, and what fails is tried again.
fn is_left(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Keep | Verdict::Retained { .. } => true,
        Verdict::Archive | Verdict::Delete | Verdict::Tag { .. } | Verdict::Purge | Verdict::Undecided { .. } => false,
    }
}

/// When to look again at an object that was judged so, and about which the policies say the same until there is a `change`. Too
/// early does no harm.
fn next_look(batch: &Batch, planned: &Planned, change: Option<Timestamp>, now: Timestamp) -> (Key, NextLook) {
    let Planned { metadata, verdict, .. } = planned;
    if !is_left(verdict) {
        return (metadata.key.clone(), NextLook::Now);
    }
    let retained = match verdict {
        Verdict::Retained { until } => Some(*until),
        _ => None,
    };
    let restored = Restored::of(metadata).map(|restored| restored.until).filter(|until| now < *until);
    let at = [change, retained, restored].into_iter().flatten().min();
    (metadata.key.clone(), batch.next_look(metadata, at, now))
}

/// When to look again at what is in the trash. What can not be read there stays until somebody purges it.
fn next_look_at_trash(batch: &Batch, object: &StorageMetadata, now: Timestamp) -> (Key, NextLook) {
    let until = Trashed::of(object).map(|trashed| trashed.until);
    (object.key.clone(), batch.next_look(object, until, now))
}
