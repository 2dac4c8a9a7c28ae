//! Whatever a strategy answers, the cache keeps what it promises.
//!
//! `PROPTEST_CASES` says how much is tried.

use proptest::collection::vec;

use super::*;

/// One of the ids that a strategy names, or that it fails.
#[derive(Clone, Debug)]
enum Named {
    /// One that is there, by its place among those.
    Resident(usize),
    /// One whose slot is there, of another generation.
    Other(usize, u32),
    Any(u64),
}

fn answers() -> impl Strategy<Value = Vec<Option<Vec<Named>>>> {
    let named = prop_oneof![
        4 => any::<usize>().prop_map(Named::Resident),
        1 => (any::<usize>(), any::<u32>()).prop_map(|(place, by)| Named::Other(place, by)),
        1 => any::<u64>().prop_map(Named::Any),
        1 => Just(Named::Any(u64::MAX)),
    ];
    vec(proptest::option::weighted(0.97, vec(named, 0..20)), 1..40)
}

proptest! {
    #[test]
    fn a_cache_holds_to_its_model_whatever_a_strategy_answers(actions in actions(), answers in answers()) {
        const LIMIT: u64 = 20_000;
        let turn = Mutex::new(0);
        let cache = asking(LIMIT, move |all, _| {
            let mut turn = turn.lock();
            *turn += 1;
            let Some(answer) = &answers[*turn % answers.len()] else { return Err(Error::internal("trapped")) };
            let at = |place: usize| (!all.is_empty()).then(|| all[place % all.len()]);
            Ok(answer.iter().filter_map(|named| match *named {
                Named::Resident(place) => at(place),
                Named::Other(place, by) => at(place).map(|id| EntryId::new(id.slot(), id.generation().wrapping_add(by))),
                Named::Any(id) => Some(EntryId(id)),
            }).collect())
        });
        holds_to_the_model("any answers", &cache, LIMIT, &actions);
    }
}
