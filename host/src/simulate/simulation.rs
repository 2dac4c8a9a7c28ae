use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::watched::Watched;
use super::{Limit, Request, Strategy, Trace};
use crate::cache::{Cache, CacheOptions, EvictionPolicy, Steps};
use crate::error::Error;

/// A trace, and the caches that it is replayed on: each strategy at each capacity.
#[derive(Clone, Copy, Debug)]
pub struct Simulation<'a> {
    /// The requests.
    pub trace: &'a Trace,
    /// What the caches drop.
    pub strategies: &'a [Strategy],
    /// How much they hold.
    pub capacities: &'a [Limit],
}

/// How one cache did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// Requests that found their key.
    pub hits: u64,
    /// The bytes of these requests, or their number where the trace has no sizes.
    pub hit_bytes: u64,
    /// Entries dropped to make room.
    pub evictions: u64,
    /// How long all requests took. Other caches ran at the same time if there was more than one thread, and share
    /// caches and memory with this one.
    pub took: Duration,
}

/// A strategy that can not do its work.
#[derive(Debug, thiserror::Error)]
#[error("{strategy} at a capacity of {capacity}: {error}")]
pub struct SimulationError {
    strategy: String,
    capacity: Limit,
    #[source]
    error: Error,
}

/// After how many requests one more stretch of them is reported.
const STRETCH: u64 = 8192;

impl Simulation<'_> {
    /// How many caches there are.
    pub fn cells(&self) -> usize {
        self.strategies.len() * self.capacities.len()
    }

    /// Replays the requests on every cache: one of a single shard, each request told in its order, and what it does not
    /// find comes in. The caches are spread over so many threads. `on_requests` hears how many requests more were made.
    ///
    /// Returns how each cache did: all strategies at the first capacity, then at the second, and so on.
    ///
    /// # Errors
    /// [`SimulationError`]: a strategy could not be opened, failed, or broke its contract.
    pub fn run(&self, threads: usize, on_requests: &(dyn Fn(u64) + Sync)) -> Result<Vec<Cell>, SimulationError> {
        let next = AtomicUsize::new(0);
        let done = Mutex::new(vec![None; self.cells()]);
        let failed = Mutex::new(None);
        thread::scope(|scope| {
            for _ in 0..threads.clamp(1, self.cells().max(1)) {
                scope.spawn(|| {
                    loop {
                        let index = next.fetch_add(1, Relaxed);
                        if index >= self.cells() || failed.lock().is_some() {
                            return;
                        }
                        match self.cell(index, on_requests) {
                            Ok(cell) => done.lock()[index] = Some(cell),
                            Err(error) => *failed.lock() = Some(error),
                        }
                    }
                });
            }
        });
        match failed.into_inner() {
            Some(error) => Err(error),
            None => Ok(done.into_inner().into_iter().flatten().collect()),
        }
    }

    fn cell(&self, index: usize, on_requests: &(dyn Fn(u64) + Sync)) -> Result<Cell, SimulationError> {
        let strategy = &self.strategies[index % self.strategies.len()];
        let capacity = self.capacities[index / self.strategies.len()];
        let in_cell = |error| SimulationError { strategy: strategy.name.clone(), capacity, error };
        let failure = Arc::default();
        let cache = Cache::new(&self.options(strategy, capacity, &failure)).map_err(in_cell)?;
        let (mut hits, mut hit_bytes, mut unreported) = (0, 0, 0);
        let begun = Instant::now();
        for Request { key, size } in self.trace.requests() {
            if cache.peek(&key).is_some() {
                hits += 1;
                hit_bytes += size;
            } else {
                let weight = match capacity {
                    Limit::Entries(_) => 1,
                    Limit::Bytes(_) => size.max(1),
                };
                cache.insert(key, (), weight);
            }
            unreported += 1;
            if unreported == STRETCH {
                on_requests(unreported);
                unreported = 0;
                if failure.lock().is_some() {
                    break;
                }
            }
        }
        let took = begun.elapsed();
        on_requests(unreported);
        match failure.lock().take() {
            Some(error) => Err(in_cell(error)),
            None => Ok(Cell { hits, hit_bytes, evictions: cache.stats().evictions, took }),
        }
    }

    fn options(&self, strategy: &Strategy, capacity: Limit, failure: &Arc<Mutex<Option<Error>>>) -> CacheOptions {
        let estimated_entries = match capacity {
            Limit::Entries(entries) => entries,
            Limit::Bytes(bytes) => bytes / (self.trace.distinct_bytes() / self.trace.distinct()).max(1),
        };
        let eviction_policy = match strategy.policy.strategy() {
            Some(factory) => EvictionPolicy::Custom(Arc::new(Watched::new(factory, Arc::clone(failure)))),
            None => strategy.policy.clone(),
        };
        let steps = Steps::Exact;
        CacheOptions { estimated_entries, eviction_policy, steps, ..CacheOptions::new(capacity.weight()) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;
    use crate::cache::{Batch, EntryId, EvictionStrategy, EvictionStrategyFactory};
    use crate::simulate::trace::Recorder;

    fn trace(requests: &[(u64, Option<u64>)]) -> Trace {
        let mut recorder = Recorder::new(None, true);
        requests.iter().for_each(|&(key, size)| recorder.number(key, size).unwrap());
        recorder.finish().unwrap()
    }

    fn run(trace: &Trace, policy: EvictionPolicy, capacity: Limit) -> (u64, u64, u64) {
        let strategies = [Strategy::new("s", policy)];
        let simulation = Simulation { trace, strategies: &strategies, capacities: &[capacity] };
        let cell = simulation.run(1, &|_| {}).unwrap()[0];
        (cell.hits, cell.hit_bytes, cell.evictions)
    }

    /// Belady's own example of FIFO (*An Anomaly in Space-Time Characteristics*, 1969): nine faults of twelve with three
    /// frames, ten with four.
    #[test]
    fn fifo_does_worse_with_more_room_on_beladys_trace_and_lru_does_not() {
        let trace = trace(&[1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5].map(|key| (key, None)));
        assert_eq!(run(&trace, EvictionPolicy::Fifo, Limit::Entries(3)), (3, 3, 6));
        assert_eq!(run(&trace, EvictionPolicy::Fifo, Limit::Entries(4)), (2, 2, 6));
        assert_eq!(run(&trace, EvictionPolicy::Lru, Limit::Entries(3)), (2, 2, 7));
        assert_eq!(run(&trace, EvictionPolicy::Lru, Limit::Entries(4)), (4, 4, 4));
        assert_eq!(run(&trace, EvictionPolicy::Lru, Limit::Entries(5)), (7, 7, 0), "all but the first of each key");
    }

    #[test]
    fn bytes_count_where_the_capacity_is_in_bytes() {
        // 1 and 2 fill 100 bytes; 3 drops them both; 4 is too large and changes nothing; an empty object weighs 1.
        let trace = trace(&[
            (1, Some(40)),
            (2, Some(60)),
            (1, Some(40)),
            (3, Some(90)),
            (4, Some(101)),
            (3, Some(90)),
            (5, Some(0)),
            (5, Some(0)),
            (1, Some(40)),
        ]);
        assert_eq!(run(&trace, EvictionPolicy::Lru, Limit::Bytes(100)), (3, 130, 3));
        assert_eq!(run(&trace, EvictionPolicy::Lru, Limit::Entries(100)), (4, 170, 0));
    }

    #[test]
    fn cells_come_in_order_and_all_requests_are_reported_whatever_the_threads() {
        let trace = trace(&(0..50_000).map(|number| (number % 7_919 % 100, None)).collect::<Vec<_>>());
        let strategies = Strategy::natives();
        let capacities = [Limit::Entries(10), Limit::Entries(100)];
        let simulation = Simulation { trace: &trace, strategies: &strategies, capacities: &capacities };
        let requests = AtomicU64::new(0);
        let cells = simulation.run(3, &|count| {
            requests.fetch_add(count, Relaxed);
        });
        let cells = cells.unwrap();
        assert_eq!(cells.len(), simulation.cells());
        assert_eq!(requests.into_inner(), trace.len() * cells.len() as u64);
        let (small, large) = cells.split_at(strategies.len());
        assert!(large.iter().all(|cell| (cell.hits, cell.evictions) == (trace.len() - trace.distinct(), 0)));
        assert!(small.iter().all(|cell| cell.hits < trace.len() / 2 && cell.evictions > 0));
    }

    #[derive(Debug)]
    struct Fails;

    impl EvictionStrategyFactory for Fails {
        fn name(&self) -> &str {
            "fails"
        }

        fn open(&self, _: u64) -> Result<Box<dyn EvictionStrategy>, Error> {
            Ok(Box::new(Self))
        }
    }

    impl EvictionStrategy for Fails {
        fn step(&mut self, _: &Batch, wanted: u64, _: usize, _: &mut Vec<EntryId>) -> Result<(), Error> {
            if wanted > 0 { Err(Error::internal("it trapped")) } else { Ok(()) }
        }
    }

    #[test]
    fn a_strategy_that_fails_is_an_error_and_not_the_hits_of_another() {
        let trace = trace(&(0..30_000).map(|key| (key, None)).collect::<Vec<_>>());
        let strategies = [Strategy::new("mine", EvictionPolicy::Custom(Arc::new(Fails)))];
        let capacities = [Limit::Entries(10)];
        let simulation = Simulation { trace: &trace, strategies: &strategies, capacities: &capacities };
        let requests = AtomicU64::new(0);
        let failed = simulation.run(1, &|count| {
            requests.fetch_add(count, Relaxed);
        });
        assert_eq!(failed.unwrap_err().to_string(), "mine at a capacity of 10: it trapped");
        assert!(requests.into_inner() < trace.len(), "it ends where it fails");
    }
}
