use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What outlasts a loss of power of the writes that a file provider acknowledged. A crash of the process, `kill -9` too,
/// they outlast always.
///
/// It holds for what is written from then on: a store that was opened with less before has that much of its past.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// All of them.
    #[default]
    Strict,
    /// All but those of about the last second; each of those is there whole, or the object is as it was before.
    Relaxed,
    /// Nothing that is promised: what is lost is gone, or corrupt; never other bytes.
    None,
}

impl Durability {
    /// Its word in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Relaxed => "relaxed",
            Self::None => "none",
        }
    }

    /// Whether bodies and folders are synced before anything refers to them.
    pub(super) fn syncs_files(self) -> bool {
        self != Self::None
    }
}
