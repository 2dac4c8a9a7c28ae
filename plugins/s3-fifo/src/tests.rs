use std::collections::VecDeque;

use larder_sdk::testing::Cache;

use super::*;

fn cache(capacity: u64) -> Cache<S3Fifo> {
    Cache::open("null", capacity).unwrap()
}

/// Requests keys of weight 1, and returns those that were dropped.
fn request(cache: &mut Cache<S3Fifo>, keys: impl IntoIterator<Item = u64>) -> Vec<u64> {
    keys.into_iter().for_each(|key| _ = cache.request(key, 1));
    cache.take_dropped()
}

#[test]
fn what_is_read_twice_while_it_is_young_stays_and_the_rest_goes_in_its_order() {
    let mut cache = cache(10);
    request(&mut cache, 0..10);
    request(&mut cache, [0, 0, 1, 2, 2]);
    assert_eq!(request(&mut cache, 10..18), [1, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(request(&mut cache, 18..26), [10, 11, 12, 13, 14, 15, 16, 17]);
    assert!(cache.request(0, 1) && cache.request(2, 1));
}

#[test]
fn what_comes_back_while_it_is_remembered_stays() {
    let mut cache = cache(10);
    assert_eq!(request(&mut cache, 0..13), [0, 1, 2]);
    assert_eq!(request(&mut cache, [1]), [3]);
    assert_eq!(request(&mut cache, 13..30), (4..13).chain(13..21).collect::<Vec<_>>(), "1 is in the main queue");
}

#[test]
fn a_read_saves_an_entry_of_the_main_queue_for_a_round() {
    let mut cache = cache(4);
    request(&mut cache, 0..4);
    request(&mut cache, [0, 0, 1, 1, 2, 2, 3, 3]);
    // All four go on to the main queue, and the newcomer goes.
    assert_eq!(request(&mut cache, [4]), [4]);
    request(&mut cache, [0, 2, 2]);
    assert_eq!(request(&mut cache, [4]), [1], "it is remembered, and comes in for good");
    assert_eq!(request(&mut cache, [5, 5]), [5, 3], "2 was read and stays for now");
    assert_eq!(request(&mut cache, [5, 5, 6]), [6]);
}

#[test]
fn ghosts_are_as_many_as_the_main_queue_has_room_for() {
    let mut cache = cache(100);
    request(&mut cache, 0..10_000);
    let ghosts = cache.strategy().ghosts.iter().count();
    assert_eq!(ghosts, 90);
    let mut half = Cache::<S3Fifo>::open("{\"small\": 50}", 100).unwrap();
    request(&mut half, 0..10_000);
    assert_eq!(half.strategy().ghosts.iter().count(), 50);
}

#[test]
fn heavy_entries_prove_themselves_as_light_ones_do() {
    let mut cache = cache(100);
    cache.request(1_000, 60);
    request(&mut cache, 0..40);
    cache.request(1_000, 60);
    cache.request(1_000, 60);
    assert_eq!(request(&mut cache, 40..80), (0..40).collect::<Vec<_>>());
    cache.request(2_000, 70);
    assert_eq!(cache.take_dropped(), (40..80).chain([2_000]).collect::<Vec<_>>());
    assert!(cache.request(1_000, 60));
}

#[test]
fn a_reload_changes_nothing() {
    let (mut reloaded, mut other) = (cache(50), cache(50));
    for round in 0..40 {
        for key in random(round).take(200) {
            assert_eq!(reloaded.request(key, 1), other.request(key, 1));
        }
        reloaded.reload().unwrap();
        assert_eq!(reloaded.take_dropped(), other.take_dropped(), "round {round}");
    }
}

#[test]
fn what_others_remembered_is_ignored() {
    let mut strategy = S3Fifo::open(Config::default(), 100).unwrap();
    for bytes in [&b""[..], b"s3-fifo 2\n123456789", b"s3-fifo 1\n", b"s3-fifo 1\n\x0912345678\x0012345"] {
        strategy.restore(bytes);
        assert_eq!((strategy.restored.len(), strategy.ghosts.iter().count()), (0, 0), "{bytes:?}");
    }
    strategy.restore(b"s3-fifo 1\n\x0012345678\x0887654321\x07ab");
    assert_eq!((strategy.restored.len(), strategy.ghosts.iter().count()), (1, 1));
}

#[test]
fn unknown_configuration_is_refused() {
    for settings in ["{\"large\": 3}", "{\"small\": 0}", "{\"small\": 100}", "{\"small\": -1}"] {
        assert!(Cache::<S3Fifo>::open(settings, 100).is_err(), "{settings}");
    }
    assert!(Cache::<S3Fifo>::open("{}", 100).is_ok());
}

/// Keys of which some are asked for often, and some once: xorshift64.
fn random(seed: u64) -> impl Iterator<Item = u64> {
    let mut word = 0x2545_f491_4f6c_dd1d ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    std::iter::repeat_with(move || {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        match word % 4 {
            0 => word >> 40 & 15,
            1 => word >> 40 & 63,
            2 => word >> 40 & 255,
            _ => word >> 32,
        }
    })
}

/// The algorithm as the paper states it, over plain lists of keys with their reads, for entries that weigh the same.
struct Model {
    small: VecDeque<(u64, u8)>,
    main: VecDeque<(u64, u8)>,
    ghosts: VecDeque<u64>,
    capacity: usize,
}

impl Model {
    fn request(&mut self, key: u64) -> Option<u64> {
        if let Some((_, reads)) = self.small.iter_mut().chain(&mut self.main).find(|(found, _)| *found == key) {
            *reads = (*reads + 1).min(3);
            return None;
        }
        match self.ghosts.iter().position(|ghost| *ghost == key) {
            Some(place) => {
                self.ghosts.remove(place);
                self.main.push_back((key, 0));
            }
            None => self.small.push_back((key, 0)),
        }
        (self.small.len() + self.main.len() > self.capacity).then(|| self.evict())
    }

    fn evict(&mut self) -> u64 {
        if self.main.len() <= self.capacity - self.capacity / 10 {
            while let Some((key, reads)) = self.small.pop_front() {
                if reads < 2 {
                    self.ghosts.push_back(key);
                    if self.ghosts.len() > self.capacity * 9 / 10 {
                        self.ghosts.pop_front();
                    }
                    return key;
                }
                self.main.push_back((key, 0));
            }
        }
        loop {
            match self.main.pop_front().unwrap() {
                (key, 0) => return key,
                (key, reads) => self.main.push_back((key, reads - 1)),
            }
        }
    }
}

#[test]
fn it_chooses_as_the_plain_algorithm_does() {
    const CAPACITY: usize = 40;
    let mut cache = cache(CAPACITY as u64);
    let (small, main, ghosts) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
    let mut model = Model { small, main, ghosts, capacity: CAPACITY };
    for (number, key) in random(0).take(50_000).enumerate() {
        cache.request(key, 1);
        assert_eq!(cache.take_dropped(), model.request(key).into_iter().collect::<Vec<_>>(), "request {number}");
    }
}
