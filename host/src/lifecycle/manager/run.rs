//! One run of the policies over a store.

use std::sync::Arc;

use super::LifecycleManager;
use super::course::{Batch, Course, Index};
use crate::error::Result;
use crate::lifecycle::Candidate;
use crate::lifecycle::progress::{Behind, Progress, ProgressKeeper};
use crate::lifecycle::report::{LifecycleReport, Planned, Verdict};
use crate::object::{Digest, StorageMetadata, Timestamp, now as real_now};
use crate::provider::layers::{Restored, Trashed};
use crate::provider::{DueState, NextLook};

/// A run, and what it has come to so far.
pub(super) struct Run {
    pub(super) course: Course,
    pub(super) report: LifecycleReport,
}

impl LifecycleManager {
    /// A run from the beginning, or from where an earlier one was cut off.
    ///
    /// # Errors
    /// Those of the index of what is due.
    pub(super) async fn begin(&self, cut_off: Option<Progress>) -> Result<Run> {
        let (behind, report) = cut_off.map(|cut_off| (cut_off.behind, cut_off.report)).unzip();
        let report = report.unwrap_or_default();
        let anew = |course| Run { course, report: LifecycleReport::default() };
        let index = Arc::clone(&self.store).due_index();
        let index = match index {
            Some(index) if self.foresees() => index,
            other => {
                if let Some(index) = other {
                    index.end().await?;
                }
                return Ok(match behind {
                    Some(Behind::Key(key)) => Run { course: Course::walk(None, Some(key)), report },
                    Some(Behind::Due) | None => anew(Course::walk(None, None)),
                });
            }
        };
        let policies = self.policies_digest();
        let state = index.state().await?.filter(|state| state.purpose == policies);
        Ok(match (state, behind) {
            (Some(DueState { complete: true, serial, .. }), behind) => {
                let goes_on = matches!(behind, Some(Behind::Due));
                let report = if goes_on { report } else { LifecycleReport::default() };
                Run { course: Course::Due { index: Index { of: index, serial }, after: None }, report }
            }
            (Some(DueState { serial, .. }), Some(Behind::Key(key))) => {
                Run { course: Course::walk(Some(Index { of: index, serial }), Some(key)), report }
            }
            _ => {
                let serial = index.begin(&policies).await?;
                anew(Course::walk(Some(Index { of: index, serial }), None))
            }
        })
    }

    /// Goes on with a run until its end.
    ///
    /// # Errors
    /// The store can not be listed any further.
    pub(super) async fn go_on(&self, run: &mut Run, now: Timestamp, keeper: &mut ProgressKeeper) -> Result<()> {
        let policies = self.policies_digest();
        let Run { course, report } = run;
        while let Some(batch) = course.next(&*self.store, now).await? {
            let (trash, objects): (Vec<_>, Vec<_>) = batch.objects.iter().cloned().partition(Trashed::is_mark_of);
            let candidates = self.candidates(objects).await;
            let mut planned = self.judge(&candidates, now).await;
            self.compare(&planned, &candidates, now, &mut report.monitored).await;
            let judged = candidates.iter().zip(&planned);
            let mut looks: Vec<_> = judged
                .map(|(candidate, planned)| self.next_look(&batch, candidate, &planned.verdict, now))
                .zip(&planned)
                .map(|(look, planned)| (planned.metadata.key.clone(), look))
                .collect();
            looks.extend(trash.iter().map(|object| (object.key.clone(), next_look_at_trash(&batch, object, now))));
            planned.extend(trash.into_iter().map(|metadata| Planned { metadata, verdict: Verdict::Purge, by: None }));
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

    /// When an object is to be looked at again that was judged so. Too early does no harm.
    fn next_look(&self, batch: &Batch, candidate: &Candidate, verdict: &Verdict, now: Timestamp) -> NextLook {
        let retained = match verdict {
            Verdict::Keep => None,
            Verdict::Retained { until } => Some(*until),
            // What is done changes the object, and what fails is tried again.
            Verdict::Archive | Verdict::Delete | Verdict::Tag { .. } | Verdict::Purge | Verdict::Undecided { .. } => {
                return NextLook::Now;
            }
        };
        let restored = Restored::of(&candidate.metadata).map(|restored| restored.until).filter(|until| now < *until);
        let changes = self.policies.iter().filter_map(|named| named.policy.next_change(candidate, now));
        batch.next_look(&candidate.metadata, changes.chain(retained).chain(restored).min())
    }

    /// What the policies are, in a few characters; also which way of foreseeing what they say.
    pub(super) fn policies_digest(&self) -> String {
        let mut all = String::from("1");
        for named in self.policies.iter().chain(self.monitored.iter()) {
            all = format!("{all}\n{:?} {:?}", named.name, named.policy.fingerprint());
        }
        Digest::of(all.as_bytes()).to_string()
    }
}

/// When to look again at what is in the trash. What can not be read there stays until somebody purges it.
fn next_look_at_trash(batch: &Batch, object: &StorageMetadata, now: Timestamp) -> NextLook {
    match Trashed::of(object) {
        Some(trashed) if trashed.until <= now => NextLook::Now,
        trashed => batch.next_look(object, trashed.map(|trashed| trashed.until)),
    }
}
