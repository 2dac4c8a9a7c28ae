//! A lifecycle policy of rules: what begins with a prefix, has certain tags or is large is archived, deleted or retained
//! by its age. The first rule that is for an object decides alone; an object that no rule is for is kept.
//!
//! ```yaml
//! plugins:
//!   retention:
//!     source: plugins/retention
//!     config:
//!       rules:
//!         - prefix: tmp/legal/              # says nothing of ageing: these are kept
//!         - prefix: tmp/
//!           tags: { class: temporary }      # all of them; quote values that are no text: "1", "true"
//!           delete_after: 30d               # after the object was last written
//!           retain: 1d                      # until then nobody deletes it
//!         - larger_than: 104857600          # bytes
//!           archive_after: 2w
//! stores:
//!   documents:
//!     provider_type: file
//!     lifecycle: { policies: [retention], every: 1h, archive_to: cold }
//! ```
//!
//! Spans of time are a whole number and one of `ms`, `s`, `m`, `h`, `d` (24 hours), `w` (7 days).

mod rule;
mod span;

use std::time::Duration;

use larder_sdk::{Candidate, Foresight, LifecyclePolicy, Metadata, Result, Timestamp};

pub use rule::Rule;
pub use span::Span;

/// The rules, in order.
#[derive(Clone, Debug)]
pub struct Retention {
    rules: Vec<Rule>,
}

/// What the operator says.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The first rule that is for an object decides.
    pub rules: Vec<Rule>,
}

impl LifecyclePolicy for Retention {
    type Config = Config;

    fn open(Config { rules }: Config) -> Result<Self> {
        for (index, rule) in rules.iter().enumerate() {
            rule.check(index + 1)?;
        }
        Ok(Self { rules })
    }

    fn should_archive(&self, candidate: &Candidate, now: Timestamp) -> bool {
        self.is_due(&candidate.metadata, now, |rule| rule.archive_after)
    }

    fn should_delete(&self, candidate: &Candidate, now: Timestamp) -> bool {
        self.is_due(&candidate.metadata, now, |rule| rule.delete_after)
    }

    fn retention_period(&self, candidate: &Candidate) -> Duration {
        self.rule(&candidate.metadata).and_then(|rule| rule.retain).map_or(Duration::ZERO, |Span(retain)| retain)
    }
}

impl Foresight for Retention {
    fn next_change(&self, candidate: &Candidate, now: Timestamp) -> Option<Timestamp> {
        let Rule { archive_after, delete_after, .. } = self.rule(&candidate.metadata)?;
        let due = |Span(after): &Span| candidate.metadata.updated_at.after(*after);
        [archive_after, delete_after].into_iter().flatten().filter_map(due).filter(|due| *due > now).min()
    }
}

impl Retention {
    fn rule(&self, metadata: &Metadata) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.matches(metadata))
    }

    fn is_due(&self, metadata: &Metadata, now: Timestamp, after: impl FnOnce(&Rule) -> Option<Span>) -> bool {
        self.rule(metadata).and_then(after).is_some_and(|Span(after)| metadata.age(now) >= after)
    }
}

larder_sdk::export!(lifecycle with foresight: Retention);

#[cfg(test)]
mod tests {
    use larder_sdk::{ErrorKind, Pairs, testing};

    use super::*;

    const DAY: u64 = 24 * 60 * 60 * 1000;
    const RULES: &str = r#"{"rules": [
        {"prefix": "tmp/legal/"},
        {"prefix": "tmp/", "tags": {"class": "temporary"}, "delete_after": "30d", "archive_after": "7d", "retain": "1d"},
        {"larger_than": 100, "archive_after": "2w"}
    ]}"#;

    fn policy() -> Retention {
        testing::open_policy(RULES).unwrap()
    }

    fn candidate(key: &str, tags: Pairs, size: u64) -> Candidate {
        let mut metadata = testing::metadata(key, Timestamp::from_millis(1_000));
        metadata.attributes.tags = tags;
        metadata.size = size;
        Candidate { metadata, last_read_at: None }
    }

    fn at(days: u64, millis: u64) -> Timestamp {
        Timestamp::from_millis(1_000 + days * DAY + millis)
    }

    #[test]
    fn an_object_is_due_at_its_age_and_not_before() {
        let policy = policy();
        let temporary = candidate("tmp/a", Pairs::from([("class", "temporary"), ("x", "y")]), 1);
        assert!(!policy.should_archive(&temporary, at(6, DAY - 1)));
        assert!(policy.should_archive(&temporary, at(7, 0)));
        assert!(!policy.should_delete(&temporary, at(29, DAY - 1)));
        assert!(policy.should_delete(&temporary, at(30, 0)));
        assert_eq!(policy.retention_period(&temporary), Duration::from_millis(DAY));
    }

    #[test]
    fn it_is_foreseen_when_an_object_is_due() {
        let policy = policy();
        let temporary = candidate("tmp/a", Pairs::from([("class", "temporary")]), 1);
        let changes = [at(0, 0), at(7, 0), at(30, 0)].map(|now| policy.next_change(&temporary, now));
        assert_eq!(changes, [Some(at(7, 0)), Some(at(30, 0)), None]);
        assert_eq!(policy.next_change(&candidate("tmp/legal/a", Pairs::new(), 1_000), at(0, 0)), None, "it is kept");
        assert_eq!(policy.next_change(&candidate("b", Pairs::new(), 1), at(0, 0)), None, "no rule is for it");
    }

    #[test]
    fn an_object_from_the_future_is_not_due() {
        let temporary = candidate("tmp/a", Pairs::from([("class", "temporary")]), 1);
        assert!(!policy().should_delete(&temporary, Timestamp::from_millis(0)));
    }

    #[test]
    fn the_first_rule_decides_alone() {
        let policy = policy();
        let legal = candidate("tmp/legal/a", Pairs::from([("class", "temporary")]), 1_000);
        assert!(!policy.should_delete(&legal, at(1_000, 0)));
        assert!(!policy.should_archive(&legal, at(1_000, 0)));
        assert_eq!(policy.retention_period(&legal), Duration::ZERO);
        let large = candidate("tmp/b", Pairs::from([("class", "lasting")]), 101);
        assert!(policy.should_archive(&large, at(14, 0)));
        assert!(!policy.should_delete(&large, at(1_000, 0)));
    }

    #[test]
    fn what_no_rule_is_for_is_kept() {
        let policy = policy();
        for kept in [candidate("tmp", Pairs::new(), 100), candidate("tmp/c", Pairs::new(), 100)] {
            assert!(!policy.should_archive(&kept, at(1_000, 0)) && !policy.should_delete(&kept, at(1_000, 0)));
        }
    }

    #[test]
    fn configuration_that_does_not_fit_says_why() {
        let message = |settings| testing::open_policy::<Retention>(settings).unwrap_err();
        let error = message(r#"{"rules": [{"delete_after": "soon"}]}"#);
        assert_eq!(error.kind, ErrorKind::InvalidInput);
        assert!(error.message.contains("\"soon\" is no span of time"), "{error}");
        assert!(message(r#"{"rules": [{"perfix": "a"}]}"#).message.contains("unknown field `perfix`"));
        assert!(message("null").message.contains("missing field `rules`"));
        let error = message(r#"{"rules": [{}, {"delete_after": "1h", "retain": "1d"}]}"#);
        assert!(error.message.starts_with("rule 2 of `rules` deletes what it still retains"), "{error}");
    }
}
