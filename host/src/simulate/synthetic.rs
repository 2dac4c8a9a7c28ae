use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::Trace;
use super::trace::Recorder;
use crate::random::Random;

/// Requests that are made up: the same ones for the same description.
///
/// Making them takes 8 bytes a key, beside what the trace takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Synthetic {
    /// In which order keys are requested.
    pub pattern: Pattern,
    /// How many requests there are; at least 1.
    pub requests: u64,
    /// How many keys they are spread over; at least 1.
    pub keys: u32,
    /// How uneven the popularity of keys is: the key of rank r is requested r^-exponent as often as the first. 0 is
    /// uniform; requests of web caches have 0.6 to 1.
    pub exponent: f64,
    /// What random choices are made from.
    pub seed: u64,
    /// Between what the sizes of objects are, in bytes, small ones being as likely as large ones on a logarithmic scale;
    /// absent: the trace has no sizes.
    pub sizes: Option<RangeInclusive<u64>>,
}

/// In which order keys are requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// A few keys often and many rarely, by Zipf's law, which requests of web caches follow (Breslau et al., *Web Caching
    /// and Zipf-like Distributions*, 1999).
    Zipf,
    /// The same, and after as many requests as there are keys, a scan over as many other keys that come this once.
    Scan,
    /// All keys one after the other, again and again: the worst for LRU, unless all fit.
    Loop,
}

/// Why no requests can be made up.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SyntheticError(String);

impl Pattern {
    /// Every pattern.
    pub const ALL: [Self; 3] = [Self::Zipf, Self::Scan, Self::Loop];

    /// Its name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Zipf => "zipf",
            Self::Scan => "scan",
            Self::Loop => "loop",
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|pattern| pattern.as_str() == text);
        let names = || Self::ALL.map(Self::as_str).join(", ");
        found.ok_or_else(|| format!("there is no pattern {text:?}; there are {}", names()))
    }
}

impl Synthetic {
    /// A million requests over 100,000 keys, with an exponent of 1 and no sizes.
    pub fn new(pattern: Pattern) -> Self {
        Self { pattern, requests: 1_000_000, keys: 100_000, exponent: 1.0, seed: 1, sizes: None }
    }

    /// Makes the requests up.
    ///
    /// # Errors
    /// [`SyntheticError`] for what makes no requests, such as no keys.
    pub fn generate(&self) -> Result<Trace, SyntheticError> {
        let refuse = |what: &str| Err(SyntheticError(what.to_owned()));
        if self.keys == 0 || self.requests == 0 {
            return refuse("a synthetic trace has at least one request and one key");
        }
        if !(self.exponent.is_finite() && self.exponent >= 0.0) {
            return refuse("the exponent of Zipf's law is a number of at least 0, such as 0.9");
        }
        if self.sizes.as_ref().is_some_and(|sizes| sizes.is_empty() || *sizes.start() == 0) {
            return refuse("sizes go from at least 1 byte up, such as 1KiB..1MiB");
        }
        let mut recorder = Recorder::new(None, true);
        let keys = u64::from(self.keys);
        let mut zipf = Zipf::new(self.keys, self.exponent, self.seed);
        for number in 0..self.requests {
            let key = match self.pattern {
                Pattern::Zipf => zipf.draw(),
                Pattern::Loop => number % keys,
                // What is scanned comes behind the popular keys: as many each time.
                Pattern::Scan => match (number / keys) % 2 {
                    0 => zipf.draw(),
                    _ => keys * (1 + number / keys / 2) + number % keys,
                },
            };
            let noted = recorder.number(key, self.size(key));
            noted.map_err(|_| SyntheticError("a trace has at most 4,294,967,295 distinct keys".into()))?;
        }
        recorder.finish().map_err(|_| SyntheticError("a synthetic trace has at least one request".into()))
    }

    /// The size of a key's object, the same each time.
    fn size(&self, key: u64) -> Option<u64> {
        let sizes = self.sizes.as_ref()?;
        let (least, most) = (*sizes.start() as f64, *sizes.end() as f64);
        let size = least * (most / least).powf(Random::new(self.seed ^ key.rotate_left(32)).fraction());
        Some((size as u64).clamp(*sizes.start(), *sizes.end()))
    }
}

/// Ranks, by Zipf's law.
pub(crate) struct Zipf {
    /// For each rank, how often it or one before it is drawn, in units that sum up to the last.
    cumulated: Vec<f64>,
    random: Random,
}

impl Zipf {
    /// Ranks from 0 to below `ranks`, which is at least 1.
    pub(crate) fn new(ranks: u32, exponent: f64, seed: u64) -> Self {
        let mut sum = 0.0;
        let cumulated = (1..=ranks).map(|rank| {
            sum += f64::from(rank).powf(-exponent);
            sum
        });
        Self { cumulated: cumulated.collect(), random: Random::new(seed) }
    }

    /// The next rank.
    pub(crate) fn draw(&mut self) -> u64 {
        let sum = self.cumulated.last().copied().unwrap_or_default();
        let point = self.random.fraction() * sum;
        self.cumulated.partition_point(|&end| end <= point).min(self.cumulated.len() - 1) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(trace: &Trace) -> Vec<u32> {
        trace.requests().map(|request| request.key).collect()
    }

    #[test]
    fn the_first_rank_is_drawn_twice_as_often_as_the_second() {
        let mut zipf = Zipf::new(1000, 1.0, 7);
        let mut count = [0.0_f64; 1000];
        (0..100_000).for_each(|_| count[zipf.draw() as usize] += 1.0);
        assert!((count[0] / count[1] - 2.0).abs() < 0.1, "{} {}", count[0], count[1]);
        let mut uniform = Zipf::new(10, 0.0, 7);
        let mut count = [0; 10];
        (0..100_000).for_each(|_| count[uniform.draw() as usize] += 1);
        assert!(count.iter().all(|count| (9_000..11_000).contains(count)), "{count:?}");
    }

    #[test]
    fn the_same_description_makes_the_same_requests() {
        for pattern in Pattern::ALL {
            let synthetic =
                Synthetic { requests: 5_000, keys: 100, sizes: Some(10..=1_000), ..Synthetic::new(pattern) };
            let trace = synthetic.generate().unwrap();
            assert_eq!(trace, synthetic.generate().unwrap(), "{pattern}");
            assert_eq!(trace.len(), 5_000);
            assert!(trace.requests().all(|request| (10..=1_000).contains(&request.size)), "{pattern}");
            let other = Synthetic { seed: 2, ..synthetic }.generate().unwrap();
            assert_ne!(trace, other, "{pattern}");
        }
    }

    #[test]
    fn a_loop_goes_round_and_a_scan_comes_once() {
        let round = Synthetic { requests: 7, keys: 3, ..Synthetic::new(Pattern::Loop) }.generate().unwrap();
        assert_eq!(keys(&round), [0, 1, 2, 0, 1, 2, 0]);
        let scan = Synthetic { requests: 60, keys: 10, ..Synthetic::new(Pattern::Scan) }.generate().unwrap();
        let scanned: Vec<u32> = keys(&scan).chunks(10).skip(1).step_by(2).flatten().copied().collect();
        assert_eq!(scanned.len(), 30);
        assert!(scanned.iter().all(|key| keys(&scan).iter().filter(|other| *other == key).count() == 1), "{scanned:?}");
    }

    #[test]
    fn what_makes_no_requests_is_refused() {
        let good = Synthetic::new(Pattern::Zipf);
        for (wrong, says) in [
            (Synthetic { keys: 0, ..good.clone() }, "one key"),
            (Synthetic { requests: 0, ..good.clone() }, "one request"),
            (Synthetic { exponent: -1.0, ..good.clone() }, "exponent"),
            (Synthetic { exponent: f64::NAN, ..good.clone() }, "exponent"),
            (Synthetic { sizes: Some(0..=5), ..good.clone() }, "1KiB..1MiB"),
        ] {
            assert!(wrong.generate().unwrap_err().to_string().contains(says), "{wrong:?}");
        }
    }
}
