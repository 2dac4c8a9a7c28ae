use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::StorageMetrics;
use crate::object::Timestamp;

/// What a store held at a moment, and what it did since the sample before; of the first, since the host started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// The moment.
    pub at: Timestamp,
    /// Objects that there were when they were last counted; `None` before that.
    pub objects: Option<u64>,
    /// Bytes that they had together.
    pub bytes: Option<u64>,
    /// Objects, or ranges of objects, handed out.
    pub reads: u64,
    /// Objects stored.
    pub writes: u64,
    /// Lookups that the cache answered.
    pub cache_hits: u64,
    /// Lookups that the cache did not answer.
    pub cache_misses: u64,
}

impl Sample {
    /// How many samples are kept of a store: a day's, at one a minute, which take 160 KiB at most.
    pub const KEPT: usize = 24 * 60;
}

/// The last samples of a store.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The oldest is first, and each is later than the one before.
    samples: VecDeque<Sample>,
    /// The figures when the last one was taken.
    last: StorageMetrics,
}

impl History {
    /// Takes a sample of these figures. Samples that are later, because somebody has set the clock back, are forgotten.
    pub(super) fn take(&mut self, at: Timestamp, figures: StorageMetrics) {
        while self.samples.back().is_some_and(|sample| sample.at >= at) {
            self.samples.pop_back();
        }
        if self.samples.len() == Sample::KEPT {
            self.samples.pop_front();
        }
        // A cache that was replaced begins to count anew.
        let since = |figure: fn(&StorageMetrics) -> u64| figure(&figures).saturating_sub(figure(&self.last));
        self.samples.push_back(Sample {
            at,
            objects: figures.objects,
            bytes: figures.storage_used,
            reads: since(|figures| figures.reads),
            writes: since(|figures| figures.writes),
            cache_hits: since(|figures| figures.cache_hits),
            cache_misses: since(|figures| figures.cache_misses),
        });
        self.last = figures;
    }

    /// What is kept, oldest first.
    pub(super) fn samples(&self) -> Vec<Sample> {
        self.samples.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::timestamp_from_millis;

    fn minute(minute: usize) -> Timestamp {
        timestamp_from_millis(minute as u64 * 60_000)
    }

    fn figures(reads: u64, cache_hits: u64) -> StorageMetrics {
        StorageMetrics { reads, cache_hits, storage_used: Some(reads * 10), ..StorageMetrics::default() }
    }

    #[test]
    fn a_sample_has_what_was_done_since_the_one_before() {
        let mut history = History::default();
        for (at, (reads, hits)) in [(5, 1), (5, 1), (12, 4)].into_iter().enumerate() {
            history.take(minute(at), figures(reads, hits));
        }
        let done: Vec<_> = history.samples().iter().map(|sample| (sample.reads, sample.cache_hits)).collect();
        assert_eq!(done, [(5, 1), (0, 0), (7, 3)]);
        assert_eq!(history.samples()[2].bytes, Some(120));
    }

    #[test]
    fn counters_that_begin_anew_are_no_negative_work() {
        let mut history = History::default();
        history.take(minute(0), figures(5, 5));
        history.take(minute(1), figures(6, 2));
        assert_eq!((history.samples()[1].reads, history.samples()[1].cache_hits), (1, 0));
    }

    #[test]
    fn a_day_is_kept() {
        let mut history = History::default();
        for at in 0..Sample::KEPT + 10 {
            history.take(minute(at), figures(at as u64, 0));
        }
        let samples = history.samples();
        assert_eq!((samples.len(), samples[0].at), (Sample::KEPT, minute(10)));
    }

    #[test]
    fn samples_are_in_order_when_the_clock_is_set_back() {
        let mut history = History::default();
        for at in [1, 2, 3, 2] {
            history.take(minute(at), figures(0, 0));
        }
        let times: Vec<_> = history.samples().iter().map(|sample| sample.at).collect();
        assert_eq!(times, [minute(1), minute(2)]);
    }
}
