//! The audit log: a file of JSON, one record a line.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use async_trait::async_trait;
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::{HostError, OPERATOR};
use crate::events::{Event, EventStream, EventType};
use crate::lifecycle::{Audit, AuditRecord};

/// The log, in the data folder.
const FILE: &str = "audit.jsonl";
/// What the log is called when it has become too large; the one before it goes.
const EARLIER: &str = "audit.1.jsonl";
/// How large the log becomes.
const MAX_SIZE: u64 = 64 << 20;
/// How many records wait to be written before those who bring more have to wait.
const WAITING: usize = 1024;

/// Writes records to a file, on a thread of its own.
#[derive(Debug)]
pub(super) struct AuditLog {
    /// There until it is dropped.
    records: Option<Sender<AuditRecord>>,
    writer: Option<JoinHandle<()>>,
    /// Told of what policies decided.
    events: EventStream,
}

impl AuditLog {
    /// Opens the log in the data folder, and goes on at its end.
    ///
    /// # Errors
    /// [`HostError::DataDir`] if it can not be written.
    pub(super) fn open(data_dir: &Path, events: EventStream) -> Result<Self, HostError> {
        let path = data_dir.join(FILE);
        let hint = "let the user that larder runs as write there";
        let failed = |error| HostError::DataDir { path: path.clone(), error, hint };
        let writer = Writer::open(&path, MAX_SIZE).map_err(failed)?;
        let (records, waiting) = mpsc::channel(WAITING);
        let thread = thread::Builder::new().name("larder-audit".into());
        let writer = thread.spawn(move || writer.run(waiting)).map_err(failed)?;
        Ok(Self { records: Some(records), writer: Some(writer), events })
    }
}

/// Waits until all is written.
impl Drop for AuditLog {
    fn drop(&mut self) {
        drop(self.records.take());
        if let Some(writer) = self.writer.take() {
            // What it panicked of is told already.
            let _ = writer.join();
        }
    }
}

#[async_trait]
impl Audit for AuditLog {
    async fn record(&self, record: AuditRecord) {
        if record.by != OPERATOR {
            self.events.publish(|| Event {
                kind: EventType::PolicyDecided,
                store: Some(record.store.clone()),
                subject: Some(record.key.to_string()),
                data: serde_json::to_value(&record).unwrap_or_default(),
            });
        }
        if let Some(records) = &self.records
            && let Err(error) = records.send(record).await
        {
            tracing::error!(record = ?error.0, "a record is missing in the audit log: its thread has ended");
        }
    }
}

struct Writer {
    path: PathBuf,
    file: File,
    size: u64,
    max_size: u64,
}

impl Writer {
    fn open(path: &Path, max_size: u64) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let size = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, size, max_size })
    }

    fn run(mut self, mut records: Receiver<AuditRecord>) {
        while let Some(record) = records.blocking_recv() {
            if let Err(error) = self.write(&record) {
                let path = self.path.display();
                tracing::error!(%path, ?record, "a record is missing in the audit log: {error}");
            }
        }
    }

    /// Writes one record in one write, so that none is mixed with another.
    fn write(&mut self, record: &AuditRecord) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        if self.size + line.len() as u64 > self.max_size {
            std::fs::rename(&self.path, self.path.with_file_name(EARLIER))?;
            *self = Self::open(&self.path, self.max_size)?;
        }
        self.file.write_all(&line)?;
        self.size += line.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::AgeingStep;
    use crate::object::{Key, StoreName, now};

    #[test]
    fn records_are_lines_and_an_old_log_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let (store, step) = (StoreName::new("documents").unwrap(), AgeingStep::TakeOut);
        let record = |key: &str| AuditRecord::new(&store, &Key::new(key).unwrap(), &step, "me".into(), now());
        let mut log = Writer::open(&path, 250).unwrap();
        log.write(&record("a\nb")).unwrap();
        drop(log);
        let mut log = Writer::open(&path, 250).unwrap();
        let keys = |name: &str| -> Vec<String> {
            let text = std::fs::read_to_string(folder.path().join(name)).unwrap();
            let key =
                |line| serde_json::from_str::<serde_json::Value>(line).unwrap()["key"].as_str().unwrap().to_owned();
            text.lines().map(key).collect()
        };
        log.write(&record("c")).unwrap();
        assert_eq!(keys(FILE), ["a\nb", "c"]);
        log.write(&record("d")).unwrap();
        assert_eq!((keys(FILE), keys(EARLIER)), (vec!["d".to_owned()], vec!["a\nb".to_owned(), "c".to_owned()]));
    }
}
