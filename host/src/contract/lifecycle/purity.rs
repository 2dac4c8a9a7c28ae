use super::sample::{self, DAY, WRITTEN};
use super::trial::{decide, ensure_same};
use crate::lifecycle::Decision;
use crate::object::timestamp_from_millis;

promises! {
    /// The same question gets the same answer, however often it is asked.
    fn the_same_question_gets_the_same_answer(trial) {
        let (policy, mut random) = (trial.policy()?, trial.random());
        let candidates = sample::candidates(&mut random, 60)?;
        for now in sample::moments() {
            let decisions = decide(&*policy, &candidates, now)?;
            for _ in 0..12 {
                ensure_same(&decide(&*policy, &candidates, now)?, &decisions, &candidates, "when asked again")?;
            }
        }
        Ok(())
    }

    /// Earlier questions leave no trace, whether they were about other objects, other times or nothing.
    fn earlier_questions_leave_no_trace(trial) {
        let (policy, mut random) = (trial.policy()?, trial.random());
        let candidates = sample::candidates(&mut random, 40)?;
        // The objects were written over 400 days: about the middle of them, some are due and some are not.
        let now = [WRITTEN - 200 * DAY, WRITTEN - 40 * DAY, WRITTEN + 60 * DAY].map(timestamp_from_millis);
        let mut wanted = Vec::new();
        for now in now {
            wanted.push(decide(&*policy, &candidates, now)?);
        }
        let mut moments: Vec<_> = sample::moments().collect();
        random.shuffle(&mut moments);
        for moment in moments {
            decide(&*policy, &sample::candidates(&mut random, 30)?, moment)?;
            decide(&*policy, &candidates, moment)?;
            decide(&*policy, &[], moment)?;
            for (now, wanted) in now.into_iter().zip(&wanted) {
                ensure_same(&decide(&*policy, &candidates, now)?, wanted, &candidates, "after other questions")?;
            }
        }
        Ok(())
    }

    /// A fresh instance decides as one that has decided before.
    fn a_fresh_instance_decides_the_same(trial) {
        let (policy, mut random) = (trial.policy()?, trial.random());
        let candidates = sample::candidates(&mut random, 60)?;
        for now in sample::moments() {
            decide(&*policy, &candidates, now)?;
        }
        let fresh = trial.policy()?;
        for now in sample::moments() {
            let decisions = decide(&*policy, &candidates, now)?;
            ensure_same(&decide(&*fresh, &candidates, now)?, &decisions, &candidates, "by a fresh instance")?;
        }
        Ok(())
    }

    /// The three questions about one object are answered as the decision on it is.
    fn questions_and_decisions_agree(trial) {
        let (policy, mut random) = (trial.policy()?, trial.random());
        let candidates = sample::candidates(&mut random, 40)?;
        for now in sample::moments().step_by(2) {
            let decisions = decide(&*policy, &candidates, now)?;
            let answer = |candidate| Decision {
                archive: policy.should_archive(candidate, now),
                delete: policy.should_delete(candidate, now),
                retain: policy.retention_period(candidate),
                tags: policy.tags(candidate, now).cloned().unwrap_or_default(),
            };
            let answers: Vec<_> = candidates.iter().map(answer).collect();
            ensure_same(&answers, &decisions, &candidates, "question by question")?;
        }
        Ok(())
    }
}
