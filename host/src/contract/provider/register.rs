//! One key as one register: what each call may answer if calls take effect one after the other.

use std::fmt;

/// What is under the key: nothing, or the version of this number with this tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Register(pub(super) Option<Version>);

/// A write's number, and the number of the update that tagged it, 0 if none did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Version {
    pub(super) write: u32,
    pub(super) tag: u32,
}

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Read,
    Write { write: u32, condition: On },
    Delete { if_match: Option<u32> },
    Update { tag: u32, if_match: Option<u32> },
}

/// What must be so for a write to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum On {
    Anything,
    Absent,
    Match(u32),
}

/// What was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Done,
    Found(Version),
    NotFound,
    Refused,
    /// It was told to try again, and so nothing happened.
    NotNow,
}

impl Register {
    /// What a request is answered, and what is there afterwards.
    pub(super) fn take(self, request: Request) -> (Answer, Self) {
        match (request, self.0) {
            (Request::Read, Some(version)) => (Answer::Found(version), self),
            (Request::Write { condition: On::Absent, .. }, Some(_)) => (Answer::Refused, self),
            (Request::Write { condition: On::Match(wanted), .. }, found)
                if found.is_none_or(|found| found.write != wanted) =>
            {
                (Answer::Refused, self)
            }
            (Request::Write { write, .. }, _) => (Answer::Done, Self(Some(Version { write, tag: 0 }))),
            (Request::Read | Request::Delete { .. } | Request::Update { .. }, None) => (Answer::NotFound, self),
            (
                Request::Delete { if_match: Some(wanted) } | Request::Update { if_match: Some(wanted), .. },
                Some(found),
            ) if found.write != wanted => (Answer::Refused, self),
            (Request::Delete { .. }, Some(_)) => (Answer::Done, Self(None)),
            (Request::Update { tag, .. }, Some(found)) => {
                let updated = Version { tag, ..found };
                (Answer::Found(updated), Self(Some(updated)))
            }
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |if_match: &Option<u32>| if_match.map_or(String::new(), |write| format!(" if it is #{write}"));
        match self {
            Self::Read => f.write_str("read"),
            Self::Write { write, condition: On::Anything } => write!(f, "write #{write}"),
            Self::Write { write, condition: On::Absent } => write!(f, "write #{write} if absent"),
            Self::Write { write, condition: On::Match(on) } => write!(f, "write #{write} if it is #{on}"),
            Self::Delete { if_match } => write!(f, "delete{}", of(if_match)),
            Self::Update { tag, if_match } => write!(f, "tag with {tag}{}", of(if_match)),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Found(Version { write, tag: 0 }) => write!(f, "#{write}"),
            Self::Found(Version { write, tag }) => write!(f, "#{write} tagged {tag}"),
            Self::NotFound => f.write_str("not found"),
            Self::Refused => f.write_str("refused"),
            Self::NotNow => f.write_str("not now"),
        }
    }
}
