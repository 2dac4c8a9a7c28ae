use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::lru::Lru;
use super::{Batch, EntryId, EvictionStrategy, EvictionStrategyFactory};
use crate::error::{Error, Result};

/// How long after a failure the factory is asked for another strategy, unless it says how long.
const RETRY: Duration = Duration::from_secs(1);

/// Chooses what one shard drops: by the strategy that it is meant to have, or by LRU for as long as that one fails.
pub(super) struct Chooser {
    factory: Arc<dyn EvictionStrategyFactory>,
    capacity: u64,
    /// The mutex lends it the `Sync` that it need not have: it is only ever reached through `&mut self`.
    strategy: Mutex<Box<dyn EvictionStrategy>>,
    /// Of the factory, when the strategy was opened.
    generation: u64,
    /// While LRU stands in: when the factory is asked again.
    retry_at: Option<Instant>,
}

impl Chooser {
    /// Opens the strategy of a shard of this capacity.
    ///
    /// # Errors
    /// The factory's.
    pub(super) fn open(factory: Arc<dyn EvictionStrategyFactory>, capacity: u64) -> Result<Self> {
        let generation = factory.generation();
        let strategy = Mutex::new(factory.open(capacity)?);
        Ok(Self { factory, capacity, strategy, generation, retry_at: None })
    }

    /// Whether LRU stands in for a strategy that failed.
    pub(super) fn is_fallback(&self) -> bool {
        self.retry_at.is_some()
    }

    /// As [`EvictionStrategy::step`], but it does not fail. `residents` tells of everything that is there, as if it came
    /// in just now: what a strategy is told that takes the place of another.
    pub(super) fn step(
        &mut self,
        batch: &Batch,
        wanted: u64,
        max_victims: usize,
        victims: &mut Vec<EntryId>,
        residents: impl FnOnce() -> Batch,
    ) {
        if self.is_due() && self.renew() {
            let residents = residents();
            return self.ask(&residents, wanted, max_victims, victims, || residents.clone());
        }
        self.ask(batch, wanted, max_victims, victims, residents);
    }

    /// Whether the strategy is to give way to a fresh one.
    fn is_due(&self) -> bool {
        self.factory.generation() != self.generation || self.retry_at.is_some_and(|at| at <= Instant::now())
    }

    /// Opens a fresh strategy. If that does not work, the one that is there goes on.
    fn renew(&mut self) -> bool {
        self.generation = self.factory.generation();
        match self.factory.open(self.capacity) {
            Ok(strategy) => {
                *self.strategy.get_mut() = strategy;
                self.retry_at = None;
                true
            }
            Err(error) => {
                tracing::debug!(kind = error.kind(), "an eviction strategy can not be opened: {error}");
                self.retry_at = self.retry_at.map(|_| Instant::now() + patience(&error));
                false
            }
        }
    }

    fn ask(
        &mut self,
        batch: &Batch,
        wanted: u64,
        max_victims: usize,
        victims: &mut Vec<EntryId>,
        residents: impl FnOnce() -> Batch,
    ) {
        let Err(error) = self.strategy.get_mut().step(batch, wanted, max_victims, victims) else { return };
        tracing::warn!(kind = error.kind(), "an eviction strategy failed, and LRU stands in for it: {error}");
        victims.clear();
        let mut lru = Lru::default();
        lru.note(&residents());
        lru.choose(wanted, max_victims, victims);
        *self.strategy.get_mut() = Box::new(lru);
        self.retry_at = Some(Instant::now() + patience(&error));
    }
}

fn patience(error: &Error) -> Duration {
    match error {
        Error::Unavailable { retry_after: Some(after), .. } => RETRY.max(*after),
        _ => RETRY,
    }
}

impl fmt::Debug for Chooser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chooser").field("factory", &self.factory).field("is_fallback", &self.is_fallback()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

    use super::*;

    /// Makes strategies that fail as long as it is said, and name the newest entry otherwise.
    #[derive(Debug, Default)]
    struct Switch {
        fails: AtomicBool,
        generation: AtomicU64,
        opened: AtomicU64,
    }

    #[derive(Debug)]
    struct Newest(Arc<Switch>, Vec<EntryId>);

    #[derive(Debug)]
    struct Factory(Arc<Switch>);

    impl EvictionStrategyFactory for Factory {
        fn open(&self, _: u64) -> Result<Box<dyn EvictionStrategy>> {
            if self.0.fails.load(Relaxed) {
                return Err(Error::unavailable("it is quarantined"));
            }
            self.0.opened.fetch_add(1, Relaxed);
            Ok(Box::new(Newest(Arc::clone(&self.0), Vec::new())))
        }

        fn generation(&self) -> u64 {
            self.0.generation.load(Relaxed)
        }
    }

    impl EvictionStrategy for Newest {
        fn step(&mut self, batch: &Batch, wanted: u64, _: usize, victims: &mut Vec<EntryId>) -> Result<()> {
            if self.0.fails.load(Relaxed) {
                return Err(Error::internal("it trapped"));
            }
            self.1.extend(batch.inserted.iter().map(|&id| EntryId(id)));
            victims.extend((0..wanted).filter_map(|_| self.1.pop()));
            Ok(())
        }
    }

    fn inserted(ids: std::ops::Range<u64>) -> Batch {
        let ids: Vec<u64> = ids.collect();
        Batch { hashes: ids.clone(), weights: vec![1; ids.len()], inserted: ids, ..Batch::default() }
    }

    fn victims(chooser: &mut Chooser, batch: &Batch, wanted: u64) -> Vec<u64> {
        let mut victims = Vec::new();
        chooser.step(batch, wanted, 10, &mut victims, || inserted(0..4));
        victims.into_iter().map(|id| id.0).collect()
    }

    #[test]
    fn a_strategy_that_failed_is_tried_again_and_told_of_all_that_is_there() {
        let switch = Arc::new(Switch::default());
        let mut chooser = Chooser::open(Arc::new(Factory(Arc::clone(&switch))), 10).unwrap();
        switch.fails.store(true, Relaxed);
        assert_eq!(victims(&mut chooser, &inserted(0..4), 1), [0], "LRU stands in");
        assert!(chooser.is_fallback());
        chooser.retry_at = Some(Instant::now());
        assert_eq!(victims(&mut chooser, &Batch::default(), 1), [1], "it fails still");
        switch.fails.store(false, Relaxed);
        assert!(chooser.retry_at.unwrap() > Instant::now(), "it is not tried at every step");
        assert_eq!(victims(&mut chooser, &Batch::default(), 1), [2]);
        chooser.retry_at = Some(Instant::now());
        assert_eq!(victims(&mut chooser, &Batch::default(), 1), [3], "the newest of the residents");
        assert!(!chooser.is_fallback());
    }

    #[test]
    fn a_strategy_that_was_replaced_gives_way_at_the_next_step() {
        let switch = Arc::new(Switch::default());
        let mut chooser = Chooser::open(Arc::new(Factory(Arc::clone(&switch))), 10).unwrap();
        victims(&mut chooser, &inserted(0..2), 0);
        assert_eq!(switch.opened.load(Relaxed), 1);
        switch.generation.fetch_add(1, Relaxed);
        assert_eq!(victims(&mut chooser, &Batch::default(), 1), [3]);
        victims(&mut chooser, &Batch::default(), 0);
        assert_eq!(switch.opened.load(Relaxed), 2);
    }
}
