use super::churn;
use super::shard::Shard;
use crate::cache::EntryId;
use crate::contract::Breach;

/// Holds a shard to dropping each of its residents, and nobody else.
pub(super) fn drain(shard: &mut Shard) -> Result<(), Breach> {
    let mut wanted: Vec<EntryId> = shard.residents().to_vec();
    let mut dropped = Vec::new();
    while !shard.residents().is_empty() {
        let choice = shard.step((shard.total() / 4).max(1), 64)?;
        ensure!(
            choice.strangers.is_empty() && choice.repeated.is_empty() && !choice.victims.is_empty(),
            "with {} left it dropped {:?}",
            shard.residents().len(),
            choice.victims
        );
        dropped.extend(choice.victims);
    }
    wanted.sort_unstable();
    dropped.sort_unstable();
    ensure_eq!(dropped, wanted, "what was dropped");
    Ok(())
}

promises! {
    /// A fresh instance that is told in one batch of all that is there goes on from it.
    fn a_fresh_instance_takes_over(trial) {
        let mut former = trial.shard(1_000_000)?;
        for event in churn::random_events(&mut trial.random()) {
            event.happen(&mut former)?;
        }
        (0..50).for_each(|_| _ = former.insert(10));
        drain(&mut Shard::taking_over(trial.factory()?.open(1_000_000)?, &former)?)
    }

    /// An instance can take over again and again, each from the one before.
    fn it_can_be_taken_over_again_and_again(trial) {
        let (mut shard, mut random) = (trial.shard(1_000_000)?, trial.random());
        for _ in 0..8 {
            for event in churn::random_events(&mut random).into_iter().take(150) {
                if let Some(choice) = event.happen(&mut shard)? {
                    ensure!(choice.strangers.is_empty(), "it dropped {:?}, which were not there", choice.strangers);
                }
            }
            shard = Shard::taking_over(trial.factory()?.open(1_000_000)?, &shard)?;
        }
        Ok(())
    }
}
