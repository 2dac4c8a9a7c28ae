use std::sync::Barrier;
use std::thread;

use anyhow::{Result, ensure};
use serde::Serialize;

use super::requests::Requests;
use super::sides::{Cache, Side, Sides};
use super::values::{Value, Values};
use crate::stopwatch::{Lap, Times};

/// The same requests for all sides.
pub(super) struct Course<'a> {
    pub(super) sides: &'a Sides,
    pub(super) workload: &'a Requests,
    pub(super) threads: usize,
    pub(super) rounds: u32,
    /// What the name of what is measured must contain.
    pub(super) only: &'a str,
}

/// What was measured with values of one type.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) workload: String,
    pub(super) value: &'static str,
    pub(super) threads: usize,
    pub(super) measured: Vec<Measured>,
}

/// What was measured of one side.
#[derive(Debug, Serialize)]
pub(super) struct Measured {
    pub(super) side: Side,
    /// Hits as a share of the requests of all rounds.
    pub(super) hit_ratio: f64,
    #[serde(flatten)]
    pub(super) times: Times,
}

impl Row {
    pub(super) fn of(&self, side: Side) -> Option<&Measured> {
        self.measured.iter().find(|measured| measured.side == side)
    }
}

impl Course<'_> {
    pub(super) fn name<V: Value>(&self) -> String {
        let (threads, plural) = (self.threads, if self.threads == 1 { "" } else { "s" });
        format!("{}, {}, {threads} thread{plural}", self.workload.name, V::NAME)
    }

    /// Has every side answer the requests of one round to warm up, and then those of every round. The sides take turns, so that what disturbs the
    /// machine for a while disturbs all of them.
    ///
    /// # Errors
    /// A side that can not be opened, or holds more than it may.
    pub(super) fn run<V: Value>(&self, values: &Values<V>) -> Result<Row> {
        let &Self { sides, workload, threads, rounds, .. } = self;
        let hands = workload.dealt(0, threads);
        let mut runners = Vec::new();
        for &side in &sides.chosen {
            let cache = sides.open::<V>(side, workload.capacity)?;
            lap(&*cache, &hands, values);
            runners.push(Runner { side, cache, laps: Vec::new(), hits: 0 });
        }
        for round in 1..=rounds {
            let hands = workload.dealt(round, threads);
            for runner in &mut runners {
                let (lap, hits) = lap(&*runner.cache, &hands, values);
                runner.laps.push(lap);
                runner.hits += hits;
            }
        }
        let measured = runners.iter().map(|runner| runner.measured(workload, rounds)).collect::<Result<_>>()?;
        Ok(Row { workload: workload.name.clone(), value: V::NAME, threads, measured })
    }
}

/// A side in the middle of a race.
struct Runner<V> {
    side: Side,
    cache: Box<dyn Cache<V>>,
    laps: Vec<Lap>,
    hits: u64,
}

impl<V: Value> Runner<V> {
    fn measured(&self, workload: &Requests, rounds: u32) -> Result<Measured> {
        let (entries, capacity) = (self.cache.entries()?, workload.capacity);
        // A side that splits its capacity may round the parts up.
        ensure!(
            entries as usize <= capacity + capacity / 50,
            "{} holds {entries} entries, and may hold {capacity}",
            self.side
        );
        let requests = workload.count as u64;
        Ok(Measured {
            side: self.side,
            hit_ratio: self.hits as f64 / (requests * u64::from(rounds)) as f64,
            times: Times::of(&self.laps, requests),
        })
    }
}

/// Has threads ask for what is in their hands, all at once, and returns what they took together, and the hits.
fn lap<V: Value>(cache: &dyn Cache<V>, hands: &[Vec<u64>], values: &Values<V>) -> (Lap, u64) {
    let all_are_there = Barrier::new(hands.len());
    let ask = |keys| {
        all_are_there.wait();
        Lap::of(|| cache.replay(keys, values))
    };
    let (laps, hits): (Vec<Lap>, Vec<u64>) = thread::scope(|scope| {
        let threads: Vec<_> = hands.iter().map(|keys| scope.spawn(|| ask(keys))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a cache panicked")).unzip()
    });
    (laps.into_iter().sum(), hits.into_iter().sum())
}
