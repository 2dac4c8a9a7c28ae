promises! {
    /// Entries may weigh anything from 1 to the capacity, which may be all that 64 bits hold.
    fn weights_of_any_size_are_taken(trial) {
        for weights in [vec![u64::MAX], vec![1, u64::MAX - 1], vec![u64::MAX / 2; 2], vec![1; 3], vec![1 << 32; 5]] {
            let mut shard = trial.shard(u64::MAX)?;
            weights.iter().for_each(|&weight| _ = shard.insert(weight));
            let total = shard.total();
            let choice = shard.step(total, 64)?;
            ensure_eq!((choice.freed, choice.left), (total, 0), "what was dropped and what is left of {weights:?}");
        }
        Ok(())
    }

    /// Of entries of the same weight, however heavy, so many go as it takes.
    fn equal_weights_are_counted(trial) {
        for weight in [2, 1_000, u64::from(u32::MAX), 1 << 32, 1 << 40, 1 << 61] {
            let mut shard = trial.shard(u64::MAX)?;
            (0..5).for_each(|_| _ = shard.insert(weight));
            ensure_eq!(shard.step(2 * weight, 64)?.victims.len(), 2, "how many were dropped, each of weight {weight}");
            ensure_eq!(shard.step(weight, 64)?.victims.len(), 1, "how many were dropped then");
            ensure_eq!(shard.step(2 * weight - 1, 64)?.victims.len(), 2, "how many were dropped in the end");
        }
        Ok(())
    }

    /// A heavy entry among light ones is dropped at its whole weight, and light ones until they weigh enough.
    fn heavy_and_light_entries_add_up(trial) {
        let mut shard = trial.shard(1 << 40)?;
        for number in 0..200u64 {
            shard.insert(if number % 10 == 0 { 1 << 30 } else { 1 + number });
        }
        while shard.total() > 0 {
            let before = shard.total();
            let wanted = (before / 3).max(1);
            let choice = shard.step(wanted, usize::MAX)?;
            ensure!(
                choice.freed >= wanted && shard.total() == before - choice.freed,
                "{wanted} of {before} were wanted, and what it dropped weighs {}", choice.freed
            );
        }
        Ok(())
    }

    /// More can be wanted than is there: then all goes.
    fn more_can_be_wanted_than_is_there(trial) {
        let mut shard = trial.shard(1_000)?;
        let ids = [shard.insert(300), shard.insert(300)];
        let mut victims = shard.step(601, 64)?.victims;
        victims.sort_unstable();
        ensure_eq!(victims, ids, "what was dropped");
        let id = shard.insert(1);
        ensure_eq!(shard.step(u64::MAX, 64)?.victims, [id], "what was dropped then");
        Ok(())
    }
}
