use super::churn;

promises! {
    /// It opens for a shard of any capacity.
    fn it_opens_for_any_capacity(trial) {
        let factory = trial.factory()?;
        for capacity in [0, 1, 4_096, 1 << 30, u64::MAX] {
            factory.open(capacity)?;
        }
        Ok(())
    }

    /// Where nothing is, nothing is dropped, however much is wanted.
    fn an_empty_shard_has_no_victims(trial) {
        let mut shard = trial.shard(1_000)?;
        for wanted in [0, 1, 1_000, u64::MAX] {
            let choice = shard.step(wanted, 64)?;
            ensure!(choice.victims.is_empty(), "nothing was there, and it dropped {:?}", choice.victims);
        }
        Ok(())
    }

    /// A batch may be empty, before all others, between them, and many times.
    fn an_empty_batch_is_taken(trial) {
        let mut shard = trial.shard(1_000)?;
        shard.step(0, 64)?;
        let ids = [shard.insert(1), shard.insert(1)];
        for _ in 0..100 {
            let choice = shard.step(0, 64)?;
            ensure!(choice.victims.is_empty(), "nothing was wanted, and it dropped {:?}", choice.victims);
        }
        let mut victims = shard.step(2, 64)?.victims;
        victims.sort_unstable();
        ensure_eq!(victims, ids, "what was dropped");
        Ok(())
    }

    /// When nothing is wanted, nothing is dropped.
    fn nothing_is_dropped_when_nothing_is_wanted(trial) {
        churn::every_choice(trial, |choice| {
            ensure!(choice.wanted > 0 || choice.victims.is_empty(), "it dropped {:?}", choice.victims);
            Ok(())
        })
    }

    /// An entry may be read any number of times within a batch, also in the batch that it comes with or goes with.
    fn an_entry_may_be_read_many_times(trial) {
        let mut shard = trial.shard(1_000)?;
        let (stays, goes) = (shard.insert(1), shard.insert(1));
        for _ in 0..1_000 {
            shard.access(stays);
            shard.access(goes);
        }
        shard.remove(goes);
        shard.step(0, 64)?;
        (0..1_000).for_each(|_| shard.access(stays));
        ensure_eq!(shard.step(1, 64)?.victims, [stays], "what was dropped");
        Ok(())
    }

    /// A batch may hold thousands of events, as when a strategy is told all that is there.
    fn a_batch_of_many_events_is_taken(trial) {
        const COUNT: usize = 5_000;
        let mut shard = trial.shard(u64::MAX)?;
        let ids: Vec<_> = (0..COUNT).map(|_| shard.insert(10)).collect();
        ids.iter().rev().for_each(|&id| shard.access(id));
        ids.iter().step_by(2).for_each(|&id| shard.remove(id));
        let choice = shard.step(0, 64)?;
        ensure!(choice.victims.is_empty(), "nothing was wanted, and it dropped {:?}", choice.victims);
        let choice = shard.step(u64::MAX, COUNT)?;
        ensure_eq!((choice.freed, choice.left), (COUNT as u64 / 2 * 10, 0), "what was dropped and what is left");
        Ok(())
    }

    /// Keys whose hashes are the same are still different entries, and a key may come back.
    fn hashes_may_be_the_same(trial) {
        let mut shard = trial.shard(1_000)?;
        for hash in [0, u64::MAX, 7] {
            for _ in 0..50 {
                shard.insert_key(hash, 1);
            }
            let choice = shard.step(20, 64)?;
            ensure!(choice.strangers.is_empty() && choice.repeated.is_empty(), "it dropped {:?}", choice.victims);
            ensure!(choice.freed >= 20, "{} were wanted, and what it dropped weighs {}", 20, choice.freed);
        }
        let choice = shard.step(u64::MAX, 1_000)?;
        ensure_eq!(choice.left, 0, "how many are left when all are wanted");
        Ok(())
    }
}
