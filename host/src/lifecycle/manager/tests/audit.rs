//! What is put on record of what is done.

use super::*;

#[derive(Debug, Default)]
struct Records(Mutex<Vec<AuditRecord>>);

#[async_trait]
impl Audit for Records {
    async fn begin(&self, records: Vec<AuditRecord>) -> Result<()> {
        self.0.lock().extend(records);
        Ok(())
    }

    async fn end(&self, record: AuditRecord) {
        self.0.lock().push(record);
    }
}

#[tokio::test]
async fn what_is_deleted_waits_in_the_trash_and_all_is_on_record() {
    let store = Arc::new(Map::default());
    store.put("a", "bytes", day(0)).await;
    store.put("b", "bytes", day(0)).await;
    let records = Arc::new(Records::default());
    let delete_a = each(|object| if object.key.as_str() == "a" { DELETE } else { Decision::KEEP });
    let manager = manager(&store).with_policy("drafts", delete_a).with_trash(DAY * 7).with_audit(records.clone());
    let run = async |now| {
        let LifecycleReport { deleted, in_trash, purged, kept, .. } = manager.apply_policies(now).await.unwrap();
        (deleted, in_trash, purged, kept)
    };
    assert_eq!(run(day(1)).await, (1, 0, 0, 1));
    assert_eq!(run(day(7)).await, (0, 1, 0, 1));
    assert_eq!(store.keys(), ["a", "b"]);
    assert_eq!(run(day(8)).await, (0, 0, 1, 1));
    assert_eq!(store.keys(), ["b"]);
    let records = std::mem::take(&mut *records.0.lock()).into_iter();
    let records: Vec<_> = records.map(|it| (it.action, it.outcome, it.by, it.time, it.size)).collect();
    let trash = |outcome| ("trash", outcome, "drafts".to_owned(), day(1), Some(5));
    let purge = |outcome| ("purge", outcome, String::new(), day(8), None);
    let [begun, done] = [AuditOutcome::Begun, AuditOutcome::Done];
    assert_eq!(records, [trash(begun), trash(done), purge(begun), purge(done)]);
}

/// An audit log that can not be written.
#[derive(Debug)]
struct Unwritable;

#[async_trait]
impl Audit for Unwritable {
    async fn begin(&self, _: Vec<AuditRecord>) -> Result<()> {
        Err(Error::unavailable("the log can not be written"))
    }

    async fn end(&self, _: AuditRecord) {
        unreachable!("nothing was begun")
    }
}

#[tokio::test]
async fn what_can_not_be_put_on_record_is_not_done() {
    let store = Arc::new(Map::default());
    store.put("a", "bytes", day(0)).await;
    let manager = manager(&store).with_policy("delete", each(|_| DELETE)).with_audit(Arc::new(Unwritable));
    let report = manager.apply_policies(day(1)).await.unwrap();
    assert_eq!((report.failed, report.deleted, report.problems.len()), (1, 0, 1));
    assert_eq!(store.keys(), ["a"]);
}
