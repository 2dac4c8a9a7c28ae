use std::fmt;
use std::time::Duration;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::Promise;

/// How it stands with a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was kept.
    Kept,
    /// It was broken, and how.
    Broken(String),
    /// The part says that it does not do this ([`Unsupported`](crate::error::Error::Unsupported)), or shows that it does
    /// not claim it, in these words. No breach.
    Unsupported(String),
    /// It is about parts of another make, such as providers whose data outlives them.
    NotApplicable,
}

impl Verdict {
    /// The verdict as one word, the same in tables, JSON and logs: `kept`, `broken`, `unsupported`, `not applicable`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Broken(_) => "broken",
            Self::Unsupported(_) => "unsupported",
            Self::NotApplicable => "not applicable",
        }
    }

    /// What there is to be said of it beside the word.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::Broken(text) | Self::Unsupported(text) => Some(text),
            Self::Kept | Self::NotApplicable => None,
        }
    }
}

/// What came of holding a part to a promise.
#[derive(Debug)]
pub struct Outcome {
    /// The promise.
    pub promise: &'static Promise,
    /// Whether it was kept.
    pub verdict: Verdict,
    /// How long that took to find out.
    pub took: Duration,
}

impl Outcome {
    /// Whether the promise was broken.
    pub fn is_broken(&self) -> bool {
        matches!(self.verdict, Verdict::Broken(_))
    }
}

/// `broken a_deleted_object_is_gone: it is still listed`
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verdict.word(), self.promise.name)?;
        self.verdict.detail().map_or(Ok(()), |detail| write!(f, ": {detail}"))
    }
}

/// With the keys `promise`, `says`, `verdict`, `detail` (if there is one) and `seconds`.
impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut outcome = serializer.serialize_struct("Outcome", 5)?;
        outcome.serialize_field("promise", self.promise.name)?;
        outcome.serialize_field("says", self.promise.says)?;
        outcome.serialize_field("verdict", self.verdict.word())?;
        match self.verdict.detail() {
            Some(detail) => outcome.serialize_field("detail", detail)?,
            None => outcome.skip_field("detail")?,
        }
        outcome.serialize_field("seconds", &self.took.as_secs_f64())?;
        outcome.end()
    }
}
