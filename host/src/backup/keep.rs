use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::record::BackupRecord;
use crate::object::Timestamp;

/// Which backups of each store are kept: those that any of these wants. Days, weeks, months and years are those of UTC, and
/// of each the last backup counts; ones without a backup do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// So many of the last backups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<NonZeroU32>,
    /// One of each of so many days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily: Option<NonZeroU32>,
    /// One of each of so many weeks, which begin on Monday.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weekly: Option<NonZeroU32>,
    /// One of each of so many months.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monthly: Option<NonZeroU32>,
    /// One of each of so many years.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yearly: Option<NonZeroU32>,
}

impl Keep {
    /// Whether it says nothing, and so would keep nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Why each of these backups is kept, in their order: the words of the rules that want it, none for one that goes. The
    /// backups are in the order of time.
    pub fn reasons(&self, backups: &[BackupRecord]) -> Vec<Vec<&'static str>> {
        let mut reasons = vec![Vec::new(); backups.len()];
        let mut by_store: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (place, backup) in backups.iter().enumerate().rev() {
            by_store.entry(&backup.store).or_default().push(place);
        }
        for (word, wanted, period) in self.rules() {
            for latest_first in by_store.values() {
                let (mut left, mut before) = (wanted.get(), None);
                for &place in latest_first {
                    let of = period.map(|pattern| of_period(backups[place].taken_at, pattern));
                    if left > 0 && (of.is_none() || of != before) {
                        reasons[place].push(word);
                        (left, before) = (left - 1, of);
                    }
                }
            }
        }
        reasons
    }

    /// Those of these backups that no rule wants.
    pub fn unwanted(&self, backups: &[BackupRecord]) -> Vec<BackupRecord> {
        let judged = backups.iter().zip(self.reasons(backups));
        judged.filter(|(_, reasons)| reasons.is_empty()).map(|(backup, _)| backup.clone()).collect()
    }

    /// Each rule: its word, how many it wants, and how its periods are written.
    fn rules(&self) -> impl Iterator<Item = (&'static str, NonZeroU32, Option<&'static str>)> {
        let rules = [
            ("last", self.last, None),
            ("daily", self.daily, Some("%Y-%m-%d")),
            ("weekly", self.weekly, Some("%G-W%V")),
            ("monthly", self.monthly, Some("%Y-%m")),
            ("yearly", self.yearly, Some("%Y")),
        ];
        rules.into_iter().filter_map(|(word, wanted, period)| Some((word, wanted?, period)))
    }
}

/// The rules, as in `last 7, weekly 8`.
impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (word, wanted, _)) in self.rules().enumerate() {
            write!(f, "{}{word} {wanted}", if place == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

fn of_period(at: Timestamp, pattern: &str) -> String {
    at.format(pattern).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Digest, StoreName};

    fn backup(store: &str, taken_at: &str) -> BackupRecord {
        let taken_at = taken_at.parse().unwrap();
        BackupRecord {
            format: BackupRecord::FORMAT,
            id: format!("{store} {taken_at}"),
            store: StoreName::new(store).unwrap(),
            taken_at,
            ended_at: taken_at,
            of_one_moment: true,
            objects: 0,
            bytes: 0,
            left_out: 0,
            read: 0,
            added: 0,
            pages: Digest::of(b""),
        }
    }

    fn some(number: u32) -> Option<NonZeroU32> {
        NonZeroU32::new(number)
    }

    #[test]
    fn the_last_of_each_period_is_kept_for_each_store() {
        let backups = [
            ("one", "2025-12-28T02:00:00Z"), // a Sunday
            ("two", "2025-12-28T03:00:00Z"),
            ("one", "2025-12-29T02:00:00Z"), // in the first week of 2026
            ("one", "2025-12-31T23:59:59Z"),
            ("one", "2026-01-01T00:00:00Z"),
            ("one", "2026-01-04T02:00:00Z"), // a Sunday
            ("one", "2026-01-04T14:00:00Z"),
            ("one", "2026-03-01T02:00:00Z"),
        ]
        .map(|(store, at)| backup(store, at));
        let kept = |keep: Keep| -> Vec<usize> {
            let reasons = keep.reasons(&backups);
            (0..backups.len()).filter(|place| !reasons[*place].is_empty()).collect()
        };
        assert_eq!(kept(Keep { last: some(2), ..Keep::default() }), [1, 6, 7]);
        assert_eq!(kept(Keep { last: some(99), ..Keep::default() }).len(), 8);
        assert_eq!(
            kept(Keep { daily: some(3), ..Keep::default() }),
            [1, 4, 6, 7],
            "days without a backup do not count"
        );
        assert_eq!(
            kept(Keep { weekly: some(2), ..Keep::default() }),
            [1, 6, 7],
            "a week goes over the end of the year"
        );
        assert_eq!(kept(Keep { weekly: some(3), ..Keep::default() }), [0, 1, 6, 7]);
        assert_eq!(kept(Keep { monthly: some(3), ..Keep::default() }), [1, 3, 6, 7]);
        assert_eq!(kept(Keep { yearly: some(9), ..Keep::default() }), [1, 3, 7]);
        assert!(kept(Keep::default()).is_empty() && Keep::default().is_empty());
        let both = Keep { last: some(1), yearly: some(1), ..Keep::default() };
        assert_eq!(both.reasons(&backups)[7], ["last", "yearly"]);
    }
}
