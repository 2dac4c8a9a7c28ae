use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scalar::{Scalar, scalar_serde};
use super::schedule::ScheduleConfig;
use crate::backup::Keep;
use crate::object::StoreName;

/// When a store is backed up, and where to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupConfig {
    /// Where backups are kept: a folder, or `larder://STORE`. Several stores may share it.
    pub to: RepositoryAddress,
    /// When it is done.
    pub schedule: ScheduleConfig,
    /// Which of the store's backups are kept after each new one; the others are removed. Without it all are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Keep>,
}

/// Where backups are kept: a folder, or a store, which is written `larder://STORE`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RepositoryAddress {
    /// A folder.
    Folder(PathBuf),
    /// A store of the same host.
    Store(StoreName),
}

impl RepositoryAddress {
    const SCHEME: &str = "larder://";

    /// Reads a relative folder from this one on.
    pub(super) fn rebase(&mut self, folder: &Path) {
        if let Self::Folder(path) = self {
            *path = folder.join(&*path);
        }
    }
}

impl FromStr for RepositoryAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix(Self::SCHEME) {
            Some(name) => match StoreName::new(name.strip_suffix('/').unwrap_or(name)) {
                Ok(store) => Ok(Self::Store(store)),
                Err(error) => Err(format!("{text:?} is no place for backups: {error}; write larder://STORE")),
            },
            None if text.is_empty() => Err(format!("{text:?} is not {}", Self::EXPECTED)),
            None => Ok(Self::Folder(PathBuf::from(text))),
        }
    }
}

impl fmt::Display for RepositoryAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{}", path.display()),
            Self::Store(store) => write!(f, "{}{store}", Self::SCHEME),
        }
    }
}

impl Scalar for RepositoryAddress {
    const EXPECTED: &'static str = "a place for backups: a folder, or larder://STORE";
    const PATTERN: &'static str = "^.+$";
}

scalar_serde!(RepositoryAddress);
