//! The audit log: a file of JSON, one record a line.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use async_trait::async_trait;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::oneshot;

use super::{HostError, OPERATOR};
use crate::error::{Error, Result};
use crate::events::{Event, EventStream, EventType};
use crate::lifecycle::{Audit, AuditOutcome, AuditRecord};

/// The log, in the data folder.
const FILE: &str = "audit.jsonl";
/// What the log is called when it has become too large; the one before it goes.
const EARLIER: &str = "audit.1.jsonl";
/// How large the log becomes.
const MAX_SIZE: u64 = 64 << 20;
/// How many entries wait to be written before those who bring more have to wait.
const WAITING: usize = 1024;

/// Writes records to a file, on a thread of its own.
#[derive(Debug)]
pub(super) struct AuditLog {
    /// There until it is dropped.
    entries: Option<Sender<Entry>>,
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
        let (entries, waiting) = mpsc::channel(WAITING);
        let thread = thread::Builder::new().name("larder-audit".into());
        let writer = thread.spawn(move || writer.run(waiting)).map_err(failed)?;
        Ok(Self { entries: Some(entries), writer: Some(writer), events })
    }
}

impl AuditLog {
    /// Tells of what a policy decided and is done.
    fn tell(&self, record: &AuditRecord) {
        if record.outcome == AuditOutcome::Done && record.by != OPERATOR {
            self.events.publish(|| Event {
                kind: EventType::PolicyDecided,
                store: Some(record.store.clone()),
                subject: Some(record.key.to_string()),
                data: serde_json::to_value(record).unwrap_or_default(),
            });
        }
    }
}

/// Waits until all is written.
impl Drop for AuditLog {
    fn drop(&mut self) {
        drop(self.entries.take());
        if let Some(writer) = self.writer.take() {
            // What it panicked of is told already.
            let _ = writer.join();
        }
    }
}

#[async_trait]
impl Audit for AuditLog {
    async fn begin(&self, records: Vec<AuditRecord>) -> Result<()> {
        let refused = |why: String| Error::unavailable(format!("nothing is done that can not be put on record: {why}"));
        let (written, answer) = oneshot::channel();
        let entry = Entry { records, lasts: Some(written) };
        let sent = async { self.entries.as_ref()?.send(entry).await.ok() }.await;
        match (sent, answer.await) {
            (Some(()), Ok(Ok(()))) => Ok(()),
            (Some(()), Ok(Err(error))) => Err(refused(format!("the audit log can not be written: {error}"))),
            _ => Err(refused("the thread that writes the audit log has ended".to_owned())),
        }
    }

    async fn end(&self, record: AuditRecord) {
        self.tell(&record);
        if let Some(entries) = &self.entries
            && let Err(error) = entries.send(Entry { records: vec![record], lasts: None }).await
        {
            tracing::error!(records = ?error.0.records, "records are missing in the audit log: its thread has ended");
        }
    }
}

/// Records that are written at once.
#[derive(Debug)]
struct Entry {
    records: Vec<AuditRecord>,
    /// Who is to hear that they are on the disk.
    lasts: Option<oneshot::Sender<io::Result<()>>>,
}

struct Writer {
    path: PathBuf,
    file: File,
    size: u64,
    max_size: u64,
}

impl Writer {
    fn open(path: &Path, max_size: u64) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        let size = whole_lines(&mut file)?;
        file.set_len(size)?;
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(Self { path: path.to_owned(), file, size, max_size })
    }

    fn run(mut self, mut entries: Receiver<Entry>) {
        while let Some(Entry { records, lasts }) = entries.blocking_recv() {
            let mut written = self.write(&records);
            if lasts.is_some() {
                written = written.and_then(|()| self.file.sync_data());
            }
            if let Err(error) = &written {
                let path = self.path.display();
                tracing::error!(%path, ?records, "records are missing in the audit log: {error}");
            }
            if let Some(lasts) = lasts {
                // Whoever began this may have gone away; then it does nothing.
                let _ = lasts.send(written);
            }
        }
    }

    /// Writes records, or none of them.
    fn write(&mut self, records: &[AuditRecord]) -> io::Result<()> {
        let mut lines = Vec::new();
        for record in records {
            serde_json::to_writer(&mut lines, record)?;
            lines.push(b'\n');
        }
        if self.size + lines.len() as u64 > self.max_size {
            std::fs::rename(&self.path, self.path.with_file_name(EARLIER))?;
            *self = Self::open(&self.path, self.max_size)?;
        }
        if let Err(error) = self.file.write_all(&lines) {
            self.file.set_len(self.size)?;
            return Err(error);
        }
        self.size += lines.len() as u64;
        Ok(())
    }
}

/// How long a log is up to the end of its last whole line: a loss of power may have cut the next one off.
fn whole_lines(log: &mut File) -> io::Result<u64> {
    const PIECE: u64 = 64 << 10;
    let mut end = log.metadata()?.len();
    while end > 0 {
        let start = end.saturating_sub(PIECE);
        let mut piece = Vec::new();
        log.seek(SeekFrom::Start(start))?;
        log.take(end - start).read_to_end(&mut piece)?;
        if let Some(last) = piece.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + last as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::{AgeingStep, on_record};
    use crate::object::{Key, StoreName, now};

    fn record(key: &str) -> AuditRecord {
        let store = StoreName::new("documents").unwrap();
        AuditRecord::new(&store, &Key::new(key).unwrap(), &AgeingStep::TakeOut, "me".into(), now())
    }

    fn lines(path: &Path) -> Vec<serde_json::Value> {
        std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn records_are_lines_and_an_old_log_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let mut log = Writer::open(&path, 280).unwrap();
        log.write(&[record("a\nb")]).unwrap();
        drop(log);
        let mut log = Writer::open(&path, 280).unwrap();
        let keys = |name: &str| -> Vec<String> {
            lines(&folder.path().join(name)).iter().map(|line| line["key"].as_str().unwrap().to_owned()).collect()
        };
        log.write(&[record("c")]).unwrap();
        assert_eq!(keys(FILE), ["a\nb", "c"]);
        log.write(&[record("d"), record("e")]).unwrap();
        assert_eq!(keys(FILE), ["d", "e"]);
        assert_eq!(keys(EARLIER), ["a\nb", "c"]);
    }

    #[test]
    fn a_line_that_was_cut_off_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        Writer::open(&path, MAX_SIZE).unwrap().write(&[record("a")]).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for half in [vec![b'{'], vec![b'{'; 100_000]] {
            std::fs::write(&path, [whole.clone(), half].concat()).unwrap();
            Writer::open(&path, MAX_SIZE).unwrap().write(&[record("b")]).unwrap();
            let keys: Vec<_> = lines(&path).iter().map(|line| line["key"].clone()).collect();
            assert_eq!(keys, ["a", "b"]);
        }
    }

    #[tokio::test]
    async fn what_begins_is_in_the_file_before_it_is_done_and_then_what_came_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let log = AuditLog::open(folder.path(), EventStream::default()).unwrap();
        let outcomes = || -> Vec<_> { lines(&path).iter().map(|line| line["outcome"].clone()).collect() };
        let fails = async {
            assert_eq!(outcomes(), ["begun"]);
            Err(Error::unavailable("the disk is gone"))
        };
        assert!(on_record(&log, record("a"), fails).await.is_err());
        on_record(&log, record("a"), async { Ok(()) }).await.unwrap();
        drop(log);
        assert_eq!(outcomes(), ["begun", "failed", "begun", "done"]);
    }
}
