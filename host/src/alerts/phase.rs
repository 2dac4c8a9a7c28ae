use std::time::Duration;

use super::AlertRule;
use crate::object::Timestamp;

/// How long an alert that has ended is still shown, and told again to those who keep no record of their own.
pub(super) const SHOWN: Duration = Duration::from_secs(15 * 60);

/// A moment: on a clock that nobody sets, and the time of day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Moment {
    pub(super) steady: Duration,
    pub(super) wall: Timestamp,
}

/// Where what a rule found has come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Phase {
    /// It holds, but not for long enough yet.
    Pending { since: Moment },
    /// It is an alert, and held last at that moment.
    Firing { since: Timestamp, fired_at: Timestamp, held: Duration },
    /// It was one.
    Resolved { since: Timestamp, fired_at: Timestamp, ended: Moment },
}

/// What somebody has to be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Fired,
    Resolved,
}

impl Phase {
    /// Whether the threshold is the one of what holds already.
    pub(super) fn is_firing(self) -> bool {
        matches!(self, Self::Firing { .. })
    }

    /// Where it comes to when it is found that the condition holds, or does not; `None` if nothing is left to be said.
    pub(super) fn next(
        this: Option<Self>,
        rule: &AlertRule,
        holds: bool,
        at: Moment,
    ) -> (Option<Self>, Option<Change>) {
        match (this, holds) {
            (Some(Self::Pending { since }), true) => Self::pending(rule, since, at),
            (Some(Self::Firing { since, fired_at, .. }), true) => {
                (Some(Self::Firing { since, fired_at, held: at.steady }), None)
            }
            (None | Some(Self::Resolved { .. }), true) => Self::pending(rule, at, at),
            (Some(Self::Firing { since, fired_at, held }), false) => {
                if at.steady.saturating_sub(held) < rule.keep {
                    return (this, None);
                }
                (Some(Self::Resolved { since, fired_at, ended: at }), Some(Change::Resolved))
            }
            (Some(Self::Resolved { ended, .. }), false) if at.steady.saturating_sub(ended.steady) < SHOWN => {
                (this, None)
            }
            (None | Some(Self::Pending { .. } | Self::Resolved { .. }), false) => (None, None),
        }
    }

    fn pending(rule: &AlertRule, since: Moment, at: Moment) -> (Option<Self>, Option<Change>) {
        if at.steady.saturating_sub(since.steady) < rule.hold {
            return (Some(Self::Pending { since }), None);
        }
        let firing = Self::Firing { since: since.wall, fired_at: at.wall, held: at.steady };
        (Some(firing), Some(Change::Fired))
    }
}
