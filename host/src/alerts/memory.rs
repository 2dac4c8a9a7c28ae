use std::io;
use std::path::{Path, PathBuf};

use super::Alert;
use crate::replace_file::replace_file;

/// The alerts that fire, in a file: whoever was told of them is to hear of their end, also if the host was down then.
#[derive(Debug)]
pub(super) struct Memory(PathBuf);

impl Memory {
    pub(super) fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// What is remembered. A file that can not be understood is none: alerts that still hold are told again then.
    pub(super) fn read(&self) -> Vec<Alert> {
        let path = self.0.display();
        let read = std::fs::read(&self.0).and_then(|text| serde_json::from_slice(&text).map_err(io::Error::other));
        match read {
            Ok(alerts) => alerts,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                tracing::warn!(%path, "the alerts of the last run are not known: {error}");
                Vec::new()
            }
        }
    }

    /// Remembers these alone.
    pub(super) fn write(&self, firing: &[Alert]) {
        let written = serde_json::to_vec_pretty(firing).map_err(io::Error::other);
        if let Err(error) = written.and_then(|text| replace_file(&self.0, &text)) {
            let path = self.0.display();
            tracing::warn!(%path, "the alerts can not be written down, and would be told again after a restart: {error}");
        }
    }
}
