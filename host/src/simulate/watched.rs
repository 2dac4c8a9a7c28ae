use std::sync::Arc;

use parking_lot::Mutex;

use crate::cache::{Batch, EntryId, EvictionStrategy, EvictionStrategyFactory};
use crate::error::{Error, Result};

/// Makes strategies whose first failure is kept, and who are held to what [`EvictionStrategy::step`] promises.
///
/// A cache would put up with it and drop what it sees fit, and the figures would be those of the two.
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
        Ok(Box::new(Watcher { strategy, residents: Vec::new(), failure: Arc::clone(&self.failure) }))
    }
}

#[derive(Debug)]
struct Watcher {
    /// None, once it failed.
    strategy: Option<Box<dyn EvictionStrategy>>,
    /// By slot, who is there, and what it weighs.
    residents: Vec<Option<(EntryId, u64)>>,
    failure: Arc<Mutex<Option<Error>>>,
}

impl EvictionStrategy for Watcher {
    /// Names nobody once the strategy has failed: whoever simulates looks for the failure before anything else.
    fn step(&mut self, batch: &Batch, wanted: u64, max_victims: usize, victims: &mut Vec<EntryId>) -> Result<()> {
        let Some(strategy) = &mut self.strategy else { return Ok(()) };
        let chosen = strategy.step(batch, wanted, max_victims, victims);
        if let Err(error) = chosen.and_then(|()| self.follow(batch, wanted, max_victims, victims)) {
            *self.failure.lock() = Some(error);
            self.strategy = None;
            victims.clear();
        }
        Ok(())
    }
}

impl Watcher {
    /// Takes note of who came and who goes. Nobody goes in a simulation but as a victim.
    fn follow(&mut self, batch: &Batch, wanted: u64, max_victims: usize, victims: &[EntryId]) -> Result<()> {
        for (&id, &weight) in batch.inserted.iter().zip(&batch.weights) {
            let (id, slot) = (EntryId(id), EntryId(id).slot() as usize);
            if slot >= self.residents.len() {
                self.residents.resize(slot + 1, None);
            }
            self.residents[slot] = Some((id, weight));
        }
        let mut freed = 0;
        for victim in victims {
            if freed >= wanted {
                return Err(Error::internal(format!("it names {} victims, and fewer would do", victims.len())));
            }
            let there = self.residents.get_mut(victim.slot() as usize).filter(|there| {
                let resident = there.map(|(id, _)| id);
                resident == Some(*victim)
            });
            let Some((_, weight)) = there.and_then(Option::take) else {
                return Err(Error::internal(format!("it names {victim:?}, and no such entry is there")));
            };
            freed += weight;
        }
        if freed < wanted && victims.len() < max_victims {
            return Err(Error::internal(format!("it names victims that weigh {freed}, and {wanted} must go")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names always the same.
    #[derive(Debug)]
    struct Names(Vec<EntryId>);

    impl EvictionStrategyFactory for Names {
        fn name(&self) -> &str {
            "names"
        }

        fn open(&self, _: u64) -> Result<Box<dyn EvictionStrategy>> {
            Ok(Box::new(Self(self.0.clone())))
        }
    }

    impl EvictionStrategy for Names {
        fn step(&mut self, _: &Batch, wanted: u64, _: usize, victims: &mut Vec<EntryId>) -> Result<()> {
            victims.extend(self.0.iter().filter(|_| wanted > 0));
            Ok(())
        }
    }

    #[test]
    fn a_strategy_that_breaks_its_contract_is_found_out() {
        let entry = |slot| EntryId::new(slot, 0);
        for (names, says) in [
            (vec![entry(0), entry(1)], None),
            (vec![], Some("it names victims that weigh 0, and 15 must go")),
            (vec![entry(2)], Some("it names victims that weigh 10, and 15 must go")),
            (vec![entry(0), entry(0)], Some("it names EntryId(0), and no such entry is there")),
            (vec![entry(7)], Some("no such entry is there")),
            (vec![EntryId::new(0, 1)], Some("no such entry is there")),
            (vec![entry(0), entry(1), entry(2)], Some("it names 3 victims, and fewer would do")),
        ] {
            let failure = Arc::default();
            let mut strategy = Watched::new(Arc::new(Names(names.clone())), Arc::clone(&failure)).open(30).unwrap();
            let batch = Batch { inserted: vec![0, 1, 2], hashes: vec![7; 3], weights: vec![10; 3], ..Batch::default() };
            let mut victims = Vec::new();
            strategy.step(&batch, 0, 3, &mut victims).unwrap();
            assert!(failure.lock().is_none());
            strategy.step(&Batch::default(), 15, 3, &mut victims).unwrap();
            match (says, failure.lock().take()) {
                (None, None) => assert_eq!(victims, names),
                (Some(says), Some(error)) => assert!(error.to_string().contains(says), "{error}"),
                (says, found) => panic!("{names:?}: {found:?} in place of {says:?}"),
            }
        }
    }
}
