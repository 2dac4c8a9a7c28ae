//! Finds where in a YAML file something stands.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::error::Position;

/// The way from the top of a document to something in it: `stores.documents.lifecycle.policies[0]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct YamlPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

impl YamlPath {
    /// The value under a key at the top.
    pub(super) fn top(key: &str) -> Self {
        Self::default().key(key)
    }

    /// The value under a key of what this leads to.
    pub(super) fn key(&self, key: impl fmt::Display) -> Self {
        self.step(Step::Key(key.to_string()))
    }

    /// An element of the sequence that this leads to.
    pub(super) fn index(&self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    fn step(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// Where the key or element stands in the document; if it is not written there, where the nearest thing around it
    /// does.
    pub(super) fn locate(&self, document: &str) -> Option<Position> {
        (1..=self.0.len()).rev().find_map(|len| {
            let found = Walk(&self.0[..len]).deserialize(serde_yaml::Deserializer::from_str(document)).err()?;
            let at = found.location()?;
            Some(Position { line: at.line(), column: at.column() })
        })
    }
}

impl fmt::Display for YamlPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if index == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Walks down the steps and fails on arrival: the reader's error is what knows the position.
struct Walk<'a>(&'a [Step]);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.0 {
            [] => deserializer.deserialize_any(Arrived),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(on_the_way) = map.next_key_seed(KeyOf(self.0))? {
            if on_the_way {
                map.next_value_seed(Walk(&self.0[1..]))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let wanted = match self.0[0] {
            Step::Index(index) => index,
            Step::Key(_) => usize::MAX,
        };
        for _ in 0..wanted {
            if seq.next_element::<IgnoredAny>()?.is_none() {
                return Ok(());
            }
        }
        seq.next_element_seed(Walk(&self.0[1..]))?;
        // What is left unread would be an error, and so be taken for an arrival.
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// Tells whether a key is the next step, and fails if it is the last one too.
struct KeyOf<'a>(&'a [Step]);

impl<'de> DeserializeSeed<'de> for KeyOf<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyOf<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<bool, E> {
        match self.0 {
            [Step::Key(key)] if key == text => Err(E::custom("arrived")),
            [Step::Key(key), ..] => Ok(key == text),
            _ => Ok(false),
        }
    }
}

/// Takes no value whatever, so that each is an error at its position.
struct Arrived;

impl Visitor<'_> for Arrived {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("to arrive")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "\
# a comment
stores:
  one: { cache: {ttl: 1s} }
  two:
    policies: [a, b]
    list:
      - x: 1
      - {y: 2}
";

    fn at(path: &YamlPath) -> (usize, usize) {
        let Position { line, column } = path.locate(DOCUMENT).unwrap();
        (line, column)
    }

    #[test]
    fn keys_and_elements_are_found() {
        let stores = YamlPath::top("stores");
        assert_eq!(at(&stores), (2, 1));
        assert_eq!(at(&stores.key("one")), (3, 3));
        assert_eq!(at(&stores.key("one").key("cache").key("ttl")), (3, 18));
        let two = stores.key("two");
        assert_eq!(at(&two.key("policies").index(1)), (5, 19));
        assert_eq!(at(&two.key("list").index(0).key("x")), (7, 9));
        assert_eq!(at(&two.key("list").index(1).key("y")), (8, 10));
        assert_eq!(two.key("list").index(1).key("y").to_string(), "stores.two.list[1].y");
    }

    #[test]
    fn what_is_not_written_is_placed_at_what_is_around_it() {
        let one = YamlPath::top("stores").key("one");
        assert_eq!(at(&one.key("base_path")), (3, 3));
        assert_eq!(at(&one.key("cache").key("eviction_policy")), (3, 10));
        assert_eq!(at(&YamlPath::top("stores").key("two").key("policies").index(9)), (5, 5));
        assert_eq!(YamlPath::top("nowhere").locate(DOCUMENT), None);
    }
}
