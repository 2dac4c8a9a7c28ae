use std::sync::Arc;

use super::NamedPolicy;
use crate::error::{Error, Result};
use crate::lifecycle::{Candidate, Decision};
use crate::object::Timestamp;

/// What a policy says of a batch.
pub(super) struct Heard {
    pub(super) name: Arc<str>,
    pub(super) decisions: Result<Vec<Decision>>,
}

/// Asks policies on a thread that may block: a plugin computes.
pub(super) async fn hear(policies: &Arc<[NamedPolicy]>, of: &Arc<[Candidate]>, now: Timestamp) -> Vec<Heard> {
    let mut heard = Vec::with_capacity(policies.len());
    for index in 0..policies.len() {
        let (policies, of) = (Arc::clone(policies), Arc::clone(of));
        let (name, asked) = (Arc::clone(&policies[index].name), of.len());
        let deciding = tokio::task::spawn_blocking(move || policies[index].policy.decide(&of, now)).await;
        let decisions = match deciding {
            Err(_) => Err(Error::internal("it panicked")),
            Ok(Ok(decisions)) if decisions.len() != asked => {
                let answered = decisions.len();
                Err(Error::internal(format!("it was asked about {asked} objects and decided about {answered}")))
            }
            Ok(decided) => decided,
        };
        heard.push(Heard { name, decisions });
    }
    heard
}

/// When the first of the policies may say something else about each candidate; `None` for never. Where one of them can not be
/// heard that is now.
pub(super) async fn foresee(
    policies: &Arc<[NamedPolicy]>,
    of: &Arc<[Candidate]>,
    now: Timestamp,
) -> Vec<Option<Timestamp>> {
    let (policies, asked) = (Arc::clone(policies), Arc::clone(of));
    let foreseeing = tokio::task::spawn_blocking(move || {
        let mut first = vec![None; asked.len()];
        for named in policies.iter() {
            let changes = named.policy.next_changes(&asked, now).ok()?;
            if changes.len() != asked.len() {
                return None;
            }
            for (first, change) in first.iter_mut().zip(changes) {
                *first = (*first).into_iter().chain(change).min();
            }
        }
        Some(first)
    });
    foreseeing.await.ok().flatten().unwrap_or_else(|| vec![Some(now); of.len()])
}
