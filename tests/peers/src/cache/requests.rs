use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use lzma_rust2::XzReader;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand_distr::{Distribution, Zipf};

use crate::report::grouped;

/// Keys that are asked for, one after another, of a cache of some capacity.
#[derive(Debug)]
pub(super) struct Requests {
    pub(super) name: String,
    /// In entries.
    pub(super) capacity: usize,
    /// How many there are in a round.
    pub(super) count: usize,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// Other requests in every round: a sequence that comes again tells a cache which keys it will be asked for.
    Zipf {
        ranks: Zipf<f64>,
        seed: u64,
    },
    Trace(Arc<[u64]>),
}

/// How many keys there are for each entry that fits.
const KEYS_PER_ENTRY: usize = 10;

impl Requests {
    /// At least so many requests a round for keys of which the n-th is asked for 1/n times as often as the first; and two
    /// for each key, so that the first round fills the cache.
    ///
    /// # Errors
    /// None: the distribution is one.
    pub(super) fn zipf(capacity: usize, count: usize) -> Result<Self> {
        let keys = capacity * KEYS_PER_ENTRY;
        let source = Source::Zipf { ranks: Zipf::new(keys as f64, 1.0)?, seed: capacity as u64 };
        Ok(Self { name: format!("Zipf {}", grouped(capacity as u64)), capacity, count: count.max(2 * keys), source })
    }

    /// The requests of a trace, over and over until there are at least so many, for caches of these capacities.
    ///
    /// # Errors
    /// The file can not be read.
    pub(super) fn trace(name: &str, file: &Path, capacities: &[usize], count: usize) -> Result<Vec<Self>> {
        let mut bytes = Vec::new();
        let read = File::open(file).and_then(|file| XzReader::new(file, true).read_to_end(&mut bytes));
        read.with_context(|| format!("{} can not be read", file.display()))?;
        let (keys, rest) = bytes.as_chunks();
        ensure!(rest.is_empty() && !keys.is_empty(), "{} holds no keys of 32 bits", file.display());
        let keys: Vec<u64> = keys.iter().map(|&key| scatter(u32::from_be_bytes(key).into())).collect();
        eprintln!("{name}: {} requests, {} keys", keys.len(), keys.iter().collect::<HashSet<_>>().len());
        let keys: Arc<[u64]> = keys.repeat(count.div_ceil(keys.len())).into();
        let of = |&capacity: &usize| Self {
            name: format!("{name} {}", grouped(capacity as u64)),
            capacity,
            count: keys.len(),
            source: Source::Trace(Arc::clone(&keys)),
        };
        Ok(capacities.iter().map(of).collect())
    }

    /// Those of a round, dealt to so many threads as one would deal cards: together they ask in about the order of one.
    pub(super) fn dealt(&self, round: u32, threads: usize) -> Vec<Vec<u64>> {
        let keys: Arc<[u64]> = match &self.source {
            Source::Zipf { ranks, seed } => {
                let random = SmallRng::seed_from_u64(seed << 32 | u64::from(round));
                ranks.sample_iter(random).take(self.count).map(|rank: f64| scatter(rank as u64)).collect()
            }
            Source::Trace(keys) => Arc::clone(keys),
        };
        (0..threads).map(|first| keys.iter().skip(first).step_by(threads).copied().collect()).collect()
    }
}

/// A key for a number, so that none profits from keys that lie close together (the finalizer of `SplitMix64`).
fn scatter(number: u64) -> u64 {
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}
