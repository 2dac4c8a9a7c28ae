use super::Trial;
use super::sample::{self, DAY, HOUR, WRITTEN};
use super::trial::{decide, ensure_same};
use crate::contract::Breach;
use crate::lifecycle::{Candidate, Decision, LifecyclePolicy};
use crate::object::{Timestamp, millis_from_timestamp, timestamp_from_millis};

/// A policy of which something is promised here; to others it does not apply.
fn foreseeing(trial: &Trial) -> Result<std::sync::Arc<dyn LifecyclePolicy>, Breach> {
    let policy = trial.policy()?;
    if policy.foresees() { Ok(policy) } else { Err(Breach::NotApplicable) }
}

/// What a policy foresees: one answer for each candidate, or the promise is broken.
fn foresee(
    policy: &dyn LifecyclePolicy,
    candidates: &[Candidate],
    now: Timestamp,
) -> Result<Vec<Option<Timestamp>>, Breach> {
    let changes = policy.next_changes(candidates, now)?;
    ensure_eq!(changes.len(), candidates.len(), "the number of changes that are foreseen");
    Ok(changes)
}

/// Moments to ask at, in their order: beside the ages that people name, every hour of some days.
fn moments() -> Vec<Timestamp> {
    let mut moments: Vec<_> = sample::moments().collect();
    moments.extend((0..72).map(|hour| timestamp_from_millis(WRITTEN + 45 * DAY + hour * HOUR)));
    moments.sort_unstable();
    moments
}

/// Whether a moment comes before a change that is foreseen.
fn is_before(moment: Timestamp, change: Option<Timestamp>) -> bool {
    change.is_none_or(|change| moment < change)
}

/// The last millisecond before a change that is foreseen, if that comes after `now`.
fn just_before(change: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    let last = timestamp_from_millis(millis_from_timestamp(change?).checked_sub(1)?);
    (last > now).then_some(last)
}

fn ensure_unchanged(
    found: &Decision,
    said: &Decision,
    candidate: &Candidate,
    (now, change, then): (Timestamp, Option<Timestamp>, Timestamp),
) -> Result<(), Breach> {
    let key = candidate.metadata.key.as_str();
    let change = change.map_or_else(|| "never".to_owned(), |change| change.to_string());
    ensure!(
        found == said,
        "as of {now} it says {said:?} of {key:?} and foresees a change {change}, and as of {then} it says {found:?}"
    );
    Ok(())
}

promises! {
    /// Until the moment that is foreseen for an object, the same is said about it.
    fn nothing_changes_before_it_is_foreseen(trial) {
        let (policy, mut random) = (foreseeing(trial)?, trial.random());
        let (candidates, moments) = (sample::candidates(&mut random, 100)?, moments());
        let said = moments.iter().map(|&now| decide(&*policy, &candidates, now)).collect::<Result<Vec<_>, _>>()?;
        for (at, &now) in moments.iter().enumerate() {
            let changes = foresee(&*policy, &candidates, now)?;
            for (then, found) in moments.iter().zip(&said).skip(at + 1) {
                for (((found, said), candidate), change) in found.iter().zip(&said[at]).zip(&candidates).zip(&changes) {
                    if is_before(*then, *change) {
                        ensure_unchanged(found, said, candidate, (now, *change, *then))?;
                    }
                }
            }
            for ((candidate, change), said) in candidates.iter().zip(changes).zip(&said[at]).step_by(7) {
                if let Some(then) = just_before(change, now) {
                    let found = decide(&*policy, std::slice::from_ref(candidate), then)?;
                    ensure_unchanged(&found[0], said, candidate, (now, change, then))?;
                }
            }
        }
        Ok(())
    }

    /// That an object is read before the moment that is foreseen for it changes nothing until then.
    fn no_read_changes_what_is_foreseen(trial) {
        let (policy, mut random) = (foreseeing(trial)?, trial.random());
        let mut candidates = sample::candidates(&mut random, 100)?;
        candidates.retain(|candidate| candidate.last_read_at.is_some());
        let moments = moments();
        for &now in moments.iter().step_by(3) {
            for candidate in &mut candidates {
                candidate.last_read_at = candidate.last_read_at.min(Some(now.max(candidate.metadata.updated_at)));
            }
            let (said, changes) = (decide(&*policy, &candidates, now)?, foresee(&*policy, &candidates, now)?);
            let read: Vec<_> = candidates
                .iter()
                .map(|candidate| Candidate { last_read_at: candidate.last_read_at.max(Some(now)), ..candidate.clone() })
                .collect();
            for &then in moments.iter().filter(|then| **then > now).step_by(5) {
                let found = decide(&*policy, &read, then)?;
                for (((found, said), candidate), change) in found.iter().zip(&said).zip(&read).zip(&changes) {
                    if is_before(then, *change) {
                        ensure_unchanged(found, said, candidate, (now, *change, then))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// There is an answer for each candidate, be there none, one or many, ordinary or odd, at any time.
    fn anything_can_be_asked_for_its_next_change(trial) {
        let (policy, mut random) = (foreseeing(trial)?, trial.random());
        for count in [1, 0, 2, 64, 0, 1_000] {
            foresee(&*policy, &sample::candidates(&mut random, count)?, timestamp_from_millis(WRITTEN))?;
        }
        let mut candidates = sample::odd_candidates()?;
        candidates.extend(sample::candidates(&mut random, 100)?);
        random.shuffle(&mut candidates);
        for now in sample::moments().chain([Timestamp::MAX_UTC]) {
            foresee(&*policy, &candidates, now)?;
        }
        Ok(())
    }

    /// What is foreseen of an object depends on nothing but the object and the time, and to ask for it leaves no trace.
    fn to_foresee_is_to_compute(trial) {
        let (policy, mut random) = (foreseeing(trial)?, trial.random());
        let candidates = sample::candidates(&mut random, 60)?;
        for now in sample::moments() {
            let (said, changes) = (decide(&*policy, &candidates, now)?, foresee(&*policy, &candidates, now)?);
            ensure_same(&decide(&*policy, &candidates, now)?, &said, &candidates, "after changes were foreseen")?;
            let mut order: Vec<usize> = (0..candidates.len()).collect();
            random.shuffle(&mut order);
            let shuffled: Vec<_> = order.iter().map(|&index| candidates[index].clone()).collect();
            for (found, index) in foresee(&*policy, &shuffled, now)?.into_iter().zip(order) {
                let key = candidates[index].metadata.key.as_str();
                ensure_eq!(found, changes[index], "the change that is foreseen of {key:?} among others in another order");
            }
        }
        Ok(())
    }
}
