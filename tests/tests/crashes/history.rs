//! What each writer's objects were after each of its steps, for a store that may have gone back to an earlier one.

use larder::error::Error;
use larder::provider::{ListQuery, StorageProvider};

use crate::model::{self, Objects, STEPS, Step, WRITERS};

pub(crate) struct History {
    /// For each writer: nothing, and then what there was after each step that was begun.
    states: Vec<Vec<Objects>>,
    /// Whether the first half of the steps lies more than a second back.
    half_is_old: bool,
}

impl History {
    /// The history that a workload with a pause after the first half of its steps took note of.
    pub(crate) fn of(seed: u64, notes: &str) -> Self {
        let mut history = Self { states: vec![vec![Objects::new()]; WRITERS as usize], half_is_old: false };
        for begun in notes.lines().filter_map(|line| line.strip_prefix("b ")) {
            let (writer, number) = begun.split_once(' ').expect("two numbers");
            let (writer, number): (u64, u64) = (writer.parse().expect("one"), number.parse().expect("one"));
            let states = &mut history.states[writer as usize];
            let mut after = states.last().expect("there is a first").clone();
            model::apply(&mut after, &Step::of(seed, writer, number));
            states.push(after);
            history.half_is_old |= number >= STEPS / 2;
        }
        history
    }

    /// Sees to it that each writer's objects are as they were after some step, and not longer ago than a second or so.
    pub(crate) fn see_a_moment(&self, found: &[Objects]) {
        let oldest = if self.half_is_old { STEPS as usize / 2 } else { 0 };
        for (writer, (found, states)) in found.iter().zip(&self.states).enumerate() {
            assert!(
                states[oldest..].contains(found),
                "writer {writer} has {:#?}, and never had so, or too long ago: {:#?}",
                model::outline(found),
                states.iter().map(model::outline).collect::<Vec<_>>()
            );
        }
    }

    /// Sees to it that whatever can be read is an object as it was at some time, and what can not be read is `corrupt`.
    pub(crate) async fn see_nothing_else(&self, provider: &dyn StorageProvider) {
        let listed = match provider.list(&ListQuery::all()).await {
            Ok(page) => page.objects,
            Err(error) => return assert!(matches!(error, Error::Corrupt { .. }), "{error:?}"),
        };
        for object in listed {
            match model::look_up(provider, &object.key).await {
                Ok(Some(known)) => {
                    let states = &self.states[model::writer_of(&object.key)];
                    let is_known = states.iter().any(|objects| objects.get(&object.key) == Some(&known));
                    assert!(is_known, "{} never had these {} bytes and tag {}", object.key, known.0.len(), known.1);
                }
                Ok(None) => panic!("{} is listed and not there", object.key),
                Err(error) => assert!(matches!(error, Error::Corrupt { .. }), "{error:?}"),
            }
        }
    }
}
