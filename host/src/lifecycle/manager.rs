use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, StreamExt};

use super::archive;
use super::report::{Differences, LifecycleReport, Planned, Verdict};
use super::{Candidate, Decision, LifecyclePolicy};
use crate::error::{Error, Result};
use crate::object::{StorageMetadata, StoreName, Timestamp};
use crate::provider::{ListQuery, StorageProvider};
use crate::scheduler::TaskExecutor;

/// Lets the policies of one store do their work.
///
/// It walks over the store page by page, asks every policy about every object, and does what they say together:
///
/// - If a policy fails on a batch, panics, or answers for more or fewer objects than it was asked about, the whole batch is
///   kept: nothing is deleted because something failed.
/// - Archiving comes before deleting. The copy is verified before the object goes; one that can not be archived stays.
/// - Of several wishes to retain an object the longest holds, and nothing is deleted before it is over.
/// - An object that was written or changed since it was judged is left alone.
#[derive(Debug)]
pub struct LifecycleManager {
    name: StoreName,
    store: Arc<dyn StorageProvider>,
    archive: Option<Arc<dyn StorageProvider>>,
    policies: Vec<NamedPolicy>,
    monitored: Vec<NamedPolicy>,
}

struct NamedPolicy {
    name: String,
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
    /// How many objects are archived or deleted at once.
    const AT_ONCE: usize = 8;

    /// Looks after a store. It has no policies and no archive yet.
    pub fn new(name: StoreName, store: Arc<dyn StorageProvider>) -> Self {
        Self { name, store, archive: None, policies: Vec::new(), monitored: Vec::new() }
    }

    /// With a store that archived objects move to, under the same keys.
    #[must_use]
    pub fn with_archive(mut self, archive: Arc<dyn StorageProvider>) -> Self {
        self.archive = Some(archive);
        self
    }

    /// With one more policy; reports call it by this name.
    #[must_use]
    pub fn with_policy(mut self, name: impl Into<String>, policy: Arc<dyn LifecyclePolicy>) -> Self {
        self.policies.push(NamedPolicy { name: name.into(), policy });
        self
    }

    /// With one more policy that decides nothing: where it differs from the others is in the report, and no more.
    #[must_use]
    pub fn with_monitored_policy(mut self, name: impl Into<String>, policy: Arc<dyn LifecyclePolicy>) -> Self {
        self.monitored.push(NamedPolicy { name: name.into(), policy });
        self
    }

    /// What would happen as of `now`, for every object that would not just be kept. Nothing is changed.
    ///
    /// # Errors
    /// The store can not be listed.
    pub async fn plan(&self, now: Timestamp) -> Result<Vec<Planned>> {
        let mut plan = Vec::new();
        let mut query = Self::first_page();
        loop {
            let page = self.store.list(&query).await?;
            query.start_after = page.next().map(|key| key.as_str().to_owned());
            let planned = self.judge(page.objects, now).await;
            plan.extend(planned.into_iter().filter(|planned| planned.verdict != Verdict::Keep));
            if query.start_after.is_none() {
                return Ok(plan);
            }
        }
    }

    /// Does what the policies say as of `now`. What goes wrong with one object is in the report and stops nothing.
    ///
    /// # Errors
    /// The store can not be listed (any further). What happened until then is logged.
    pub async fn apply_policies(&self, now: Timestamp) -> Result<LifecycleReport> {
        let mut report = LifecycleReport::default();
        let result = self.apply_pages(now, &mut report).await;
        let LifecycleReport { considered, archived, deleted, kept_by_retention, kept_by_failure, failed, .. } = report;
        tracing::info!(
            store = %self.name, considered, archived, deleted, kept_by_retention, kept_by_failure, failed,
            complete = result.is_ok(), "lifecycle policies applied"
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

    async fn apply_pages(&self, now: Timestamp, report: &mut LifecycleReport) -> Result<()> {
        let mut query = Self::first_page();
        loop {
            let page = self.store.list(&query).await?;
            query.start_after = page.next().map(|key| key.as_str().to_owned());
            let planned = self.judge(page.objects, now).await;
            self.compare(&planned, now, &mut report.monitored).await;
            let mut acting = stream::iter(planned)
                .map(|planned| async move { self.carry_out(planned).await })
                .buffer_unordered(Self::AT_ONCE);
            while let Some(outcome) = acting.next().await {
                outcome.count(report);
            }
            if query.start_after.is_none() {
                return Ok(());
            }
        }
    }

    fn first_page() -> ListQuery {
        ListQuery { limit: Self::BATCH, ..ListQuery::all() }
    }

    /// Asks every policy about every object.
    async fn judge(&self, objects: Vec<StorageMetadata>, now: Timestamp) -> Vec<Planned> {
        let candidate = |metadata| Candidate { metadata, last_read_at: None };
        let candidates: Arc<[Candidate]> = objects.into_iter().map(candidate).collect();
        let mut together = vec![Decision::KEEP; candidates.len()];
        let mut problem = None;
        for NamedPolicy { name, policy } in &self.policies {
            match decide(policy.clone(), candidates.clone(), now).await {
                Ok(decisions) => {
                    for (all, one) in together.iter_mut().zip(decisions) {
                        all.archive |= one.archive;
                        all.delete |= one.delete;
                        all.retain = all.retain.max(one.retain);
                    }
                }
                Err(error) => {
                    problem = Some(format!("the policy `{name}` could not be heard, so nothing is done: {error}"));
                    break;
                }
            }
        }
        let verdict = |metadata: &StorageMetadata, decision: Decision| match &problem {
            Some(problem) => Verdict::Undecided { problem: problem.clone() },
            None => verdict(metadata, decision, now),
        };
        let planned = |(candidate, decision): (&Candidate, Decision)| Planned {
            verdict: verdict(&candidate.metadata, decision),
            metadata: candidate.metadata.clone(),
        };
        candidates.iter().zip(together).map(planned).collect()
    }

    /// Asks the policies that are only monitored, and notes where they differ.
    async fn compare(&self, planned: &[Planned], now: Timestamp, differences: &mut BTreeMap<String, Differences>) {
        if self.monitored.is_empty() {
            return;
        }
        let candidate = |planned: &Planned| Candidate { metadata: planned.metadata.clone(), last_read_at: None };
        let candidates: Arc<[Candidate]> = planned.iter().map(candidate).collect();
        for NamedPolicy { name, policy } in &self.monitored {
            let differences = differences.entry(name.clone()).or_default();
            match decide(policy.clone(), candidates.clone(), now).await {
                Ok(decisions) => {
                    for (planned, decision) in planned.iter().zip(decisions) {
                        differences.note(&planned.verdict, &verdict(&planned.metadata, decision, now));
                    }
                }
                Err(error) => {
                    tracing::warn!(store = %self.name, policy = name, "the monitored policy could not be heard: {error}");
                    differences.unheard += planned.len() as u64;
                }
            }
        }
    }

    async fn carry_out(&self, planned: Planned) -> Outcome {
        let Planned { metadata, verdict } = planned;
        let result = match verdict {
            Verdict::Keep => return Outcome::Kept,
            Verdict::Retained { .. } => return Outcome::KeptByRetention,
            Verdict::Undecided { problem } => return Outcome::KeptByFailure(problem),
            Verdict::Archive => self.archive_object(&metadata).await.map(|()| Outcome::Archived),
            Verdict::Delete => self.delete_unchanged(&metadata).await.map(|()| Outcome::Deleted),
        };
        match result {
            Ok(outcome) => outcome,
            Err(Error::NotFound { .. } | Error::PreconditionFailed { .. }) => Outcome::ChangedMeanwhile,
            Err(error) => Outcome::Failed(format!("`{}` in `{}` stays as it was: {error}", metadata.key, self.name)),
        }
    }

    async fn archive_object(&self, metadata: &StorageMetadata) -> Result<()> {
        let Some(archive) = &self.archive else {
            return Err(Error::unsupported("it is to be archived, and the store has no `lifecycle.archive_to`"));
        };
        archive::copy(&*self.store, &**archive, metadata).await?;
        self.delete_unchanged(metadata).await
    }

    /// Deletes the object if it is still the one that was judged. Its etag names the bytes; attributes can change under the
    /// same etag, and policies look at them, so they are compared last thing before.
    async fn delete_unchanged(&self, metadata: &StorageMetadata) -> Result<()> {
        archive::unchanged(metadata, &self.store.metadata(&metadata.key).await?)?;
        self.store.delete(&metadata.key, Some(&metadata.etag)).await
    }
}

/// A run that met a failure is a failed run of the task: operators look there.
#[async_trait]
impl TaskExecutor for LifecycleManager {
    async fn execute(&self, now: Timestamp) -> Result<()> {
        let report = self.apply_policies(now).await?;
        match report.problems.first() {
            None => Ok(()),
            Some(first) => {
                let count = report.failed + report.kept_by_failure;
                Err(Error::internal(format!("{count} objects were kept because something failed; first: {first}")))
            }
        }
    }
}

/// Asks a policy on a thread that may block: a plugin computes.
async fn decide(policy: Arc<dyn LifecyclePolicy>, of: Arc<[Candidate]>, now: Timestamp) -> Result<Vec<Decision>> {
    let asked = of.len();
    let decisions = tokio::task::spawn_blocking(move || policy.decide(&of, now))
        .await
        .map_err(|_| Error::internal("it panicked"))??;
    match decisions.len() {
        answered if answered == asked => Ok(decisions),
        answered => Err(Error::internal(format!("it was asked about {asked} objects and decided about {answered}"))),
    }
}

fn verdict(metadata: &StorageMetadata, decision: Decision, now: Timestamp) -> Verdict {
    match decision {
        Decision { archive: true, .. } => Verdict::Archive,
        Decision { delete: false, .. } => Verdict::Keep,
        Decision { retain, .. } => {
            let until = chrono::Duration::from_std(retain)
                .ok()
                .and_then(|retain| metadata.updated_at.checked_add_signed(retain))
                .unwrap_or(Timestamp::MAX_UTC);
            if now >= until { Verdict::Delete } else { Verdict::Retained { until } }
        }
    }
}

/// What came of a verdict.
enum Outcome {
    Kept,
    Archived,
    Deleted,
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

#[cfg(test)]
mod tests;
