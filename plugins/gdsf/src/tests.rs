use larder_sdk::testing::Cache;

use super::*;

fn cache(capacity: u64) -> Cache<Gdsf> {
    Cache::open("null", capacity).unwrap()
}

#[test]
fn of_two_that_are_read_as_often_the_heavier_goes() {
    let mut cache = cache(100);
    for (key, weight) in [(1, 30), (2, 50), (3, 20)] {
        cache.request(key, weight);
    }
    cache.request(4, 10);
    assert_eq!(cache.take_dropped(), [2]);
}

#[test]
fn reads_make_up_for_weight() {
    let mut cache = cache(100);
    cache.request(1, 60);
    cache.request(2, 30);
    cache.request(1, 60);
    cache.request(1, 60);
    cache.request(3, 20);
    assert_eq!(cache.take_dropped(), [2], "three reads in 60 are more than one in 30");
}

#[test]
fn what_was_popular_grows_old_as_others_go() {
    let mut cache = cache(10);
    (0..5).for_each(|_| _ = cache.request(0, 1));
    (1..10).for_each(|key| _ = cache.request(key, 1));
    let dropped = (10..100).find(|key| {
        cache.request(*key, 1);
        cache.take_dropped() == [0]
    });
    // Each ten that come make the cache older by one.
    assert_eq!(dropped, Some(50));
}

#[test]
fn of_those_that_are_worth_the_same_the_least_recent_goes() {
    let mut cache = cache(3);
    [1, 2, 3, 1, 2, 3, 2, 1, 3].into_iter().for_each(|key| _ = cache.request(key, 1));
    // They are worth 3. What comes in is worth 1, then 2, then 3 as well.
    let dropped = [4, 5, 6, 7].map(|key| {
        cache.request(key, 1);
        cache.take_dropped()
    });
    assert_eq!(dropped, [[4], [5], [2], [1]]);
}

#[test]
fn packets_favour_the_heavy() {
    let per_unit = |cost: Cost, weight| cost.per_unit(weight) * weight as f64;
    assert_eq!((per_unit(Cost::Hits, 100), per_unit(Cost::Hits, 100_000)), (1.0, 1.0));
    assert_eq!((per_unit(Cost::Packets, 536), per_unit(Cost::Packets, 5_360)), (3.0, 12.0));
}

#[test]
fn a_reload_changes_nothing() {
    let (mut reloaded, mut other) = (cache(5_000), cache(5_000));
    let mut random = random();
    for round in 0..40 {
        for (key, weight) in random.by_ref().take(200) {
            assert_eq!(reloaded.request(key, weight), other.request(key, weight));
        }
        reloaded.reload().unwrap();
        assert_eq!(reloaded.take_dropped(), other.take_dropped(), "round {round}");
    }
}

#[test]
fn what_others_remembered_is_ignored() {
    let mut strategy = Gdsf::open(Config::default(), 100).unwrap();
    let resident = Resident { hash: 7, frequency: 1, clock: 2.0 };
    for (clock, resident) in [
        (1.0, resident),
        (f64::NAN, resident),
        (f64::INFINITY, resident),
        (3.0, Resident { frequency: 0, ..resident }),
        (3.0, Resident { clock: -1.0, ..resident }),
        (3.0, Resident { clock: f64::NAN, ..resident }),
    ] {
        strategy.restore(&snapshot::write(clock, std::iter::once(resident)));
        assert!(strategy.restored.is_empty() && strategy.clock.is_finite(), "{clock} {resident:?}");
    }
    strategy.restore(b"gdsf 1\n1234");
    strategy.restore(&[&snapshot::write(3.0, std::iter::once(resident))[..], b"cut off"].concat());
    assert_eq!(strategy.restored_place(7), Some(0));
}

#[test]
fn unknown_configuration_is_refused() {
    for settings in ["{\"price\": \"hits\"}", "{\"cost\": \"bytes\"}"] {
        assert!(Cache::<Gdsf>::open(settings, 100).is_err(), "{settings}");
    }
    assert!(Cache::<Gdsf>::open("{\"cost\": \"packets\"}", 100).is_ok());
}

/// Keys of which some are asked for more often, each with a weight: xorshift64.
fn random() -> impl Iterator<Item = (u64, u64)> {
    let mut word = 0x2545_f491_4f6c_dd1d_u64;
    std::iter::repeat_with(move || {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        let key = word >> 40 & [15, 63, 255, 1_023][word as usize % 4];
        (key, 1 + key * key % 397)
    })
}

/// The algorithm as the report states it, over a plain list: what each entry is worth is computed when it is read.
#[derive(Default)]
struct Model {
    /// Key, weight, frequency, worth, and when it was read.
    entries: Vec<(u64, u64, u32, f64, usize)>,
    clock: f64,
}

impl Model {
    fn request(&mut self, key: u64, weight: u64, capacity: u64, now: usize) -> Vec<u64> {
        let clock = self.clock;
        let worth = |frequency: u32| clock + f64::from(frequency) * (1.0 / weight as f64);
        if let Some((_, _, frequency, worth_now, read)) = self.entries.iter_mut().find(|entry| entry.0 == key) {
            *frequency += 1;
            (*worth_now, *read) = (worth(*frequency), now);
            return Vec::new();
        }
        self.entries.push((key, weight, 1, worth(1), now));
        let mut dropped = Vec::new();
        while self.entries.iter().map(|entry| entry.1).sum::<u64>() > capacity {
            let least = |at: &usize| (self.entries[*at].3.to_bits(), self.entries[*at].4);
            let at = (0..self.entries.len()).min_by_key(least).unwrap();
            self.clock = self.entries[at].3;
            dropped.push(self.entries.remove(at).0);
        }
        dropped
    }
}

#[test]
fn it_chooses_as_the_plain_algorithm_does() {
    let (mut cache, mut model) = (cache(5_000), Model::default());
    for (now, (key, weight)) in random().take(20_000).enumerate() {
        cache.request(key, weight);
        assert_eq!(cache.take_dropped(), model.request(key, weight, 5_000, now), "request {now}");
    }
}
