use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::entries;
use super::name::PluginName;
use super::period::Period;
use super::schedule::ScheduleConfig;
use super::size::Size;
use crate::lifecycle::{Rule, Since};
use crate::object::{StoreName, Tags};

/// How the objects of a store age.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LifecycleConfig {
    /// What becomes of which objects. Each rule is a policy of its own: all that are for an object are heard together, and
    /// with the plugins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleConfig>,
    /// Plugins that say what becomes of objects. When several policies speak, archiving comes before deleting, and the
    /// longest retention wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<PluginName>,
    /// How often they are asked; absent, and without a `schedule`: every hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Period>,
    /// When they are asked, in place of `every`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleConfig>,
    /// The store that the bytes of archived objects move to, under the same keys; no other store archives to it. Absent: a
    /// policy that wants to archive an object gets it kept instead, and a warning is logged.
    #[serde(default, deserialize_with = "entries::optional_store", skip_serializing_if = "Option::is_none")]
    pub archive_to: Option<StoreName>,
    /// Whether a read of an archived object is answered from the archive; otherwise it is an error that says so.
    #[serde(default)]
    pub recall: bool,
    /// How long what policies delete stays in the trash, from which it can be restored; absent: it goes at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trash: Option<Period>,
    /// With how many objects a second something is done at most; absent: as many as the stores take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rate: Option<NonZeroU32>,
    /// Whether plugins are told when objects were last read. Rules that count from that are told anyway.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub track_reads: bool,
}

/// What becomes of objects by their age.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleConfig {
    /// What plans, reports and the audit log call it.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// For objects whose keys begin with this; absent: for all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// For objects that have all of these tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// For objects of more bytes than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub larger_than: Option<Size>,
    /// For objects of fewer bytes than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smaller_than: Option<Size>,
    /// What their age counts from.
    #[serde(default)]
    pub since: SinceConfig,
    /// They are archived when they are so old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive_after: Option<Period>,
    /// They are deleted when they are so old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_after: Option<Period>,
    /// They get `set_tags` when they are so old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag_after: Option<Period>,
    /// The tags of `tag_after`, beside those that they have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set_tags: BTreeMap<String, String>,
    /// For so long after they were last written no policy deletes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retain: Option<Period>,
    /// Whether for the time of `retain` nobody else deletes or replaces them either.
    #[serde(default)]
    pub lock: bool,
}

/// What an object's age counts from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SinceConfig {
    /// When its bytes were last written.
    #[default]
    Updated,
    /// When its key came to be.
    Created,
    /// When it was last read, or its bytes were last written if that is later.
    Read,
}

impl LifecycleConfig {
    const HOURLY: Period = Period::seconds(60 * 60);

    /// When the policies are asked.
    pub fn schedule(&self) -> ScheduleConfig {
        let every = || ScheduleConfig::every(self.every.unwrap_or(Self::HOURLY));
        self.schedule.clone().unwrap_or_else(every)
    }

    /// Whether somebody wants to know when objects were last read.
    pub fn tracks_reads(&self) -> bool {
        self.track_reads || self.rules.iter().any(|rule| rule.since == SinceConfig::Read)
    }

    /// The rules by their names. What is wrong with one was told by the check of the configuration.
    pub fn rules(&self) -> impl Iterator<Item = (&str, Rule)> {
        self.rules.iter().map(|rule| (rule.name.as_str(), rule.rule()))
    }

    /// The names of all policies: rules, and then plugins.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.name.as_str()).chain(self.policies.iter().map(PluginName::as_str))
    }

    /// In a few words.
    pub(super) fn summary(&self) -> String {
        let names: Vec<&str> = self.names().collect();
        let mut summary = format!("aged by {} {}", names.join(" and "), self.schedule());
        if let Some(archive) = &self.archive_to {
            // Writing to a string does not fail.
            let _ = write!(summary, " to `{archive}`");
        }
        if let Some(trash) = self.trash {
            let _ = write!(summary, ", trash of {trash}");
        }
        if let Some(rate) = self.max_rate {
            let _ = write!(summary, ", at most {rate}/s");
        }
        summary
    }
}

impl RuleConfig {
    fn rule(&self) -> Rule {
        let tags = |tags: &BTreeMap<String, String>| Tags::from_pairs(tags.clone()).unwrap_or_default();
        Rule {
            prefix: self.prefix.clone(),
            tags: tags(&self.tags),
            larger_than: self.larger_than.map(Size::bytes),
            smaller_than: self.smaller_than.map(Size::bytes),
            since: match self.since {
                SinceConfig::Updated => Since::Updated,
                SinceConfig::Created => Since::Created,
                SinceConfig::Read => Since::Read,
            },
            archive_after: self.archive_after.map(Period::as_duration),
            delete_after: self.delete_after.map(Period::as_duration),
            tag_after: self.tag_after.map(|after| (after.as_duration(), tags(&self.set_tags))),
            retain: self.retain.map_or(Duration::ZERO, Period::as_duration),
            lock: self.lock,
        }
    }

    /// What is wrong with it: the key, and why.
    pub(super) fn problem(&self) -> Option<(&'static str, String)> {
        let Self { name, archive_after, delete_after, tag_after, set_tags, retain, lock, .. } = self;
        if name.is_empty() || name.len() > 100 || name.chars().any(char::is_control) {
            return Some(("name", format!("{name:?} is no name for a rule: it has 1 to 100 bytes in one line")));
        }
        for (key, tags) in [("tags", &self.tags), ("set_tags", set_tags)] {
            if let Err(error) = Tags::from_pairs(tags.clone()) {
                return Some((key, error.to_string()));
            }
        }
        if tag_after.is_some() == set_tags.is_empty() {
            let (key, other) = if set_tags.is_empty() { ("tag_after", "set_tags") } else { ("set_tags", "tag_after") };
            return Some((key, format!("`{key}` goes with `{other}`, and that is missing")));
        }
        if *lock && retain.is_none() {
            return Some(("lock", "`lock` goes with `retain`, which says for how long".to_owned()));
        }
        if [archive_after, delete_after, tag_after, retain].iter().all(|span| span.is_none()) {
            let message = "the rule does nothing; say `archive_after`, `delete_after`, `tag_after` or `retain`";
            return Some(("name", message.to_owned()));
        }
        if let (Some(larger), Some(smaller)) = (self.larger_than, self.smaller_than)
            && larger >= smaller
        {
            let message = format!("no object is larger than {larger} and smaller than {smaller}");
            return Some(("smaller_than", message));
        }
        None
    }
}
