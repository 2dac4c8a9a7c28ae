//! Runs by policies that go by when an object was last read.

use std::path::Path;

use super::*;
use crate::lifecycle::ReadLog;

/// A world whose objects, "read" and "unread", go thirty days after they were last read, and its log of reads.
async fn one_of_two_read(folder: &Path) -> (World, Arc<ReadLog>) {
    let rule = Rule { since: Since::Read, delete_after: Some(DAY * 30), ..Rule::default() };
    let world = World::new(files(&folder.join("store")), &[rule], None);
    let clock = {
        let today = world.today.clone();
        Arc::new(move || day(today.load(Ordering::Relaxed)))
    };
    let reads = Arc::new(ReadLog::open(&folder.join("reads"), clock).unwrap());
    for name in ["read", "unread"] {
        let options = StoreOptions { stamp: Stamp::at(day(0)), ..StoreOptions::default() };
        world.store.store(&key(name), Body::from("bytes"), options).await.unwrap();
    }
    (world, reads)
}

#[tokio::test]
async fn what_was_read_meanwhile_is_due_later() {
    let folder = tempfile::tempdir().unwrap();
    let (world, reads) = one_of_two_read(folder.path()).await;
    let run = async |number| {
        world.today.store(number, Ordering::Relaxed);
        let report = world.manager().with_reads(reads.clone()).apply_policies(day(number)).await.unwrap();
        (report.considered, report.deleted)
    };
    assert_eq!(run(1).await, (2, 0));
    world.today.store(20, Ordering::Relaxed);
    reads.note(&key("read"));
    assert_eq!(run(29).await, (0, 0));
    assert_eq!(run(30).await, (2, 1), "one of them is found read");
    assert_eq!(run(49).await, (0, 0));
    assert_eq!(run(51).await, (1, 1), "to the minute after it was read");
}

/// Reads an object when something is about to be done with it.
#[derive(Debug)]
struct LateReader {
    reads: Arc<ReadLog>,
    key: Key,
}

#[async_trait]
impl Audit for LateReader {
    async fn begin(&self, _: Vec<AuditRecord>) -> Result<()> {
        self.reads.note(&self.key);
        Ok(())
    }

    async fn end(&self, _: AuditRecord) {}
}

#[tokio::test]
async fn what_is_read_after_it_was_judged_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (world, reads) = one_of_two_read(folder.path()).await;
    let reader = Arc::new(LateReader { reads: reads.clone(), key: key("read") });
    let manager = world.manager().with_reads(reads).with_audit(reader);
    for (today, changed_meanwhile, deleted) in [(40, 1, 1), (41, 0, 0)] {
        world.today.store(today, Ordering::Relaxed);
        let report = manager.apply_policies(day(today)).await.unwrap();
        assert_eq!((report.changed_meanwhile, report.deleted), (changed_meanwhile, deleted), "day {today}: {report:?}");
    }
}

#[tokio::test]
async fn to_tell_policies_of_reads_begins_a_new_index() {
    let folder = tempfile::tempdir().unwrap();
    let world = some_old(&folder.path().join("store"), DAY * 60).await;
    let reads = Arc::new(ReadLog::open(&folder.path().join("reads"), Arc::new(|| day(50))).unwrap());
    for (tells, considered) in [(false, 100), (false, 0), (true, 100), (true, 0), (false, 100)] {
        let reads = tells.then(|| reads.clone());
        let manager = reads.into_iter().fold(world.manager(), LifecycleManager::with_reads);
        assert_eq!(manager.apply_policies(day(50)).await.unwrap().considered, considered, "{tells}");
    }
}
