use std::fmt;
use std::time::Duration;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::{Options, Outcome, Verdict, junit};
use crate::plugin::Kind;

/// What came of holding a part to its contract.
#[derive(Debug)]
pub struct Report {
    /// What the part is called.
    pub part: String,
    /// Which contract it was held to.
    pub kind: Kind,
    /// What random operations were made from.
    pub seed: u64,
    /// What came of each promise that was looked at, in order.
    pub outcomes: Vec<Outcome>,
}

/// How many promises came out how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Those that were kept.
    pub kept: usize,
    /// Those that were broken.
    pub broken: usize,
    /// Those that the part does not claim to keep.
    pub unsupported: usize,
    /// Those that are about parts of another make.
    pub not_applicable: usize,
}

impl Report {
    /// A report of nothing yet.
    pub fn new(part: &str, kind: Kind, options: &Options) -> Self {
        Self { part: part.to_owned(), kind, seed: options.seed, outcomes: Vec::new() }
    }

    /// How many promises came out how.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for outcome in &self.outcomes {
            *match outcome.verdict {
                Verdict::Kept => &mut counts.kept,
                Verdict::Broken(_) => &mut counts.broken,
                Verdict::Unsupported(_) => &mut counts.unsupported,
                Verdict::NotApplicable => &mut counts.not_applicable,
            } += 1;
        }
        counts
    }

    /// The promises that were broken.
    pub fn broken(&self) -> impl Iterator<Item = &Outcome> {
        self.outcomes.iter().filter(|outcome| outcome.is_broken())
    }

    /// How long all of it took.
    pub fn took(&self) -> Duration {
        self.outcomes.iter().map(|outcome| outcome.took).sum()
    }

    /// The report as a JUnit XML document, as continuous integration systems read it: a test case for each promise, a
    /// failure for a broken one, and skipped what is unsupported or does not apply.
    pub fn to_junit(&self) -> String {
        junit::document(self)
    }
}

/// `86 kept, 0 broken, 0 unsupported, 6 not applicable`
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kept, broken, unsupported, not_applicable } = self;
        write!(f, "{kept} kept, {broken} broken, {unsupported} unsupported, {not_applicable} not applicable")
    }
}

/// The counts, and a line for each promise that was not kept.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, the {} contract: {}", self.part, self.kind.as_str(), self.counts())?;
        for outcome in self.outcomes.iter().filter(|outcome| outcome.verdict.detail().is_some()) {
            write!(f, "\n{outcome}")?;
        }
        Ok(())
    }
}

/// With the keys `part`, `kind`, `seed`, `counts`, `seconds` and `outcomes`.
impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut report = serializer.serialize_struct("Report", 6)?;
        report.serialize_field("part", &self.part)?;
        report.serialize_field("kind", self.kind.as_str())?;
        report.serialize_field("seed", &self.seed)?;
        report.serialize_field("counts", &self.counts())?;
        report.serialize_field("seconds", &self.took().as_secs_f64())?;
        report.serialize_field("outcomes", &self.outcomes)?;
        report.end()
    }
}
