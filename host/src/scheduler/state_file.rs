use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::record::Records;
use crate::replace_file::replace_file;

/// The file that remembers tasks over restarts.
#[derive(Clone, Debug)]
pub(super) struct StateFile(PathBuf);

impl StateFile {
    pub(super) fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// What it remembers; nothing if it is not there. What can not be understood is set aside and told of: tasks then begin
    /// anew, and run rather too often than not at all.
    pub(super) fn read(&self) -> Option<Records> {
        let Self(path) = self;
        let records = fs::read(path).and_then(|text| Ok(serde_json::from_slice::<Records>(&text)?));
        let why = match records {
            Ok(records) if records.version == Records::VERSION => return Some(records),
            Ok(records) => format!("it is of version {}, and this larder knows {}", records.version, Records::VERSION),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => error.to_string(),
        };
        let aside = path.with_extension("damaged.json");
        let kept = match fs::rename(path, &aside) {
            Ok(()) => format!("kept as {}", aside.display()),
            Err(error) => format!("not kept: {error}"),
        };
        tracing::warn!(
            "what tasks did before is forgotten, pauses included: {} can not be used: {why} ({kept})",
            path.display()
        );
        None
    }

    /// Writes it anew, in one step. It blocks.
    pub(super) fn write(&self, records: &Records) -> io::Result<()> {
        replace_file(&self.0, &serde_json::to_vec(records)?)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}
