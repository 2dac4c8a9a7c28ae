use super::sample::{self, DAY, WRITTEN};
use super::trial::decide;
use crate::lifecycle::Candidate;
use crate::object::{Timestamp, timestamp_from_millis};

/// Keeps those of the odd objects that a promise is about.
fn odd(keep: impl Fn(&Candidate) -> bool) -> crate::error::Result<Vec<Candidate>> {
    Ok(sample::odd_candidates()?.into_iter().filter(|candidate| keep(candidate)).collect())
}

promises! {
    /// Any key is decided on, whatever it is made of.
    fn any_key_is_decided_on(trial) {
        let policy = trial.policy()?;
        for candidate in odd(|candidate| candidate.metadata.size == 7)? {
            decide(&*policy, &[candidate], timestamp_from_millis(WRITTEN + 100 * DAY))?;
        }
        Ok(())
    }

    /// Any size is decided on, from 0 to all that 64 bits hold.
    fn any_size_is_decided_on(trial) {
        let policy = trial.policy()?;
        for candidate in odd(|candidate| candidate.metadata.key.as_str() == "size")? {
            for age in [0, 100 * DAY] {
                decide(&*policy, std::slice::from_ref(&candidate), timestamp_from_millis(WRITTEN + age))?;
            }
        }
        Ok(())
    }

    /// Any time is decided on: of objects from the future, at the beginning of 1970, and as late as can be said.
    fn any_time_is_decided_on(trial) {
        let policy = trial.policy()?;
        let candidates = odd(|candidate| candidate.metadata.size == 7)?;
        for now in sample::moments().chain([253_402_300_799_999, 8_000_000_000_000_000].map(timestamp_from_millis)) {
            decide(&*policy, &candidates, now)?;
        }
        decide(&*policy, &candidates, Timestamp::MAX_UTC)?;
        Ok(())
    }

    /// An object without any attribute is decided on, and one with as many and as large ones as there can be.
    fn any_attributes_are_decided_on(trial) {
        let policy = trial.policy()?;
        let mut candidates = odd(|candidate| candidate.metadata.key.as_str() == "laden")?;
        candidates.push(sample::plain("bare", 7, WRITTEN)?);
        for now in sample::moments() {
            decide(&*policy, &candidates, now)?;
        }
        Ok(())
    }

    /// All odd objects in one batch are decided on, beside ordinary ones.
    fn odd_and_ordinary_objects_are_decided_on_together(trial) {
        let (policy, mut random) = (trial.policy()?, trial.random());
        let mut candidates = sample::odd_candidates()?;
        candidates.extend(sample::candidates(&mut random, 100)?);
        random.shuffle(&mut candidates);
        for now in sample::moments() {
            decide(&*policy, &candidates, now)?;
        }
        Ok(())
    }
}
