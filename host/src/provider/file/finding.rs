use serde::Serialize;

use crate::object::Key;

/// Something in a store's folder that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of thing it is.
    pub kind: FindingKind,
    /// The object that it is about, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
    /// What was found, for people.
    pub message: String,
}

/// What a [`Finding`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingKind {
    /// The index as a whole: it is missing, or SQLite finds its pages damaged.
    Index,
    /// A row of the index does not have its checksum.
    Row,
    /// A value in the index is missing, does not have its checksum, or belongs to no object.
    Value,
    /// The index does not count what it holds.
    Totals,
    /// The file of a body is damaged or can not be read.
    Body,
    /// The file of a body is not there.
    Missing,
    /// A body that the index does not refer to. The next opening removes it: a crash leaves some.
    Orphan,
    /// A file of a write that did not come to an end. The next opening removes it: a crash leaves some.
    Temporary,
}

impl FindingKind {
    /// Whether something was lost, or may be; if not, a crash explains it and the next opening clears it away.
    pub fn is_damage(self) -> bool {
        !matches!(self, Self::Orphan | Self::Temporary)
    }

    /// One word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Row => "row",
            Self::Value => "value",
            Self::Totals => "totals",
            Self::Body => "body",
            Self::Missing => "missing",
            Self::Orphan => "orphan",
            Self::Temporary => "temporary",
        }
    }
}

impl Finding {
    pub(super) fn new(kind: FindingKind, key: Option<&Key>, message: impl Into<String>) -> Self {
        Self { kind, key: key.cloned(), message: message.into() }
    }
}

/// Hears of long work on a store's folder while it goes on.
pub trait Watch {
    /// There are so many bytes to be read, as far as the index knows.
    fn expect(&mut self, bytes: u64);

    /// So many bytes more were read.
    fn read(&mut self, bytes: u64);

    /// Something is not as it should be.
    fn found(&mut self, finding: Finding);
}

/// Gathers what is found.
impl Watch for Vec<Finding> {
    fn expect(&mut self, _: u64) {}

    fn read(&mut self, _: u64) {}

    fn found(&mut self, finding: Finding) {
        self.push(finding);
    }
}
