use std::iter::Sum;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::ValueEnum;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

/// Does an operation so many times, one after another.
pub(crate) type Work = Box<dyn FnMut(u64) -> Result<()>>;

/// Who does an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Side {
    /// Rust, without a boundary.
    Native,
    /// The same component as larder's, called through wasmtime directly.
    Wasmtime,
    /// larder's public API.
    Larder,
    /// extism's public API, with what larder does around a call done by hand.
    Extism,
}

impl Side {
    pub(crate) const ALL: [Self; 4] = [Self::Native, Self::Wasmtime, Self::Larder, Self::Extism];
}

/// The same operation, done by several sides.
pub(crate) struct Operation {
    pub(crate) name: String,
    pub(crate) works: Vec<(Side, Work)>,
}

/// How long to measure.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    pub(crate) rounds: u32,
    pub(crate) round: Duration,
}

/// What was measured of one operation.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) operation: String,
    pub(crate) measured: Vec<Measured>,
}

/// What was measured of one side.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) side: Side,
    /// How many operations a round had.
    pub(crate) iterations: u64,
    #[serde(flatten)]
    pub(crate) times: Times,
}

/// How long an operation took in several rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Times {
    /// Nanoseconds of CPU time an operation: the median of the rounds.
    pub(crate) median_ns: f64,
    /// Half the distance between the quartiles of the rounds, as a share of the median.
    pub(crate) spread: f64,
    /// CPU time as a share of wall time: below 1, the thread waited for a processor.
    pub(crate) on_cpu: f64,
    /// Nanoseconds an operation, round by round.
    pub(crate) rounds_ns: Vec<f64>,
}

impl Row {
    pub(crate) fn of(&self, side: Side) -> Option<&Measured> {
        self.measured.iter().find(|measured| measured.side == side)
    }
}

impl Stopwatch {
    /// Measures an operation. The sides take turns, so that what disturbs the machine for a while disturbs all of them.
    ///
    /// # Errors
    /// That of an operation that fails.
    pub(crate) fn measure(&self, operation: Operation) -> Result<Row> {
        let Operation { name, mut works } = operation;
        let mut iterations = Vec::new();
        for (_, work) in &mut works {
            iterations.push(self.warm_up(work)?);
        }
        let mut laps: Vec<Vec<Lap>> = works.iter().map(|_| Vec::new()).collect();
        for _ in 0..self.rounds {
            for (((_, work), &iterations), laps) in works.iter_mut().zip(&iterations).zip(&mut laps) {
                let (lap, done) = Lap::of(|| work(iterations));
                done?;
                laps.push(lap);
            }
        }
        let measured = works
            .iter()
            .zip(iterations)
            .zip(&laps)
            .map(|(((side, _), iterations), laps)| Measured {
                side: *side,
                iterations,
                times: Times::of(laps, iterations),
            })
            .collect();
        Ok(Row { operation: name, measured })
    }

    /// Finds out how many operations make a round.
    fn warm_up(&self, work: &mut Work) -> Result<u64> {
        let mut iterations = 1;
        loop {
            let (lap, done) = Lap::of(|| work(iterations));
            done?;
            if lap.cpu * 4 >= self.round {
                let rounds = self.round.as_secs_f64() / lap.cpu.as_secs_f64();
                return Ok(((iterations as f64 * rounds * 1.05) as u64).max(1));
            }
            iterations *= 2;
        }
    }
}

/// A number of operations, timed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lap {
    cpu: Duration,
    wall: Duration,
}

impl Lap {
    /// Times what this thread does.
    pub(crate) fn of<T>(work: impl FnOnce() -> T) -> (Self, T) {
        let (cpu, wall) = (cpu_time(), Instant::now());
        let done = work();
        (Self { cpu: cpu_time() - cpu, wall: wall.elapsed() }, done)
    }
}

impl Sum for Lap {
    /// What several threads took together.
    fn sum<I: Iterator<Item = Self>>(laps: I) -> Self {
        laps.fold(Self::default(), |all, lap| Self { cpu: all.cpu + lap.cpu, wall: all.wall + lap.wall })
    }
}

/// The CPU time of this thread.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // A CPU time is never negative, and its nanoseconds are below 10⁹.
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

impl Times {
    /// Of rounds of so many operations each, at least one.
    pub(crate) fn of(rounds: &[Lap], operations: u64) -> Self {
        let rounds_ns: Vec<f64> = rounds.iter().map(|lap| lap.cpu.as_nanos() as f64 / operations as f64).collect();
        let mut sorted = rounds_ns.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share).round() as usize];
        let median_ns = at(0.5);
        let Lap { cpu, wall } = rounds.iter().copied().sum();
        Self {
            median_ns,
            spread: (at(0.75) - at(0.25)) / 2.0 / median_ns,
            on_cpu: cpu.as_secs_f64() / wall.as_secs_f64(),
            rounds_ns,
        }
    }
}
