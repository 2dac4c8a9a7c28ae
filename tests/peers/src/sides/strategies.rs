//! Eviction strategies through the seam of larder: a native one, and the one that is a plugin.

use std::hint::black_box;
use std::sync::Arc;

use anyhow::{Result, ensure};
use larder::cache::{Batch, EntryId, EvictionStrategy, EvictionStrategyFactory};

use crate::stopwatch::Work;
use crate::workload::{IDS, inserts, reads};

pub(super) fn step(factory: &dyn EvictionStrategyFactory) -> Result<Work> {
    let mut strategy = factory.open(u64::from(IDS))?;
    let (batch, mut victims) = (reads(), Vec::new());
    strategy.step(&inserts(), 0, 0, &mut victims)?;
    Ok(Box::new(move |times| {
        for _ in 0..times {
            strategy.step(black_box(&batch), 0, 0, &mut victims)?;
            ensure!(victims.is_empty(), "victims that nobody wanted");
        }
        Ok(())
    }))
}

pub(super) fn start(factory: &Arc<dyn EvictionStrategyFactory>) -> Work {
    let (factory, batch) = (Arc::clone(factory), Batch::default());
    Box::new(move |times| {
        let mut victims = Vec::new();
        for _ in 0..times {
            let mut strategy = factory.open(u64::from(IDS))?;
            strategy.step(black_box(&batch), 0, 0, &mut victims)?;
        }
        Ok(())
    })
}

/// Does in Rust what a step of reads makes a guest do: sets a bit for each entry.
#[derive(Debug, Default)]
struct Bits(Vec<bool>);

impl EvictionStrategy for Bits {
    fn step(&mut self, batch: &Batch, _: u64, _: usize, _: &mut Vec<EntryId>) -> larder::error::Result<()> {
        for &id in &batch.inserted {
            let slot = EntryId(id).slot() as usize;
            self.0.resize(self.0.len().max(slot + 1), false);
        }
        for &id in &batch.accessed {
            if let Some(visited) = self.0.get_mut(EntryId(id).slot() as usize) {
                *visited = true;
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
pub(super) struct BitsFactory;

impl EvictionStrategyFactory for BitsFactory {
    fn name(&self) -> &str {
        "bits"
    }

    fn open(&self, _: u64) -> larder::error::Result<Box<dyn EvictionStrategy>> {
        Ok(Box::new(Bits::default()))
    }
}
