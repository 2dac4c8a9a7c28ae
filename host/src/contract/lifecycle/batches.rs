use super::sample::{self, DAY, WRITTEN};
use super::trial::{decide, ensure_same};
use crate::object::timestamp_from_millis;

promises! {
    /// There is one decision for each candidate, be there none, one or many.
    fn there_are_as_many_decisions_as_candidates(trial) {
        let (policy, mut random) = (trial.policy()?, trial.random());
        for count in [1, 0, 2, 3, 64, 0, 1_000] {
            let candidates = sample::candidates(&mut random, count)?;
            for now in [WRITTEN, WRITTEN + 1_000 * DAY] {
                decide(&*policy, &candidates, timestamp_from_millis(now))?;
            }
        }
        Ok(())
    }

    /// Thousands of candidates at once are decided on as they are one by one.
    fn a_large_batch_is_decided_on(trial) {
        let (policy, mut random) = (trial.policy()?, trial.random());
        let candidates = sample::candidates(&mut random, 10_000)?;
        let now = timestamp_from_millis(WRITTEN + 100 * DAY);
        let decisions = decide(&*policy, &candidates, now)?;
        for (start, part) in candidates.chunks(100).enumerate().step_by(20) {
            let start = start * 100;
            let wanted = decide(&*policy, part, now)?;
            ensure_same(&decisions[start..start + part.len()], &wanted, part, "in a batch of 10,000")?;
        }
        Ok(())
    }

    /// The order of the candidates does not matter: each decision is that of its own candidate.
    fn the_order_of_candidates_does_not_matter(trial) {
        let (policy, mut random) = (trial.policy()?, trial.random());
        let candidates = sample::candidates(&mut random, 120)?;
        for now in sample::moments() {
            let decisions = decide(&*policy, &candidates, now)?;
            let mut order: Vec<usize> = (0..candidates.len()).collect();
            random.shuffle(&mut order);
            let shuffled: Vec<_> = order.iter().map(|&index| candidates[index].clone()).collect();
            let wanted: Vec<_> = order.iter().map(|&index| decisions[index].clone()).collect();
            ensure_same(&decide(&*policy, &shuffled, now)?, &wanted, &shuffled, "in another order")?;
        }
        Ok(())
    }

    /// How candidates are gathered into batches does not matter: alone, in twos, beside copies of themselves, or all.
    fn the_batch_of_a_candidate_does_not_matter(trial) {
        let (policy, mut random) = (trial.policy()?, trial.random());
        let candidates = sample::candidates(&mut random, 60)?;
        for now in sample::moments().step_by(3) {
            let decisions = decide(&*policy, &candidates, now)?;
            for size in [1, 2, 7] {
                let mut gathered = Vec::new();
                for part in candidates.chunks(size) {
                    gathered.extend(decide(&*policy, part, now)?);
                }
                ensure_same(&gathered, &decisions, &candidates, &format!("in batches of {size}"))?;
            }
            let twice = [&candidates[..], &candidates[..]].concat();
            let wanted = [&decisions[..], &decisions[..]].concat();
            ensure_same(&decide(&*policy, &twice, now)?, &wanted, &twice, "in a batch that has each twice")?;
        }
        Ok(())
    }
}
