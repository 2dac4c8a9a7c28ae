mod act;
mod course;
mod hearing;
mod run;
mod together;

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use self::hearing::{Heard, hear};
use self::run::Run;
use self::together::Together;
use super::pace::Pace;
use super::progress::{Progress, ProgressKeeper};
use super::report::{Differences, LifecycleReport, Opinion, Planned, Verdict};
use super::{AgeingStore, Audit, Candidate, Decision, LifecycleMetrics, LifecyclePolicy, ReadLog};
use crate::error::{Error, Result};
use crate::object::{StorageMetadata, StoreName, Timestamp};
use crate::provider::ListQuery;
use crate::scheduler::TaskExecutor;

/// Lets the policies of one store do their work.
///
/// It walks over the store page by page, asks every policy about every object, and does what they say together. Where all of
/// them [foresee](LifecyclePolicy::foresees) what they will say, and the store has [an index of what is
/// due](crate::provider::DueIndex), it walks once, and then looks only at what is due or was changed.
///
/// - If a policy fails on a batch, panics, or answers for more or fewer objects than it was asked about, the whole batch is
///   kept: nothing is deleted because something failed.
/// - Archiving comes before deleting. The copy is verified before the object goes; one that can not be archived stays.
/// - Of several wishes to retain an object the longest holds, and nothing is deleted before it is over.
/// - Tags that policies want are set on what is neither archived nor deleted.
/// - An object that was written, changed, or read if that counts, since it was judged is left alone.
///
/// What is deleted goes to the trash, if there is one, and from there when its time is over.
#[derive(Debug)]
pub struct LifecycleManager {
    name: StoreName,
    store: Arc<dyn AgeingStore>,
    trash: Option<Duration>,
    policies: Arc<[NamedPolicy]>,
    monitored: Arc<[NamedPolicy]>,
    metrics: Option<LifecycleMetrics>,
    audit: Option<Arc<dyn Audit>>,
    pace: Option<Pace>,
    reads: Option<Arc<ReadLog>>,
    /// Where runs of the task keep how far they are.
    progress: Option<PathBuf>,
    /// Held by a run: one at a time uses the index of what is due.
    running: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct NamedPolicy {
    name: Arc<str>,
    policy: Arc<dyn LifecyclePolicy>,
}

impl fmt::Debug for NamedPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl LifecycleManager {
    /// How many objects a policy is asked about at once: enough that the cost of a call into a plugin is small beside what
    /// it carries, and few enough that one failure keeps few objects.
    pub const BATCH: usize = 512;

    /// Looks after a store. It has no policies and no trash yet.
    pub fn new(name: StoreName, store: Arc<dyn AgeingStore>) -> Self {
        Self {
            name,
            store,
            trash: None,
            policies: Arc::new([]),
            monitored: Arc::new([]),
            metrics: None,
            audit: None,
            pace: None,
            reads: None,
            progress: None,
            running: tokio::sync::Mutex::default(),
        }
    }

    /// With a trash, in which what policies delete stays for so long.
    #[must_use]
    pub fn with_trash(mut self, keep: Duration) -> Self {
        self.trash = Some(keep);
        self
    }

    /// With one more policy; reports call it by this name.
    #[must_use]
    pub fn with_policy(mut self, name: &str, policy: Arc<dyn LifecyclePolicy>) -> Self {
        self.policies = with(&self.policies, name, policy);
        self
    }

    /// With one more policy that decides nothing: where it differs from the others is in the report, and no more.
    #[must_use]
    pub fn with_monitored_policy(mut self, name: &str, policy: Arc<dyn LifecyclePolicy>) -> Self {
        self.monitored = with(&self.monitored, name, policy);
        self
    }

    /// With metrics that count what its runs come to.
    #[must_use]
    pub fn with_metrics(mut self, metrics: LifecycleMetrics) -> Self {
        metrics.expect(&self.name);
        self.metrics = Some(metrics);
        self
    }

    /// With somebody who is told of everything that is done.
    #[must_use]
    pub fn with_audit(mut self, audit: Arc<dyn Audit>) -> Self {
        self.audit = Some(audit);
        self
    }

    /// With so many objects a second that something is done with, at most.
    #[must_use]
    pub fn with_max_rate(mut self, per_second: NonZeroU32) -> Self {
        self.pace = Some(Pace::new(per_second));
        self
    }

    /// With a log of when objects were last read.
    #[must_use]
    pub fn with_reads(mut self, reads: Arc<ReadLog>) -> Self {
        self.reads = Some(reads);
        self
    }

    /// With a file in which runs of the task keep how far they are: one that is cut off is gone on with.
    #[must_use]
    pub fn with_progress(mut self, path: PathBuf) -> Self {
        self.progress = Some(path);
        self
    }

    /// What would happen as of `now`: for every object that would not just be kept, `found` is called, in order of keys.
    /// Nothing is changed. Returns how many objects were considered.
    ///
    /// # Errors
    /// The store can not be listed.
    pub async fn plan(&self, now: Timestamp, found: &mut (dyn FnMut(Planned) + Send)) -> Result<u64> {
        let mut considered = 0;
        let mut query = Self::first_page();
        loop {
            let page = self.store.list(&query).await?;
            query.start_after = page.next().map(|key| key.as_str().to_owned());
            considered += page.objects.len() as u64;
            let planned = self.judge(&self.candidates(page.objects).await, now).await;
            planned.into_iter().filter(|planned| planned.verdict != Verdict::Keep).for_each(&mut *found);
            if query.start_after.is_none() {
                return Ok(considered);
            }
        }
    }

    /// What each policy says of an object as of `now`, those that are only monitored too, and what they say together.
    ///
    /// # Errors
    /// One of the policies can not be heard.
    pub async fn explain(&self, object: StorageMetadata, now: Timestamp) -> Result<(Planned, Vec<Opinion>)> {
        let candidates = self.candidates(vec![object.clone()]).await;
        let mut opinions = Vec::new();
        for (policies, decides) in [(&self.policies, true), (&self.monitored, false)] {
            for heard in hear(policies, &candidates, now).await {
                let (policy, decisions) = (heard.name.to_string(), heard.decisions?);
                let Decision { archive, delete, retain, tags } = decisions.into_iter().next().unwrap_or_default();
                let retain_until = (!retain.is_zero()).then(|| object.after(retain));
                opinions.push(Opinion { policy, decides, archive, delete, retain_until, tags });
            }
        }
        let planned = self.judge(&candidates, now).await.pop();
        planned.map(|planned| (planned, opinions)).ok_or_else(|| Error::internal("nothing was judged"))
    }

    /// Does what the policies say as of `now`, and removes from the trash what is there long enough. What goes wrong with one
    /// object is in the report and stops nothing.
    ///
    /// # Errors
    /// The store can not be listed (any further). What happened until then is logged.
    pub async fn apply_policies(&self, now: Timestamp) -> Result<LifecycleReport> {
        self.apply(now, None).await
    }

    /// The same, from the beginning or from where a run was cut off.
    async fn apply(&self, now: Timestamp, cut_off: Option<Progress>) -> Result<LifecycleReport> {
        let _alone = self.running.lock().await;
        let mut run = self.begin(cut_off).await?;
        let mut keeper = ProgressKeeper::new(self.progress.as_deref());
        let result = self.go_on(&mut run, now, &mut keeper).await;
        if result.is_ok() {
            keeper.finish();
        }
        let Run { course, mut report, .. } = run;
        if course.is_walk() || self.store.may_need_sweep() {
            match self.store.sweep_archive().await {
                Ok(swept) => report.swept += swept,
                Err(error) => report.tell(format!("copies in the archive that nothing refers to stay there: {error}")),
            }
        }
        if let Some(metrics) = &self.metrics {
            metrics.count(&self.name, &report);
        }
        let LifecycleReport { considered, archived, deleted, tagged, purged, .. } = report;
        let LifecycleReport { kept_by_retention, kept_by_failure, failed, swept, .. } = report;
        tracing::info!(
            store = %self.name, considered, archived, deleted, tagged, purged, swept, kept_by_retention, kept_by_failure,
            failed, complete = result.is_ok(), "lifecycle policies applied"
        );
        for (policy, differences) in &report.monitored {
            let Differences { would_archive, would_delete, would_keep, unheard } = *differences;
            tracing::info!(
                store = %self.name, policy, would_archive, would_delete, would_keep, unheard,
                "what the monitored policy would have done otherwise"
            );
        }
        result.map(|()| report)
    }

    fn first_page() -> ListQuery {
        ListQuery { limit: Self::BATCH, ..ListQuery::all() }
    }

    async fn candidates(&self, objects: Vec<StorageMetadata>) -> Arc<[Candidate]> {
        let reads = match &self.reads {
            Some(reads) => reads.last_reads(&objects).await.into_iter().map(Some).collect(),
            None => vec![None; objects.len()],
        };
        let candidate = |(metadata, last_read_at)| Candidate { metadata, last_read_at };
        objects.into_iter().zip(reads).map(candidate).collect()
    }

    /// Asks every policy about every object.
    async fn judge(&self, candidates: &Arc<[Candidate]>, now: Timestamp) -> Vec<Planned> {
        let mut together = vec![Together::default(); candidates.len()];
        let mut problem = None;
        for Heard { name, decisions } in hear(&self.policies, candidates, now).await {
            match decisions {
                Ok(decisions) => {
                    for (all, one) in together.iter_mut().zip(decisions) {
                        all.add(&name, one);
                    }
                }
                Err(error) => {
                    problem = Some(format!("the policy `{name}` could not be heard, so nothing is done: {error}"));
                    break;
                }
            }
        }
        let planned = |(candidate, together): (&Candidate, Together)| {
            let metadata = candidate.metadata.clone();
            match &problem {
                Some(problem) => {
                    Planned { metadata, verdict: Verdict::Undecided { problem: problem.clone() }, by: None }
                }
                None => together.plan(metadata, now),
            }
        };
        candidates.iter().zip(together).map(planned).collect()
    }

    /// Asks the policies that are only monitored, and notes where they differ.
    async fn compare(
        &self,
        planned: &[Planned],
        candidates: &Arc<[Candidate]>,
        now: Timestamp,
        differences: &mut BTreeMap<String, Differences>,
    ) {
        for Heard { name, decisions } in hear(&self.monitored, candidates, now).await {
            let differences = differences.entry(name.to_string()).or_default();
            match decisions {
                Ok(decisions) => {
                    for (planned, decision) in planned.iter().zip(decisions) {
                        let mut alone = Together::default();
                        alone.add(&name, decision);
                        differences.note(&planned.verdict, &alone.plan(planned.metadata.clone(), now).verdict);
                    }
                }
                Err(error) => {
                    tracing::warn!(store = %self.name, policy = %name, "the monitored policy could not be heard: {error}");
                    differences.unheard += planned.len() as u64;
                }
            }
        }
    }
}

fn with(policies: &Arc<[NamedPolicy]>, name: &str, policy: Arc<dyn LifecyclePolicy>) -> Arc<[NamedPolicy]> {
    policies.iter().cloned().chain([NamedPolicy { name: name.into(), policy }]).collect()
}

/// A run that met a failure is a failed run of the task: operators look there.
#[async_trait]
impl TaskExecutor for LifecycleManager {
    async fn execute(&self, now: Timestamp) -> Result<()> {
        let cut_off = self.progress.as_ref().and_then(|path| Progress::read(path, &self.policies_digest()));
        let report = self.apply(now, cut_off).await?;
        match report.problems.first() {
            None => Ok(()),
            Some(first) => {
                let count = report.failed + report.kept_by_failure;
                Err(Error::internal(format!("{count} objects were kept because something failed; first: {first}")))
            }
        }
    }
}

#[cfg(test)]
mod tests;
