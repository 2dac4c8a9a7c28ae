use std::sync::Arc;

use tokio::runtime::Handle;

use super::Subject;
use crate::contract::{Breach, Options};
use crate::error::Result;
use crate::lifecycle::{Candidate, Decision, LifecyclePolicy};
use crate::object::Timestamp;
use crate::random::Random;

/// One policy held to one promise, on a thread of its own.
pub(in crate::contract) struct Trial {
    subject: Arc<dyn Subject>,
    runtime: Handle,
    promise: &'static str,
    seed: u64,
}

impl Trial {
    /// Called on a tokio runtime.
    pub(in crate::contract) fn new(subject: Arc<dyn Subject>, promise: &'static str, options: &Options) -> Self {
        Self { subject, runtime: Handle::current(), promise, seed: options.seed }
    }

    /// Opens the policy anew.
    pub(super) fn policy(&self) -> Result<Arc<dyn LifecyclePolicy>> {
        self.runtime.block_on(self.subject.open())
    }

    /// Random numbers: the same for the same seed and promise.
    pub(super) fn random(&self) -> Random {
        Random::for_promise(self.seed, self.promise)
    }
}

/// What a policy decides: one decision for each candidate, or the promise is broken.
pub(super) fn decide(
    policy: &dyn LifecyclePolicy,
    candidates: &[Candidate],
    now: Timestamp,
) -> Result<Vec<Decision>, Breach> {
    let decisions = policy.decide(candidates, now)?;
    ensure_eq!(decisions.len(), candidates.len(), "the number of decisions");
    Ok(decisions)
}

/// Breaks the promise unless decisions are the ones wanted; says which differs, not all of them.
pub(super) fn ensure_same(
    found: &[Decision],
    wanted: &[Decision],
    candidates: &[Candidate],
    when: &str,
) -> Result<(), Breach> {
    ensure_eq!(found.len(), wanted.len(), "the number of decisions {when}");
    for ((found, wanted), candidate) in found.iter().zip(wanted).zip(candidates) {
        ensure_eq!(found, wanted, "the decision on {:?} {when}", candidate.metadata.key.as_str());
    }
    Ok(())
}
