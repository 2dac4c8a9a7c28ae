use std::future::ready;
use std::time::Duration;

use super::report::Row;
use super::stopwatch::time;
use crate::cache::{Batch, EntryId, EvictionPolicy, EvictionStrategy, EvictionStrategyFactory};
use crate::error::{Error, Result};

/// How many entries are resident.
const RESIDENTS: u32 = 10_000;
/// How many events a batch has, and how many victims are asked for: what a cache has at a time when it is full.
const READS: u32 = 512;
const VICTIMS: u32 = 64;

/// Measures a strategy and the native LRU. `full` is called when an instance of the plugin serves a full shard.
///
/// # Errors
/// The first failure of either.
pub(super) async fn measure(
    plugin: &dyn EvictionStrategyFactory,
    budget: Duration,
    full: impl FnOnce(),
) -> Result<Vec<Row>> {
    let lru = EvictionPolicy::Lru.strategy().ok_or_else(|| Error::internal("LRU is no strategy"))?;
    let mut columns = [const { Vec::new() }; 4];
    let mut full = Some(full);
    for factory in [plugin, &*lru] {
        columns[0].push(time(budget, |_| ready(factory.open(RESIDENTS.into()).map(drop))).await?);
        let mut shard = Shard::full(factory)?;
        columns[1].push(time(budget, |_| ready(shard.step(0, 0))).await?);
        columns[2].push(time(budget, |_| ready(shard.step(READS, 0))).await?);
        columns[3].push(time(budget, |_| ready(shard.step(READS, VICTIMS))).await?);
        if let Some(full) = full.take() {
            full();
        }
    }
    let names = [
        "open an instance".to_owned(),
        "step of nothing".to_owned(),
        format!("step of {READS} reads"),
        format!("step of {READS} reads, {VICTIMS} in, {VICTIMS} out"),
    ];
    Ok(names.into_iter().zip(&columns).map(|(name, times)| Row::new(name, times)).collect())
}

/// A shard in which every entry weighs 1.
struct Shard {
    strategy: Box<dyn EvictionStrategy>,
    batch: Batch,
    residents: Vec<EntryId>,
    random: u64,
}

impl Shard {
    fn full(factory: &dyn EvictionStrategyFactory) -> Result<Self> {
        let strategy = factory.open(RESIDENTS.into())?;
        let mut shard =
            Self { strategy, batch: Batch::default(), residents: Vec::new(), random: 0x9e37_79b9_7f4a_7c15 };
        for slot in 0..RESIDENTS {
            let id = EntryId::new(slot, 0);
            shard.residents.push(id);
            shard.insert(id);
        }
        shard.strategy.step(&shard.batch, 0, 0, &mut Vec::new())?;
        Ok(shard)
    }

    fn insert(&mut self, id: EntryId) {
        self.batch.inserted.push(id.0);
        self.batch.hashes.push(id.0.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        self.batch.weights.push(1);
    }

    /// Tells of reads of random residents, and has as many entries come in as the ones that went in the step before.
    fn step(&mut self, reads: u32, victims: u32) -> Result<()> {
        for _ in 0..reads {
            self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let id = self.residents[(self.random >> 33) as usize % self.residents.len()];
            self.batch.accessed.push(id.0);
        }
        let mut chosen = Vec::new();
        self.strategy.step(&self.batch, victims.into(), victims as usize, &mut chosen)?;
        self.batch.clear();
        for id in chosen {
            let next = EntryId::new(id.slot(), id.generation().wrapping_add(1));
            let resident = self.residents.get_mut(id.slot() as usize).filter(|resident| **resident == id);
            *resident
                .ok_or_else(|| Error::internal(format!("the strategy names {id:?}, and no such entry is there")))? =
                next;
            self.insert(next);
        }
        Ok(())
    }
}
