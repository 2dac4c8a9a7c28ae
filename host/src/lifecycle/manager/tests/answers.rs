//! Whatever a policy answers, nothing goes that it did not say goes, and nothing that it retains.
//!
//! `PROPTEST_CASES` says how much is tried.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::object::millis_from_timestamp;
use crate::provider::memory::MemoryStorageProvider;

/// As they cross the boundary: milliseconds of whatever size.
fn millis() -> impl Strategy<Value = u64> {
    let days = |days: u64| days * DAY.as_millis() as u64;
    prop_oneof![
        3 => Just(0),
        2 => (0..20u64).prop_map(days),
        1 => (0..20u64).prop_map(move |number| millis_from_timestamp(day(number))),
        1 => Just(u64::MAX),
        1 => any::<u64>(),
    ]
}

prop_compose! {
    fn a_decision()(archive in prop::bool::weighted(0.1), delete in any::<bool>(), retain in millis()) -> Decision {
        Decision { archive, delete, retain: Duration::from_millis(retain), tags: Tags::new() }
    }
}

/// What a plugin says of one batch: for some of the objects, or for more than there are, or that it fails.
type Answer<T> = Option<(Vec<T>, bool)>;

fn answer<T: fmt::Debug + Clone>(of_one: impl Strategy<Value = T>) -> impl Strategy<Value = Answer<T>> {
    // Most often as many as it was asked about: what there is, over and over.
    option::weighted(0.9, (vec(of_one, 1..8), prop::bool::weighted(0.9)))
}

fn given<T: Clone>(answer: &Answer<T>, count: usize) -> Result<Vec<T>> {
    let Some((answers, fits)) = answer else { return Err(Error::internal("it trapped")) };
    Ok(if *fits { answers.iter().cycle().take(count).cloned().collect() } else { answers.clone() })
}

/// Says what it was told to say, and remembers it.
#[derive(Debug)]
struct Babbling {
    decisions: Answer<Decision>,
    changes: Answer<Option<u64>>,
    foresees: bool,
    said: Mutex<BTreeMap<Key, Decision>>,
}

impl LifecyclePolicy for Babbling {
    fn should_archive(&self, _: &Candidate, _: Timestamp) -> bool {
        false
    }

    fn should_delete(&self, _: &Candidate, _: Timestamp) -> bool {
        false
    }

    fn retention_period(&self, _: &Candidate) -> Duration {
        Duration::ZERO
    }

    fn decide(&self, candidates: &[Candidate], _: Timestamp) -> Result<Vec<Decision>> {
        let decisions = given(&self.decisions, candidates.len())?;
        if decisions.len() == candidates.len() {
            let keys = candidates.iter().map(|candidate| candidate.metadata.key.clone());
            self.said.lock().extend(keys.zip(decisions.iter().cloned()));
        }
        Ok(decisions)
    }

    fn foresees(&self) -> bool {
        self.foresees
    }

    fn next_changes(&self, candidates: &[Candidate], _: Timestamp) -> Result<Vec<Option<Timestamp>>> {
        let changes = given(&self.changes, candidates.len())?;
        Ok(changes.into_iter().map(|change| change.map(timestamp_from_millis)).collect())
    }
}

proptest! {
    #[test]
    fn what_goes_was_said_to_go_and_is_retained_by_nobody(
        policies in vec((answer(a_decision()), answer(option::of(millis())), any::<bool>()), 1..3),
        ages in vec(0..10u64, 1..6),
        runs in vec(10..30u64, 1..5),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let provider = Arc::new(MemoryStorageProvider::new());
            let options = AgeingOptions {
                store: StoreName::new("hot").unwrap(),
                archive: None,
                recall: true,
                lock: None,
                clock: Arc::new(|| day(0)),
            };
            let store = Arc::new(Ageing::new(provider, options));
            let mut there = BTreeMap::new();
            for (number, age) in ages.into_iter().enumerate() {
                let options = StoreOptions { stamp: Stamp::at(day(age)), ..StoreOptions::default() };
                let name = key(&format!("{number}"));
                there.insert(name.clone(), store.store(&name, Body::from("bytes"), options).await.unwrap());
            }
            let policies: Vec<_> = policies
                .into_iter()
                .map(|(decisions, changes, foresees)| {
                    Arc::new(Babbling { decisions, changes, foresees, said: Mutex::default() })
                })
                .collect();
            let mut manager = LifecycleManager::new(StoreName::new("hot").unwrap(), store.clone());
            for (number, policy) in policies.iter().enumerate() {
                manager = manager.with_policy(&number.to_string(), policy.clone());
            }
            for run in runs {
                let now = day(run);
                // What these come to is not held against anything: they must only come to an end.
                let _ = plan(&manager, now).await;
                for metadata in there.values() {
                    let _ = manager.explain(metadata.clone(), now).await;
                }
                policies.iter().for_each(|policy| policy.said.lock().clear());
                let _ = manager.apply_policies(now).await;
                for (name, metadata) in std::mem::take(&mut there) {
                    match store.metadata(&name).await {
                        Ok(found) => {
                            assert_eq!(found, metadata);
                            there.insert(name, metadata);
                        }
                        Err(error) => {
                            assert_eq!(error.kind(), "not-found", "{error}");
                            let said: Vec<_> =
                                policies.iter().filter_map(|policy| policy.said.lock().get(&name).cloned()).collect();
                            assert_eq!(said.len(), policies.len(), "one failed, and {name:?} went all the same");
                            assert!(said.iter().any(|said| said.delete), "nobody said that {name:?} goes");
                            assert!(said.iter().all(|said| metadata.after(said.retain) <= now), "{name:?} is retained");
                        }
                    }
                }
            }
        });
    }
}
