use larder_sdk::eviction::{Batch, Shard};
use larder_sdk::testing::{self, Cache};

use super::*;

fn shard() -> Shard<Sieve> {
    testing::open_strategy("null", 100).unwrap()
}

fn insert(shard: &mut Shard<Sieve>, ids: &[u64]) {
    let (hashes, weights) = (vec![0; ids.len()], vec![1; ids.len()]);
    shard.step(Batch { inserted: ids, hashes: &hashes, weights: &weights, ..Batch::default() }, 0, 0);
}

fn read(shard: &mut Shard<Sieve>, ids: &[u64]) {
    shard.step(Batch { accessed: ids, ..Batch::default() }, 0, 0);
}

fn evict(shard: &mut Shard<Sieve>, count: u64) -> Vec<u64> {
    shard.step(Batch::default(), count, 64)
}

#[test]
fn the_hand_passes_over_what_was_read_since_it_last_came_by() {
    let mut shard = shard();
    let [a, b, c, d, e, f, g, h, i, j] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
    insert(&mut shard, &[a, b, c, d, e, f, g]);
    read(&mut shard, &[a, b, g]);
    assert_eq!(evict(&mut shard, 1), [c], "the hand passes over A and B");
    insert(&mut shard, &[h]);
    read(&mut shard, &[a, d]);
    assert_eq!(evict(&mut shard, 1), [e], "and goes on from where it was, over D");
    insert(&mut shard, &[i]);
    read(&mut shard, &[b]);
    assert_eq!(evict(&mut shard, 1), [f]);
    insert(&mut shard, &[j]);
    assert_eq!(evict(&mut shard, 64), [h, i, j, d, g, a, b], "G, A and B were read");
}

#[test]
fn without_reads_it_is_first_in_first_out() {
    let mut shard = shard();
    insert(&mut shard, &[3, 1, 2, 0]);
    assert_eq!(evict(&mut shard, 2), [3, 1]);
    insert(&mut shard, &[3 | 1 << 32]);
    assert_eq!(evict(&mut shard, 64), [2, 0, 3 | 1 << 32]);
    assert_eq!(evict(&mut shard, 1), [0u64; 0]);
}

#[test]
fn a_hand_whose_entry_goes_moves_to_the_next_newer_one() {
    let mut shard = shard();
    insert(&mut shard, &[0, 1, 2, 3]);
    read(&mut shard, &[0]);
    assert_eq!(evict(&mut shard, 1), [1], "the hand stands at 2");
    shard.step(Batch { removed: &[2], ..Batch::default() }, 0, 0);
    assert_eq!(evict(&mut shard, 1), [3]);
    assert_eq!(evict(&mut shard, 1), [0]);
}

#[test]
fn a_reload_changes_nothing() {
    let [mut reloaded, mut other] = [0; 2].map(|_| Cache::<Sieve>::open("null", 50).unwrap());
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..40 {
        for _ in 0..200 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let key = random >> 40 & [15, 63, 255, 65_535][random as usize % 4];
            assert_eq!(reloaded.request(key, 1), other.request(key, 1));
        }
        reloaded.reload().unwrap();
        assert_eq!(reloaded.take_dropped(), other.take_dropped(), "round {round}");
    }
}

#[test]
fn what_others_remembered_is_ignored() {
    let mut strategy = Sieve::open(Config {}, 100).unwrap();
    for bytes in [&b""[..], b"sieve 2\n\x0112345678", b"sieve 1\n\x011234567"] {
        strategy.restore(bytes);
        assert!(strategy.restored.is_empty());
    }
    strategy.restore(b"sieve 1\n\x0112345678\x01");
    assert_eq!(strategy.restored.len(), 1);
}

#[test]
fn unknown_configuration_is_refused() {
    assert!(testing::open_strategy::<Sieve>("{\"size\": 3}", 100).is_err());
    assert!(testing::open_strategy::<Sieve>("{}", 100).is_ok());
}

/// The algorithm as the paper states it, over a plain list.
#[derive(Default)]
struct Model {
    /// From the oldest to the newest, with the visited bit.
    queue: Vec<(u64, bool)>,
    hand: usize,
}

impl Model {
    fn victim(&mut self) -> Option<u64> {
        while !self.queue.is_empty() {
            if self.hand >= self.queue.len() {
                self.hand = 0;
            }
            let (id, visited) = &mut self.queue[self.hand];
            if !*visited {
                let id = *id;
                self.queue.remove(self.hand);
                return Some(id);
            }
            *visited = false;
            self.hand += 1;
        }
        None
    }

    fn remove(&mut self, id: u64) {
        let Some(position) = self.queue.iter().position(|(found, _)| *found == id) else { return };
        self.queue.remove(position);
        if position < self.hand {
            self.hand -= 1;
        }
    }
}

#[test]
fn it_chooses_as_the_plain_algorithm_does() {
    let (mut shard, mut model) = (shard(), Model::default());
    let mut generations = [0u64; 40];
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut evicted = 0;
    for _ in 0..50_000 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let slot = random >> 40 & 31;
        let id = generations[slot as usize] << 32 | slot;
        let resident = model.queue.iter().any(|(found, _)| *found == id);
        match random % 10 {
            0..4 if resident => {
                read(&mut shard, &[id]);
                model.queue.iter_mut().filter(|(found, _)| *found == id).for_each(|(_, visited)| *visited = true);
            }
            4 if resident => {
                shard.step(Batch { removed: &[id], ..Batch::default() }, 0, 0);
                model.remove(id);
            }
            5..9 if !resident => {
                generations[slot as usize] += 1;
                let id = id + (1 << 32);
                insert(&mut shard, &[id]);
                // A hand behind the newest entry is one that starts over from the oldest.
                if model.hand >= model.queue.len() {
                    model.hand = 0;
                }
                model.queue.push((id, false));
            }
            9 => {
                assert_eq!(evict(&mut shard, 1).first().copied(), model.victim());
                evicted += 1;
            }
            _ => {}
        }
    }
    assert!(evicted > 1_000);
}
