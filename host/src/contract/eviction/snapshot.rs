use super::churn::{self, Event};
use super::shard::{Choice, Shard};
use super::{Trial, replay};
use crate::contract::Breach;
use crate::error::Result;
use crate::random::Random;

const CAPACITY: u64 = 1_000_000;

/// A shard after random events, with residents of which some were read.
fn lived_in(trial: &Trial, random: &mut Random) -> Result<Shard> {
    let mut shard = trial.shard(CAPACITY)?;
    for event in churn::random_events(random) {
        event.happen(&mut shard)?;
    }
    let ids: Vec<_> = (0..50).map(|_| shard.insert(10)).collect();
    ids.into_iter().step_by(3).for_each(|id| shard.access(id));
    shard.step(20, 64)?;
    Ok(shard)
}

/// What came of some events: all that was chosen, in which there must be nobody who was not there.
fn live_on(shard: &mut Shard, events: &[Event]) -> Result<Vec<Choice>, Breach> {
    let mut choices = Vec::new();
    for event in events {
        let Some(choice) = event.happen(shard)? else { continue };
        ensure!(choice.strangers.is_empty(), "it dropped {:?}, which were not there", choice.strangers);
        ensure!(choice.repeated.is_empty(), "it dropped {:?} more than once", choice.repeated);
        choices.push(choice);
    }
    Ok(choices)
}

/// Says where two rows of choices part.
fn alike(choices: &[Choice], others: &[Choice]) -> Result<(), Breach> {
    for (step, (choice, other)) in choices.iter().zip(others).enumerate() {
        let (victims, others) = (&choice.victims, &other.victims);
        ensure!(victims == others, "at step {step} it dropped {victims:?}, and the other instance {others:?}");
    }
    Ok(())
}

/// Bytes that no strategy has written, or that something has happened to.
fn nonsense(snapshot: &[u8], random: &mut Random) -> Vec<Vec<u8>> {
    const MIB: usize = 1 << 20;
    let mut all = vec![vec![], vec![0; MIB], vec![0xff; MIB]];
    for length in [1, 7, 8, 64, 4_099, MIB] {
        all.push((0..length).map(|_| random.next() as u8).collect());
    }
    let Some(last) = snapshot.len().checked_sub(1) else { return all };
    all.push(snapshot.iter().copied().cycle().take(MIB).collect());
    let somewhere: Vec<usize> = (0..64).map(|_| random.below(snapshot.len())).collect();
    for at in (0..64.min(last)).chain(somewhere).chain([last]) {
        all.push(snapshot[..at].to_vec());
        for mask in [1 << random.below(8), 0xff] {
            let mut garbled = snapshot.to_vec();
            garbled[at] ^= mask;
            all.push(garbled);
        }
    }
    all
}

promises! {
    /// A fresh instance that is handed a snapshot of another one, and then told of all that is there, goes on from it.
    fn a_fresh_instance_takes_over_with_a_snapshot(trial) {
        let mut random = trial.random();
        let mut former = lived_in(trial, &mut random)?;
        let mut shard = Shard::remembering(trial.factory()?.open(CAPACITY)?, &former.snapshot()?, &former)?;
        live_on(&mut shard, &churn::random_events(&mut random))?;
        replay::drain(&mut shard)
    }

    /// A snapshot may be older than what is there: what it was taken of is gone, and others have its slots.
    fn a_snapshot_may_be_older_than_the_residents(trial) {
        let mut random = trial.random();
        let mut former = lived_in(trial, &mut random)?;
        let snapshot = former.snapshot()?;
        former.step(u64::MAX, usize::MAX)?;
        (0..30).for_each(|_| _ = former.insert(10));
        let mut shard = Shard::remembering(trial.factory()?.open(CAPACITY)?, &snapshot, &former)?;
        replay::drain(&mut shard)?;
        live_on(&mut shard, &churn::random_events(&mut random)).map(drop)
    }

    /// A snapshot may come from a shard of another capacity.
    fn a_snapshot_may_be_of_another_capacity(trial) {
        let mut random = trial.random();
        let mut former = lived_in(trial, &mut random)?;
        let (snapshot, factory) = (former.snapshot()?, trial.factory()?);
        for capacity in [0, 1, 4_096, u64::MAX] {
            let mut shard = Shard::remembering(factory.open(capacity)?, &snapshot, &former)?;
            live_on(&mut shard, &churn::random_events(&mut random))?;
            replay::drain(&mut shard)?;
        }
        Ok(())
    }

    /// Any bytes may be handed over as a snapshot: none, random ones, a mebibyte, and one that was cut off or garbled.
    fn any_bytes_may_be_handed_over(trial) {
        let mut random = trial.random();
        let mut former = lived_in(trial, &mut random)?;
        let factory = trial.factory()?;
        for bytes in nonsense(&former.snapshot()?, &mut random) {
            let taken_over = Shard::remembering(factory.open(CAPACITY)?, &bytes, &former).map_err(Breach::from);
            taken_over.and_then(|mut shard| replay::drain(&mut shard)).map_err(|breach| {
                let shown = &bytes[..bytes.len().min(32)];
                breach.after(&format!("with {} bytes as a snapshot, which begin with {shown:02x?}", bytes.len()))
            })?;
        }
        Ok(())
    }

    /// To take a snapshot changes nothing: the victims are those that they would have been.
    fn a_snapshot_changes_nothing(trial) {
        if !trial.is_deterministic() {
            return Err(Breach::NotApplicable);
        }
        let (events, factory) = (churn::random_events(&mut trial.random()), trial.factory()?);
        let (mut shard, mut asked) = (Shard::new(factory.open(CAPACITY)?), Shard::new(factory.open(CAPACITY)?));
        for events in events.chunks(20) {
            asked.snapshot()?;
            let choices = live_on(&mut asked, events)?;
            alike(&choices, &live_on(&mut shard, events)?)?;
        }
        Ok(())
    }

    /// Instances that are handed the same snapshot, and then told the same, choose the same victims.
    fn the_same_snapshot_leads_to_the_same_victims(trial) {
        if !trial.is_deterministic() {
            return Err(Breach::NotApplicable);
        }
        let mut random = trial.random();
        let mut former = lived_in(trial, &mut random)?;
        let (snapshot, events) = (former.snapshot()?, churn::random_events(&mut random));
        let go_on = || -> Result<_, Breach> {
            let mut shard = Shard::remembering(trial.factory()?.open(CAPACITY)?, &snapshot, &former)?;
            live_on(&mut shard, &events)
        };
        alike(&go_on()?, &go_on()?)
    }

    /// A snapshot has at most 64 bytes for each of the entries that were there when they were most, and 4 KiB besides,
    /// however many came and went, and however often it was handed on.
    fn a_snapshot_is_bounded(trial) {
        const MOST: u64 = 200;
        let (mut random, factory) = (trial.random(), trial.factory()?);
        for capacity in [MOST, u64::MAX] {
            let mut shard = Shard::new(factory.open(capacity)?);
            for _ in 0..4 {
                for number in 0..4_000 {
                    // Every other key was there before.
                    let id = match random.below(1_000) as u64 {
                        key if number % 2 == 0 => shard.insert_key(key.wrapping_mul(0x9e37_79b9_7f4a_7c15), 1),
                        _ => shard.insert(1),
                    };
                    (0..random.below(3)).for_each(|_| shard.access(id));
                    shard.step(shard.total().saturating_sub(MOST - 1), 64)?;
                }
                let snapshot = shard.snapshot()?;
                ensure!(
                    snapshot.len() as u64 <= 64 * MOST + 4_096,
                    "with {MOST} entries at most, the snapshot has {} bytes", snapshot.len()
                );
                shard = Shard::remembering(factory.open(capacity)?, &snapshot, &shard)?;
            }
        }
        Ok(())
    }
}
