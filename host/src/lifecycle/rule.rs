use std::time::Duration;

use super::{Candidate, LifecyclePolicy};
use crate::error::Result;
use crate::object::{StorageMetadata, Tags, Timestamp};

/// A rule of the configuration: what becomes of the objects that it is for, by their age.
///
/// Each rule is a policy of its own: all that are for an object speak, and are heard together as other policies are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// For objects whose keys begin with this; empty for all.
    pub prefix: String,
    /// For objects that have all of these tags.
    pub tags: Tags,
    /// For objects of more bytes than this.
    pub larger_than: Option<u64>,
    /// For objects of fewer bytes than this.
    pub smaller_than: Option<u64>,
    /// What their age counts from.
    pub since: Since,
    /// They are archived when they are so old.
    pub archive_after: Option<Duration>,
    /// They are deleted when they are so old.
    pub delete_after: Option<Duration>,
    /// They get tags when they are so old, beside those that they have.
    pub tag_after: Option<(Duration, Tags)>,
    /// For so long after they were last written no policy deletes them.
    pub retain: Duration,
    /// Whether for that time nobody else deletes or replaces them either.
    pub lock: bool,
}

/// What an object's age counts from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Since {
    /// When its bytes were last written.
    #[default]
    Updated,
    /// When its key came to be.
    Created,
    /// When it was last read, or its bytes written if that is later. Where nobody keeps track of reads, it has no age.
    Read,
}

impl Rule {
    /// Whether the rule is for an object.
    pub fn is_for(&self, object: &StorageMetadata) -> bool {
        object.key.as_str().starts_with(&self.prefix)
            && self.larger_than.is_none_or(|size| object.size > size)
            && self.smaller_than.is_none_or(|size| object.size < size)
            && object.attributes.tags.contains(&self.tags)
    }

    /// Until when nobody deletes or replaces an object, if the rule says so.
    pub fn locks_until(&self, object: &StorageMetadata) -> Option<Timestamp> {
        (self.lock && self.is_for(object)).then(|| object.after(self.retain))
    }

    fn is_due(&self, candidate: &Candidate, after: Option<Duration>, now: Timestamp) -> bool {
        let Some(after) = after.filter(|_| self.is_for(&candidate.metadata)) else { return false };
        let Some(since) = self.since(candidate) else { return false };
        (now - since).to_std().is_ok_and(|age| age >= after)
    }

    fn next_change(&self, candidate: &Candidate, now: Timestamp) -> Option<Timestamp> {
        if !self.is_for(&candidate.metadata) {
            return None;
        }
        // What is not known now may be known at any time.
        let Some(since) = self.since(candidate) else { return Some(now) };
        let spans = [self.archive_after, self.delete_after, self.tag_after.as_ref().map(|(after, _)| *after)];
        // A span that ends after all time never ends.
        let end = |span: Duration| since.checked_add_signed(chrono::Duration::from_std(span).ok()?);
        spans.into_iter().flatten().filter_map(end).filter(|end| *end > now).min()
    }

    /// When the age of an object begins, if that is known.
    fn since(&self, candidate: &Candidate) -> Option<Timestamp> {
        match self.since {
            Since::Updated => Some(candidate.metadata.updated_at),
            Since::Created => Some(candidate.metadata.created_at),
            Since::Read => candidate.last_read_at.map(|read| read.max(candidate.metadata.updated_at)),
        }
    }
}

impl LifecyclePolicy for Rule {
    fn should_archive(&self, candidate: &Candidate, now: Timestamp) -> bool {
        self.is_due(candidate, self.archive_after, now)
    }

    fn should_delete(&self, candidate: &Candidate, now: Timestamp) -> bool {
        self.is_due(candidate, self.delete_after, now)
    }

    fn retention_period(&self, candidate: &Candidate) -> Duration {
        if self.is_for(&candidate.metadata) { self.retain } else { Duration::ZERO }
    }

    fn tags(&self, candidate: &Candidate, now: Timestamp) -> Option<&Tags> {
        let (after, tags) = self.tag_after.as_ref()?;
        self.is_due(candidate, Some(*after), now).then_some(tags)
    }

    fn foresees(&self) -> bool {
        true
    }

    fn next_changes(&self, candidates: &[Candidate], now: Timestamp) -> Result<Vec<Option<Timestamp>>> {
        Ok(candidates.iter().map(|candidate| self.next_change(candidate, now)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::Decision;
    use crate::object::{Attributes, Checksum, ETag, Key, timestamp_from_millis};

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn day(number: u32) -> Timestamp {
        timestamp_from_millis(1_800_000_000_000) + DAY * number
    }

    /// Made on the first day and last written on the tenth.
    fn candidate(key: &str, size: u64, tags: &[(&str, &str)]) -> Candidate {
        let tags = Tags::from_pairs(tags.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))).unwrap();
        let metadata = StorageMetadata {
            key: Key::new(key).unwrap(),
            size,
            created_at: day(0),
            updated_at: day(10),
            checksum: Checksum::of(b""),
            etag: ETag::generate(),
            attributes: Attributes { tags, ..Attributes::default() },
        };
        Candidate { metadata, last_read_at: None }
    }

    fn decide(rule: &Rule, candidate: &Candidate, now: Timestamp) -> Decision {
        rule.decide(std::slice::from_ref(candidate), now).unwrap().remove(0)
    }

    #[test]
    fn a_rule_is_for_what_is_all_that_it_says() {
        let tags = Tags::from_pairs([("state".to_owned(), "draft".to_owned())]).unwrap();
        let rule = Rule {
            prefix: "tmp/".into(),
            tags,
            larger_than: Some(10),
            smaller_than: Some(20),
            delete_after: Some(Duration::ZERO),
            ..Rule::default()
        };
        let draft = [("state", "draft"), ("other", "x")];
        assert!(decide(&rule, &candidate("tmp/a", 11, &draft), day(10)).delete);
        for other in [
            candidate("tmp", 11, &draft),
            candidate("tmp/a", 10, &draft),
            candidate("tmp/a", 20, &draft),
            candidate("tmp/a", 11, &[("state", "final")]),
            candidate("tmp/a", 11, &[]),
        ] {
            assert_eq!(decide(&rule, &other, day(1000)), Decision::KEEP, "{other:?}");
        }
    }

    #[test]
    fn ages_count_from_what_the_rule_says() {
        let rule = Rule { archive_after: Some(DAY * 5), delete_after: Some(DAY * 30), ..Rule::default() };
        let object = candidate("a", 1, &[]);
        let millisecond = Duration::from_millis(1);
        assert!(!decide(&rule, &object, day(15) - millisecond).archive && decide(&rule, &object, day(15)).archive);
        assert!(!decide(&rule, &object, day(39)).delete && decide(&rule, &object, day(40)).delete);
        let rule = Rule { since: Since::Created, ..rule };
        assert!(!decide(&rule, &object, day(5) - millisecond).archive && decide(&rule, &object, day(5)).archive);
        assert_eq!(decide(&rule, &object, day(0) - DAY), Decision::KEEP, "an object from the future is not old");
    }

    #[test]
    fn what_is_not_known_to_be_unread_has_no_age() {
        let rule = Rule { since: Since::Read, delete_after: Some(Duration::ZERO), ..Rule::default() };
        let unknown = candidate("a", 1, &[]);
        assert!(!decide(&rule, &unknown, day(1000)).delete);
        assert_eq!(rule.next_change(&unknown, day(1000)), Some(day(1000)), "it may be known at any time");
        let rule = Rule { delete_after: Some(DAY * 5), ..rule };
        let read = |number| Candidate { last_read_at: Some(day(number)), ..unknown.clone() };
        assert!(!decide(&rule, &read(20), day(24)).delete && decide(&rule, &read(20), day(25)).delete);
        assert!(!decide(&rule, &read(3), day(14)).delete, "it was written on the tenth");
        assert_eq!(rule.next_change(&read(20), day(21)), Some(day(25)));
    }

    #[test]
    fn tags_and_retention_are_part_of_what_a_rule_wants() {
        let old = Tags::from_pairs([("class".to_owned(), "old".to_owned())]).unwrap();
        let rule = Rule { tag_after: Some((DAY, old.clone())), retain: DAY * 7, lock: true, ..Rule::default() };
        let object = candidate("a", 1, &[]);
        let decided = decide(&rule, &object, day(11));
        assert_eq!((decided.tags, decided.retain), (old, DAY * 7));
        assert!(decide(&rule, &object, day(10)).tags.is_empty());
        assert_eq!(rule.locks_until(&object.metadata), Some(day(17)));
        assert_eq!(Rule { lock: false, ..rule }.locks_until(&object.metadata), None);
    }
}
