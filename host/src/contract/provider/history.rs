//! What concurrent clients asked of one key, and the search for an order that explains it.

use std::collections::HashSet;
use std::fmt::Write;

use super::register::{Answer, Register, Request};

/// A request and its answer. `asked` and `answered` are moments of one clock that all clients share; no two are the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) client: usize,
    pub(super) asked: u64,
    pub(super) answered: u64,
    pub(super) request: Request,
    pub(super) answer: Answer,
}

/// The most calls of a history: each is a bit of a word.
pub(super) const MAX_CALLS: usize = 128;

/// Whether the calls could have taken effect one after the other, each at a moment between its being asked and its being
/// answered, on a key with nothing under it ("linearizable").
///
/// The search of Wing and Gong ("Testing and Verifying Concurrent Objects", JPDC 17, 1993): the next call may be any that
/// was asked before all calls left were answered. States that were searched once are not searched again, which Lowe added
/// ("Testing for Linearizability", 2017). `calls` are at most [`MAX_CALLS`].
pub(super) fn is_linearizable(calls: &[Call]) -> bool {
    assert!(calls.len() <= MAX_CALLS, "a history of {} calls does not fit a word", calls.len());
    let all = if calls.is_empty() { 0 } else { u128::MAX >> (MAX_CALLS - calls.len()) };
    let mut searched = HashSet::new();
    let mut open = vec![(all, Register::default())];
    while let Some((left, register)) = open.pop() {
        if left == 0 {
            return true;
        }
        if !searched.insert((left, register)) {
            continue;
        }
        let is_left = |number: usize| left & 1 << number != 0;
        let left_calls = || calls.iter().enumerate().filter(|(number, _)| is_left(*number));
        let first_answer = left_calls().map(|(_, call)| call.answered).min().unwrap_or(u64::MAX);
        for (number, call) in left_calls().filter(|(_, call)| call.asked < first_answer) {
            let (answer, after) = register.take(call.request);
            if call.answer == Answer::NotNow {
                open.push((left & !(1 << number), register));
            } else if call.answer == answer {
                open.push((left & !(1 << number), after));
            }
        }
    }
    false
}

/// The shortest beginning of a history that is not linearizable, in the order in which the calls were answered; for
/// people. Calls that were not answered by then are left out, unless they were asked before: they may have taken effect.
pub(super) fn explain(calls: &[Call]) -> String {
    let mut ends: Vec<u64> = calls.iter().map(|call| call.answered).collect();
    ends.sort_unstable();
    let beginning = |end: u64| -> Vec<Call> { calls.iter().copied().filter(|call| call.asked <= end).collect() };
    let shortest = ends.into_iter().map(beginning).find(|calls| !is_linearizable(calls));
    let mut shortest = shortest.unwrap_or_else(|| calls.to_vec());
    shortest.sort_unstable_by_key(|call| call.asked);
    let mut text = String::new();
    for Call { client, asked, answered, request, answer } in shortest {
        let _ = write!(text, "\n  {asked:>3}\u{2013}{answered:<3} client {client}: {request} \u{2192} {answer}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::register::{On, Version};
    use super::*;

    const READ: Request = Request::Read;

    fn write(write: u32) -> Request {
        Request::Write { write, condition: On::Anything }
    }

    fn found(write: u32) -> Answer {
        Answer::Found(Version { write, tag: 0 })
    }

    /// A history of calls with their moments.
    fn history<const N: usize>(calls: [(u64, u64, Request, Answer); N]) -> Vec<Call> {
        let call = |(client, (asked, answered, request, answer))| Call { client, asked, answered, request, answer };
        calls.into_iter().enumerate().map(call).collect()
    }

    #[test]
    fn calls_one_after_the_other_must_agree() {
        assert!(is_linearizable(&[]));
        let right = history([(0, 1, READ, Answer::NotFound), (2, 3, write(1), Answer::Done), (4, 5, READ, found(1))]);
        assert!(is_linearizable(&right));
        let stale = history([(0, 1, write(1), Answer::Done), (2, 3, write(2), Answer::Done), (4, 5, READ, found(1))]);
        assert!(!is_linearizable(&stale));
        let lost = history([(0, 1, write(1), Answer::Done), (2, 3, READ, Answer::NotFound)]);
        assert!(!is_linearizable(&lost));
    }

    #[test]
    fn a_read_beside_a_write_may_see_it_or_not() {
        for answer in [Answer::NotFound, found(1)] {
            assert!(is_linearizable(&history([(0, 9, write(1), Answer::Done), (1, 2, READ, answer)])));
        }
        // Once one has seen it, none that comes after may miss it.
        let back = history([(0, 9, write(1), Answer::Done), (1, 2, READ, found(1)), (3, 4, READ, Answer::NotFound)]);
        assert!(!is_linearizable(&back));
    }

    #[test]
    fn readers_must_agree_on_the_order_of_writes() {
        let writes = [(0, 20, write(1), Answer::Done), (1, 21, write(2), Answer::Done)];
        let reads = |one, two| [(2, 3, READ, found(one)), (4, 5, READ, found(two))];
        let with = |last: [(u64, u64, Request, Answer); 2]| history([writes[0], writes[1], last[0], last[1]]);
        assert!(is_linearizable(&with(reads(1, 2))) && is_linearizable(&with(reads(2, 1))));
        let torn =
            history([writes[0], writes[1], (2, 3, READ, found(1)), (4, 5, READ, found(2)), (6, 7, READ, found(1))]);
        assert!(!is_linearizable(&torn));
    }

    #[test]
    fn of_two_that_swap_the_same_version_one_is_refused() {
        let swap = |write| Request::Write { write, condition: On::Match(1) };
        let first = (0, 1, write(1), Answer::Done);
        let right = history([first, (2, 8, swap(2), Answer::Done), (3, 7, swap(3), Answer::Refused)]);
        assert!(is_linearizable(&right));
        let both = history([first, (2, 8, swap(2), Answer::Done), (3, 7, swap(3), Answer::Done)]);
        assert!(!is_linearizable(&both));
        let neither = history([first, (2, 8, swap(2), Answer::Refused), (3, 7, swap(3), Answer::Refused)]);
        assert!(!is_linearizable(&neither));
    }

    #[test]
    fn what_is_told_to_try_again_has_no_effect() {
        let first = (0, 1, write(1), Answer::Done);
        let right = history([first, (2, 8, write(2), Answer::NotNow), (3, 4, READ, found(1)), (9, 10, READ, found(1))]);
        assert!(is_linearizable(&right));
        let wrong = history([first, (2, 8, write(2), Answer::NotNow), (9, 10, READ, found(2))]);
        assert!(!is_linearizable(&wrong));
    }

    #[test]
    fn conditions_deletions_and_updates_are_understood() {
        let absent = Request::Write { write: 2, condition: On::Absent };
        let right = history([
            (0, 1, write(1), Answer::Done),
            (2, 3, Request::Update { tag: 5, if_match: Some(1) }, Answer::Found(Version { write: 1, tag: 5 })),
            (4, 9, Request::Delete { if_match: None }, Answer::Done),
            (5, 6, absent, Answer::Done),
            (7, 8, Request::Delete { if_match: Some(1) }, Answer::Refused),
            (10, 11, Request::Update { tag: 6, if_match: None }, Answer::Found(Version { write: 2, tag: 6 })),
            (12, 13, READ, Answer::Found(Version { write: 2, tag: 6 })),
        ]);
        assert!(is_linearizable(&right));
        let mut wrong = right;
        wrong[4].answer = Answer::NotFound;
        assert!(!is_linearizable(&wrong));
    }

    #[test]
    fn the_explanation_ends_where_it_goes_wrong() {
        let calls =
            history([(0, 1, write(1), Answer::Done), (2, 3, READ, Answer::NotFound), (4, 5, write(2), Answer::Done)]);
        let text = explain(&calls);
        assert!(text.contains("client 1: read \u{2192} not found") && !text.contains("write #2"), "{text}");
    }

    #[test]
    fn long_histories_are_searched_in_time() {
        // Sixteen clients at once all the while: 16! orders without the memory of what was searched.
        let mut calls = Vec::new();
        for round in 0..8 {
            for client in 0..16u64 {
                let (asked, answered) = (round * 100 + client, round * 100 + 50 + client);
                let request = if client % 2 == 0 { write((round * 16 + client) as u32) } else { READ };
                let answer = if client % 2 == 0 { Answer::Done } else { found((round * 16 + client - 1) as u32) };
                calls.push(Call { client: client as usize, asked, answered, request, answer });
            }
        }
        assert!(is_linearizable(&calls));
    }
}
