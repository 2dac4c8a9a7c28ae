use larder_sdk::testing::Cache;

use super::*;

/// A window of 10, and 90 for the main part, 72 of them protected.
fn cache() -> Cache<TinyLfu> {
    Cache::open("{\"window\": 10}", 100).unwrap()
}

/// Requests keys of weight 1, and returns those that were dropped.
fn request(cache: &mut Cache<TinyLfu>, keys: impl IntoIterator<Item = u64>) -> Vec<u64> {
    keys.into_iter().for_each(|key| _ = cache.request(key, 1));
    cache.take_dropped()
}

fn weights(cache: &Cache<TinyLfu>) -> [u128; 3] {
    [WINDOW, PROBATION, PROTECTED].map(|queue| cache.strategy().queues.weight(queue))
}

#[test]
fn what_is_read_is_protected_up_to_its_part() {
    let mut cache = cache();
    request(&mut cache, 0..100);
    assert_eq!(weights(&cache), [10, 90, 0]);
    request(&mut cache, 0..50);
    assert_eq!(weights(&cache), [10, 40, 50]);
    request(&mut cache, 50..90);
    assert_eq!(weights(&cache), [10, 18, 72]);
    request(&mut cache, 90..100);
    assert_eq!(weights(&cache), [10, 18, 72], "what is read in the window stays there");
}

#[test]
fn newcomers_that_are_asked_for_once_drive_hardly_anybody_out() {
    let mut cache = cache();
    request(&mut cache, (0..100).chain(0..90));
    let dropped = request(&mut cache, 100..500);
    let driven_out = dropped.iter().filter(|key| **key < 90).count();
    assert!(driven_out <= 10, "the sketch may take one in forty for another key: {dropped:?}");
}

#[test]
fn a_newcomer_that_is_asked_for_more_often_drives_out_the_least_recent() {
    let mut cache = cache();
    request(&mut cache, (0..100).chain(0..90));
    assert_eq!(request(&mut cache, [500, 500, 500, 500]), [90]);
    assert_eq!(request(&mut cache, 600..609), (91..100).collect::<Vec<_>>());
    assert_eq!(request(&mut cache, [609]), [0], "500 leaves the window");
    assert!(cache.request(500, 1));
}

#[test]
fn a_heavy_newcomer_is_worth_all_that_it_drives_out() {
    let admits = |reads: usize| {
        let mut cache = cache();
        request(&mut cache, 0..90);
        (0..reads).for_each(|_| _ = cache.request(1_000, 5));
        // It is alone in the window, and leaves it when others come.
        request(&mut cache, 2_000..2_020);
        cache.request(1_000, 5)
    };
    assert!(!admits(2) && admits(12));
}

#[test]
fn what_fits_nowhere_is_not_taken_in() {
    let mut cache = cache();
    request(&mut cache, 0..90);
    cache.request(1_000, 95);
    assert_eq!(cache.take_dropped(), [1_000]);
}

#[test]
fn a_reload_changes_nothing() {
    let (mut reloaded, mut other) = (cache(), cache());
    let mut word = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..40 {
        for _ in 0..300 {
            word ^= word << 13;
            word ^= word >> 7;
            word ^= word << 17;
            let key = word >> 40 & [15, 63, 255, 65_535][word as usize % 4];
            assert_eq!(reloaded.request(key, 1), other.request(key, 1));
        }
        reloaded.reload().unwrap();
        assert_eq!(reloaded.take_dropped(), other.take_dropped(), "round {round}");
    }
}

#[test]
fn what_others_remembered_is_ignored() {
    let mut cache = cache();
    request(&mut cache, 0..120);
    let snapshot = cache.strategy().snapshot();
    let mut strategy = TinyLfu::open(Config::default(), 100).unwrap();
    for bytes in [&b""[..], b"tinylfu 2\n", FORM, &snapshot[1..], &snapshot[..FORM.len() + 30]] {
        strategy.restore(bytes);
        assert!(strategy.restored.is_empty());
    }
    strategy.restore(&snapshot[..snapshot.len() - 4]);
    assert_eq!(strategy.restored.len(), 99, "the last one was cut off");
}

#[test]
fn unknown_configuration_is_refused() {
    for settings in ["{\"main\": 3}", "{\"window\": 0}", "{\"window\": 100}", "{\"protected\": 101}"] {
        assert!(Cache::<TinyLfu>::open(settings, 100).is_err(), "{settings}");
    }
    assert!(Cache::<TinyLfu>::open("{\"window\": 20, \"protected\": 100}", 100).is_ok());
}
