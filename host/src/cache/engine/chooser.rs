use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::rebuild::{CaughtUp, Rebuild};
use crate::cache::strategies::clock::Clock;
use crate::cache::{Batch, EntryId, EvictionStrategy, EvictionStrategyFactory};
use crate::error::{Error, Result};

/// How long after a failure the factory is asked for another strategy, unless it says how long.
const RETRY: Duration = Duration::from_secs(1);

/// Chooses what one shard drops: by the strategy that it is meant to have, or by CLOCK for as long as that one fails.
///
/// A strategy that takes the place of another is made and told of what is there on a thread of its own; the other goes on
/// until then.
pub(in crate::cache) struct Chooser {
    factory: Arc<dyn EvictionStrategyFactory>,
    capacity: u64,
    /// The mutex lends it the `Sync` that it need not have: it is only ever reached through `&mut self`.
    strategy: Mutex<Box<dyn EvictionStrategy>>,
    /// Of the factory, when the strategy was opened, or the one that is being made.
    generation: u64,
    /// While CLOCK stands in: when the factory is asked again.
    retry_at: Option<Instant>,
    rebuild: Option<Rebuild>,
}

impl Chooser {
    /// Opens the strategy of a shard of this capacity.
    ///
    /// # Errors
    /// The factory's.
    pub(in crate::cache) fn open(factory: Arc<dyn EvictionStrategyFactory>, capacity: u64) -> Result<Self> {
        let generation = factory.generation();
        let strategy = Mutex::new(factory.open(capacity)?);
        Ok(Self { factory, capacity, strategy, generation, retry_at: None, rebuild: None })
    }

    /// Whether CLOCK stands in for a strategy that failed.
    pub(in crate::cache) fn is_fallback(&self) -> bool {
        self.retry_at.is_some()
    }

    /// As [`EvictionStrategy::step`], but it does not fail. `residents` tells of everything that is there, by slot, as if
    /// it came in just now: what a strategy is told that takes the place of another.
    pub(in crate::cache) fn step(
        &mut self,
        batch: &Batch,
        wanted: u64,
        max_victims: usize,
        victims: &mut Vec<EntryId>,
        residents: impl Fn() -> Batch,
    ) {
        if self.is_due() {
            self.renew(residents());
        }
        if self.rebuild.is_some() && self.settle(&residents) {
            // It knows of everything that the batch would tell, but for reads.
            return self.ask(&Batch::default(), wanted, max_victims, victims, residents);
        }
        self.ask(batch, wanted, max_victims, victims, residents);
    }

    /// Whether a strategy is to be made anew.
    fn is_due(&self) -> bool {
        self.factory.generation() != self.generation
            || (self.rebuild.is_none() && self.retry_at.is_some_and(|at| at <= Instant::now()))
    }

    /// Begins to make a strategy, which takes over the memory of the one that is there if that one works.
    fn renew(&mut self, residents: Batch) {
        self.generation = self.factory.generation();
        let memory = match self.retry_at {
            Some(_) => Vec::new(),
            None => self.strategy.get_mut().snapshot().unwrap_or_else(|error| {
                tracing::warn!(kind = error.kind(), "an eviction strategy did not hand over what it knows: {error}");
                Vec::new()
            }),
        };
        self.rebuild = Some(Rebuild::start(Arc::clone(&self.factory), self.capacity, memory, residents));
    }

    /// Puts the strategy in that was made anew, if it is ready.
    fn settle(&mut self, residents: impl Fn() -> Batch) -> bool {
        let Some(outcome) = self.rebuild.as_ref().and_then(Rebuild::poll) else { return false };
        self.rebuild = None;
        match outcome.and_then(|rebuilt| rebuilt.catch_up(residents())) {
            Ok(CaughtUp::Ready(strategy)) => {
                *self.strategy.get_mut() = strategy;
                self.retry_at = None;
                true
            }
            Ok(CaughtUp::NotYet(rebuild)) => {
                self.rebuild = Some(rebuild);
                false
            }
            Err(error) => {
                let strategy = self.factory.name();
                tracing::warn!(strategy, kind = error.kind(), "an eviction strategy can not be made anew: {error}");
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
        residents: impl Fn() -> Batch,
    ) {
        let Err(error) = self.strategy.get_mut().step(batch, wanted, max_victims, victims) else { return };
        let strategy = self.factory.name();
        tracing::warn!(
            strategy,
            kind = error.kind(),
            "an eviction strategy failed, and CLOCK stands in for it: {error}"
        );
        let mut clock = Clock::new(self.capacity);
        victims.clear();
        // It can not fail.
        drop(clock.step(&residents(), wanted, max_victims, victims));
        *self.strategy.get_mut() = Box::new(clock);
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
        restored: Mutex<Vec<u8>>,
    }

    #[derive(Debug)]
    struct Newest(Arc<Switch>, Vec<EntryId>);

    #[derive(Debug)]
    struct Factory(Arc<Switch>);

    impl EvictionStrategyFactory for Factory {
        fn name(&self) -> &str {
            "switch"
        }

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

        fn snapshot(&mut self) -> Result<Vec<u8>> {
            Ok(b"what it knows".to_vec())
        }

        fn restore(&mut self, memory: &[u8]) -> Result<()> {
            *self.0.restored.lock() = memory.to_vec();
            Ok(())
        }
    }

    fn inserted(ids: std::ops::Range<u64>) -> Batch {
        let ids: Vec<u64> = ids.collect();
        Batch { hashes: ids.clone(), weights: vec![1; ids.len()], inserted: ids, ..Batch::default() }
    }

    /// Lets a strategy that is being made take its place.
    fn settle(chooser: &mut Chooser) {
        let started = Instant::now();
        victims(chooser, &Batch::default(), 0);
        while chooser.rebuild.is_some() {
            assert!(started.elapsed() < Duration::from_secs(10), "no strategy was made");
            std::thread::sleep(Duration::from_millis(1));
            victims(chooser, &Batch::default(), 0);
        }
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
        assert_eq!(victims(&mut chooser, &inserted(0..4), 1), [0], "CLOCK stands in");
        assert!(chooser.is_fallback());
        chooser.retry_at = Some(Instant::now());
        settle(&mut chooser);
        assert_eq!(victims(&mut chooser, &Batch::default(), 1), [1], "it fails still");
        switch.fails.store(false, Relaxed);
        assert!(chooser.retry_at.unwrap() > Instant::now(), "it is not tried at every step");
        assert_eq!(victims(&mut chooser, &Batch::default(), 1), [2]);
        chooser.retry_at = Some(Instant::now());
        settle(&mut chooser);
        assert_eq!(victims(&mut chooser, &Batch::default(), 1), [3], "the newest of the residents");
        assert!(!chooser.is_fallback());
    }

    #[test]
    fn a_strategy_that_was_replaced_hands_over_what_it_knows_and_gives_way() {
        let switch = Arc::new(Switch::default());
        let mut chooser = Chooser::open(Arc::new(Factory(Arc::clone(&switch))), 10).unwrap();
        victims(&mut chooser, &inserted(0..2), 0);
        assert_eq!(switch.opened.load(Relaxed), 1);
        switch.generation.fetch_add(1, Relaxed);
        settle(&mut chooser);
        assert_eq!(victims(&mut chooser, &Batch::default(), 1), [3]);
        assert_eq!(switch.opened.load(Relaxed), 2);
        assert_eq!(*switch.restored.lock(), b"what it knows");
    }

    #[test]
    fn the_old_strategy_goes_on_until_the_new_one_is_ready() {
        let switch = Arc::new(Switch::default());
        let mut chooser = Chooser::open(Arc::new(Factory(Arc::clone(&switch))), 10).unwrap();
        victims(&mut chooser, &inserted(7..9), 0);
        let opening = switch.restored.lock();
        switch.generation.fetch_add(1, Relaxed);
        assert_eq!(victims(&mut chooser, &Batch::default(), 1), [8]);
        assert_eq!(victims(&mut chooser, &Batch::default(), 1), [7]);
        drop(opening);
        settle(&mut chooser);
        assert_eq!(victims(&mut chooser, &Batch::default(), 1), [3]);
    }
}
