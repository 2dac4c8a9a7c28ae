use super::churn::{self, Event};
use super::shard::Shard;
use crate::cache::{EntryId, EvictionStrategy};
use crate::contract::Breach;
use crate::error::Result;

/// The victims of a row of events, step by step.
fn victims(strategy: Box<dyn EvictionStrategy>, events: &[Event]) -> Result<Vec<Vec<EntryId>>> {
    let mut shard = Shard::new(strategy);
    let mut victims = Vec::new();
    for event in events {
        victims.extend(event.happen(&mut shard)?.map(|choice| choice.victims));
    }
    Ok(victims)
}

promises! {
    /// The same events lead to the same victims, on every fresh shard.
    fn the_same_events_lead_to_the_same_victims(trial) {
        if !trial.is_deterministic() {
            return Err(Breach::NotApplicable);
        }
        let events = churn::random_events(&mut trial.random());
        let factory = trial.factory()?;
        let first = victims(factory.open(1_000_000)?, &events)?;
        for factory in [factory, trial.factory()?] {
            let again = victims(factory.open(1_000_000)?, &events)?;
            let parted = first.iter().zip(&again).position(|(first, again)| first != again);
            if let Some(step) = parted {
                return Err(Breach::Broken(format!(
                    "at step {step} it dropped {:?} and, after the same events, {:?}", first[step], again[step]
                )));
            }
        }
        Ok(())
    }

    /// Shards know nothing of each other, though their entries bear the same slots.
    fn shards_are_apart(trial) {
        let factory = trial.factory()?;
        let mut shards: Vec<_> = Vec::new();
        for _ in 0..3 {
            shards.push(Shard::new(factory.open(1_000)?));
        }
        for generation in 0..40 {
            for (number, shard) in shards.iter_mut().enumerate() {
                for slot in 0..5 {
                    shard.insert_at(EntryId::new(slot, generation * 10 + number as u32), u64::from(slot), 1);
                }
            }
            for (number, shard) in shards.iter_mut().enumerate() {
                let choice = shard.step(5, 64)?;
                ensure!(choice.strangers.is_empty(), "shard {number} dropped {:?} of another", choice.strangers);
                ensure_eq!(choice.left, 0, "how many are left in shard {number}");
            }
        }
        Ok(())
    }
}
