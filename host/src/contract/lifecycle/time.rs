use super::sample::{self, DAY, WRITTEN};
use super::trial::{decide, ensure_same};
use crate::contract::Breach;
use crate::error::Error;
use crate::lifecycle::Decision;
use crate::object::timestamp_from_millis;

promises! {
    /// For how long an object is retained does not depend on when that is asked: the period begins when it was written.
    fn retention_does_not_depend_on_the_time(trial) {
        let (policy, mut random) = (trial.policy()?, trial.random());
        let candidates = sample::candidates(&mut random, 60)?;
        let retain = |decisions: Vec<Decision>| -> Vec<Decision> {
            decisions.into_iter().map(|decision| Decision { retain: decision.retain, ..Decision::KEEP }).collect()
        };
        let wanted = retain(decide(&*policy, &candidates, timestamp_from_millis(WRITTEN))?);
        for now in sample::moments() {
            let found = retain(decide(&*policy, &candidates, now)?);
            ensure_same(&found, &wanted, &candidates, &format!("as of {now}"))?;
        }
        Ok(())
    }

    /// What is due stays due: once an object is to be archived or deleted, it is so at every later time. A policy need
    /// not be of that kind, one that deletes at night is not; where that shows, it is told, and is no breach.
    fn what_is_due_stays_due(trial) {
        let (policy, mut random) = (trial.policy()?, trial.random());
        let candidates = sample::candidates(&mut random, 100)?;
        // Beside the ages that people name, every hour of some days, on which policies of the night would show.
        let mut moments: Vec<_> = sample::moments().collect();
        moments.extend((0..72).map(|hour| timestamp_from_millis(WRITTEN + 45 * DAY + hour * sample::HOUR)));
        moments.sort_unstable();
        let mut before = vec![(Decision::KEEP, moments[0]); candidates.len()];
        for &now in &moments {
            let decisions = decide(&*policy, &candidates, now)?;
            for ((decision, (due, since)), candidate) in decisions.iter().zip(&mut before).zip(&candidates) {
                let undone = match (due.archive && !decision.archive, due.delete && !decision.delete) {
                    (false, false) => {
                        if due.archive != decision.archive || due.delete != decision.delete {
                            (*due, *since) = (decision.clone(), now);
                        }
                        continue;
                    }
                    (true, _) => "archived",
                    (_, true) => "deleted",
                };
                let key = candidate.metadata.key.as_str();
                return Err(Breach::Failed(Error::unsupported(format!(
                    "what is due does not stay so: {key:?} is to be {undone} as of {since}, and as of {now} it is not"
                ))));
            }
        }
        Ok(())
    }
}
