use crate::cache::EntryId;

promises! {
    /// A slot passes from one entry to the next, step by step: the new one is another entry, with a weight of its own.
    fn a_slot_passes_to_another_entry(trial) {
        let mut shard = trial.shard(1_000)?;
        for round in 0..100 {
            let id = shard.insert(1 + round);
            ensure_eq!(id, EntryId::new(0, round as u32), "the entry in the only slot");
            if round % 2 == 0 {
                shard.remove(id);
                let choice = shard.step(0, 64)?;
                ensure!(choice.victims.is_empty(), "nothing was wanted, and it dropped {:?}", choice.victims);
            } else {
                ensure_eq!(shard.step(1, 64)?.victims, [id], "what was dropped");
            }
        }
        Ok(())
    }

    /// A slot can pass to another entry within a batch, which tells of the one that went behind the one that came.
    fn a_slot_can_pass_on_within_a_batch(trial) {
        let mut shard = trial.shard(1_000)?;
        let first = shard.insert_at(EntryId::new(0, 0), 1, 10);
        let other = shard.insert_at(EntryId::new(1, 0), 2, 10);
        shard.step(0, 64)?;
        let second = shard.insert_at(EntryId::new(0, 1), 3, 20);
        shard.access(first);
        shard.access(second);
        shard.remove(first);
        let choice = shard.step(0, 64)?;
        ensure!(choice.victims.is_empty(), "nothing was wanted, and it dropped {:?}", choice.victims);
        let mut victims = shard.step(30, 64)?.victims;
        victims.sort_unstable();
        ensure_eq!(victims, [other, second], "what was dropped");
        Ok(())
    }

    /// An entry can come and go within one batch, and others after it in the same slot.
    fn an_entry_can_come_and_go_within_a_batch(trial) {
        let mut shard = trial.shard(1_000)?;
        let gone: Vec<_> = (0..5).map(|generation| shard.insert_at(EntryId::new(0, generation), 1, 10)).collect();
        let last = shard.insert_at(EntryId::new(0, 5), 1, 10);
        gone.into_iter().for_each(|id| shard.remove(id));
        ensure_eq!(shard.step(1_000, 64)?.victims, [last], "what was dropped");
        Ok(())
    }

    /// Slots may come in any order, as long as they are dense.
    fn slots_may_come_in_any_order(trial) {
        let (mut shard, mut random) = (trial.shard(1_000)?, trial.random());
        let mut slots: Vec<u32> = (0..200).collect();
        random.shuffle(&mut slots);
        let mut ids: Vec<_> = slots.into_iter().map(|slot| shard.insert_at(EntryId::new(slot, 0), 1, 1)).collect();
        let mut victims = shard.step(200, 1_000)?.victims;
        ids.sort_unstable();
        victims.sort_unstable();
        ensure_eq!(victims, ids, "what was dropped");
        Ok(())
    }

    /// A generation may be any number of 32 bits, and start again from 0 behind the last.
    fn a_generation_may_be_any_number(trial) {
        let mut shard = trial.shard(1_000)?;
        for generation in [u32::MAX - 1, u32::MAX, 0, 1 << 31, 1] {
            let ids = [0, 1].map(|slot| shard.insert_at(EntryId::new(slot, generation), 1, 1));
            shard.access(ids[0]);
            let mut victims = shard.step(2, 64)?.victims;
            victims.sort_unstable();
            ensure_eq!(victims, ids, "what was dropped");
        }
        Ok(())
    }
}
