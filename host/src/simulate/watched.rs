use std::sync::Arc;

use parking_lot::Mutex;

use crate::cache::{Batch, EntryId, EvictionStrategy, EvictionStrategyFactory};
use crate::error::{Error, Result};

/// Makes strategies whose first failure is kept. A cache would go on with another strategy, and say of the whole what was
/// done by the two.
#[derive(Debug)]
pub(super) struct Watched {
    factory: Arc<dyn EvictionStrategyFactory>,
    failure: Arc<Mutex<Option<Error>>>,
}

impl Watched {
    pub(super) fn new(factory: Arc<dyn EvictionStrategyFactory>, failure: Arc<Mutex<Option<Error>>>) -> Self {
        Self { factory, failure }
    }
}

impl EvictionStrategyFactory for Watched {
    fn name(&self) -> &str {
        self.factory.name()
    }

    fn open(&self, capacity: u64) -> Result<Box<dyn EvictionStrategy>> {
        let strategy = Some(self.factory.open(capacity)?);
        Ok(Box::new(Watcher { strategy, failure: Arc::clone(&self.failure) }))
    }
}

#[derive(Debug)]
struct Watcher {
    /// None, once it failed.
    strategy: Option<Box<dyn EvictionStrategy>>,
    failure: Arc<Mutex<Option<Error>>>,
}

impl EvictionStrategy for Watcher {
    /// Names nobody once the strategy has failed: whoever simulates looks for the failure before anything else.
    fn step(&mut self, batch: &Batch, wanted: u64, max_victims: usize, victims: &mut Vec<EntryId>) -> Result<()> {
        let Some(strategy) = &mut self.strategy else { return Ok(()) };
        if let Err(error) = strategy.step(batch, wanted, max_victims, victims) {
            *self.failure.lock() = Some(error);
            self.strategy = None;
            victims.clear();
        }
        Ok(())
    }
}
