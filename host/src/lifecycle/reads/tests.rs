use std::sync::atomic::AtomicU64;

use super::*;
use crate::object::{Checksum, ETag, timestamp_from_millis};

const HOUR: Duration = Duration::from_secs(60 * 60);

fn hour(number: u64) -> Timestamp {
    timestamp_from_millis(1_800_000_000_000) + HOUR * u32::try_from(number).unwrap()
}

fn object(name: &str) -> StorageMetadata {
    StorageMetadata {
        key: Key::new(name).unwrap(),
        size: 5,
        created_at: hour(0),
        updated_at: hour(0),
        checksum: Checksum::of(b"bytes"),
        etag: ETag::generate(),
        attributes: crate::object::Attributes::default(),
    }
}

struct Home {
    folder: tempfile::TempDir,
    hours: Arc<AtomicU64>,
}

impl Home {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), hours: Arc::default() }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("reads/store.sqlite")
    }

    fn clock(&self) -> Clock {
        let hours = Arc::clone(&self.hours);
        Arc::new(move || hour(hours.load(Ordering::Relaxed)))
    }

    fn open_at(&self, hours: u64) -> ReadLog {
        self.hours.store(hours, Ordering::Relaxed);
        ReadLog::open(&self.path(), self.clock()).unwrap()
    }
}

/// In which hour, counting what was read in it as read at its beginning.
async fn last_read(log: &ReadLog, name: &str) -> Timestamp {
    log.last_reads(&[object(name)]).await[0]
}

fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

#[tokio::test]
async fn a_read_is_known_at_once_and_after_a_restart() {
    let home = Home::new();
    let log = home.open_at(1);
    home.hours.store(5, Ordering::Relaxed);
    log.note(&key("a"));
    assert_eq!((last_read(&log, "a").await, last_read(&log, "b").await), (hour(5), hour(1)));
    home.hours.store(7, Ordering::Relaxed);
    // To the minute, and never too early.
    let minute = Duration::from_secs(60);
    assert_eq!(last_read(&log, "a").await, hour(5) + minute);
    drop(log);
    let log = home.open_at(9);
    assert_eq!((last_read(&log, "a").await, last_read(&log, "b").await), (hour(5) + minute, hour(1)));
    log.forget(&key("a"));
    assert_eq!(last_read(&log, "a").await, hour(1));
    drop(log);
    assert_eq!(last_read(&home.open_at(9), "a").await, hour(1));
}

#[tokio::test]
async fn what_a_kill_may_have_taken_counts_as_read_then() {
    let home = Home::new();
    let log = home.open_at(1);
    home.hours.store(5, Ordering::Relaxed);
    log.note(&key("a"));
    log.noted.write();
    assert_eq!(last_read(&ReadLog::peek(&home.path(), home.clock()).unwrap(), "b").await, hour(1));
    // The end of the process without the end of the log.
    std::mem::forget(log);
    let log = home.open_at(9);
    assert_eq!((last_read(&log, "a").await, last_read(&log, "b").await), (hour(9), hour(9)));
    drop(log);
    assert_eq!(last_read(&home.open_at(20), "b").await, hour(9), "and not later than then");
}

#[tokio::test]
async fn what_there_is_no_room_for_counts_as_read() {
    let home = Home::new();
    let log = home.open_at(1);
    let (names, before) = ((0..300_000).map(|number| key(&number.to_string())), hour(1));
    home.hours.store(5, Ordering::Relaxed);
    // Nothing is written meanwhile.
    let file = log.noted.file.lock();
    names.for_each(|key| log.note(&key));
    drop(file);
    assert!(log.noted.table.all().len() <= 64 * 2048);
    assert!(last_read(&log, "never read").await > before);
    let read = last_read(&log, "299999").await;
    assert!(read >= hour(5), "{read}");
}

#[tokio::test]
async fn a_file_that_can_not_be_read_is_made_anew_and_all_counts_as_read() {
    let home = Home::new();
    drop(home.open_at(1));
    std::fs::write(home.path(), "nonsense".repeat(1000)).unwrap();
    assert_eq!(last_read(&home.open_at(3), "a").await, hour(3));
    ReadLog::remove(&home.path()).unwrap();
    assert!(ReadLog::peek(&home.path(), home.clock()).is_none());
    assert_eq!(last_read(&home.open_at(4), "a").await, hour(4), "nobody noted anything meanwhile");
}

#[tokio::test]
async fn what_is_written_is_not_unread_since_before_that() {
    let home = Home::new();
    let log = home.open_at(1);
    home.hours.store(9, Ordering::Relaxed);
    let written = StorageMetadata { updated_at: hour(6), ..object("a") };
    assert_eq!(log.last_reads(&[written]).await, [hour(6)]);
}
