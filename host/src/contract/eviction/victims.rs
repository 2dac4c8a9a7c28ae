use super::churn;
use super::shard::Shard;
use crate::cache::EntryId;
use crate::error::Result;

/// A shard with so many entries of weight 10, of which every third was read.
fn stocked(trial: &super::Trial, count: usize) -> Result<(Shard, Vec<EntryId>)> {
    let mut shard = trial.shard(1_000_000)?;
    let ids: Vec<_> = (0..count).map(|_| shard.insert(10)).collect();
    ids.iter().step_by(3).for_each(|&id| shard.access(id));
    shard.step(0, 64)?;
    Ok((shard, ids))
}

promises! {
    /// Whoever is dropped is there: no entry that went, and none that never was.
    fn victims_are_residents(trial) {
        churn::every_choice(trial, |choice| {
            let strangers = &choice.strangers;
            ensure!(strangers.is_empty(), "it dropped {strangers:?}, which were not there");
            Ok(())
        })
    }

    /// A victim is named once within a step.
    fn a_victim_is_named_once(trial) {
        churn::every_choice(trial, |choice| {
            ensure!(choice.repeated.is_empty(), "it dropped {:?} more than once", choice.repeated);
            Ok(())
        })
    }

    /// There are at most as many victims as are asked for.
    fn victims_are_at_most_as_many_as_asked_for(trial) {
        churn::every_choice(trial, |choice| {
            let (count, max) = (choice.victims.len(), choice.max_victims);
            ensure!(count <= max, "it dropped {count} where {max} were asked for at most");
            Ok(())
        })
    }

    /// Victims weigh what is wanted, unless there are no more of them, or may be no more.
    fn victims_weigh_what_is_wanted(trial) {
        churn::every_choice(trial, |choice| {
            let enough = choice.freed >= choice.wanted || choice.left == 0 || choice.victims.len() >= choice.max_victims;
            ensure!(
                enough,
                "{} were wanted, and what it dropped weighs {} though {} are left",
                choice.wanted, choice.freed, choice.left
            );
            Ok(())
        })
    }

    /// No more are dropped than it takes: without the last one, what is wanted would not be reached.
    fn no_more_are_dropped_than_it_takes(trial) {
        churn::every_choice(trial, |choice| {
            ensure!(
                choice.victims.len() < 2 || choice.freed_before_last < choice.wanted,
                "{} were wanted, and without the last of its {} victims they weigh {} already",
                choice.wanted, choice.victims.len(), choice.freed_before_last
            );
            Ok(())
        })
    }

    /// With no victims allowed, there are none, and nobody is forgotten for that.
    fn no_victims_allowed_are_none(trial) {
        let (mut shard, ids) = stocked(trial, 10)?;
        let choice = shard.step(50, 0)?;
        ensure!(choice.victims.is_empty(), "none were allowed, and it dropped {:?}", choice.victims);
        let choice = shard.step(u64::MAX, 64)?;
        ensure_eq!(choice.freed, ids.len() as u64 * 10, "what all weigh together that can be dropped");
        Ok(())
    }

    /// Everything can be dropped, each entry once, one at a time or all at once.
    fn everything_can_be_dropped(trial) {
        for (wanted, max_victims) in [(1, 1), (35, 64), (u64::MAX, 1_000), (u64::MAX, usize::MAX)] {
            let (mut shard, ids) = stocked(trial, 100)?;
            let mut dropped = Vec::new();
            while dropped.len() < ids.len() {
                let choice = shard.step(wanted, max_victims)?;
                ensure!(
                    choice.strangers.is_empty() && choice.repeated.is_empty() && !choice.victims.is_empty(),
                    "with {} of {} left it dropped {:?}", ids.len() - dropped.len(), ids.len(), choice.victims
                );
                dropped.extend(choice.victims);
            }
            dropped.sort_unstable();
            ensure_eq!(dropped, ids, "what was dropped");
        }
        Ok(())
    }

    /// What was removed is dropped no more.
    fn what_was_removed_is_no_victim(trial) {
        let (mut shard, ids) = stocked(trial, 60)?;
        for &id in ids.iter().step_by(2) {
            shard.access(id);
            shard.remove(id);
        }
        let choice = shard.step(u64::MAX, 1_000)?;
        ensure!(choice.strangers.is_empty(), "it dropped {:?}, which were removed", choice.strangers);
        ensure_eq!(choice.left, 0, "how many are left when all are wanted");
        Ok(())
    }

    /// What was dropped is forgotten: no later step names it.
    fn what_was_dropped_is_forgotten(trial) {
        let (mut shard, _) = stocked(trial, 60)?;
        for _ in 0..20 {
            let choice = shard.step(30, 64)?;
            ensure!(choice.strangers.is_empty(), "it dropped {:?} again", choice.strangers);
        }
        ensure_eq!(shard.residents().len(), 0, "how many are left");
        let choice = shard.step(1, 64)?;
        ensure!(choice.victims.is_empty(), "nothing is left, and it dropped {:?}", choice.victims);
        Ok(())
    }

    /// An entry that just came in, and one that was just read, can be dropped when there is no other.
    fn a_newcomer_can_be_dropped(trial) {
        let mut shard = trial.shard(100)?;
        for _ in 0..50 {
            let id = shard.insert(100);
            shard.access(id);
            ensure_eq!(shard.step(100, 64)?.victims, [id], "what was dropped");
        }
        Ok(())
    }
}
