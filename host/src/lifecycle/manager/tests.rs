use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use super::*;
use crate::object::{AttributeChanges, Body, ByteRange, Checksum, ETag, Key, Object, Tags, timestamp_from_millis};
use crate::provider::{Condition, Page, Stamp, StoreOptions};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Days after some moment.
fn day(number: u64) -> Timestamp {
    timestamp_from_millis(1_800_000_000_000 + number * DAY.as_millis() as u64)
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

/// A store in a map, which can fail and can be told to meddle before a deletion.
#[derive(Debug, Default)]
struct Map {
    objects: Mutex<BTreeMap<Key, (StorageMetadata, Bytes)>>,
    /// Stores other bytes than those given.
    garbles: bool,
    /// Fails each store.
    full: bool,
    /// Fails each list after the first.
    lists: Option<Mutex<u32>>,
    /// Each deletion comes right after another writer's overwrite.
    overwritten_before_delete: bool,
}

impl Map {
    async fn put(&self, name: &str, bytes: &'static str, updated_at: Timestamp) -> StorageMetadata {
        let options = StoreOptions { stamp: Stamp::at(updated_at), ..StoreOptions::default() };
        self.store(&key(name), Body::from(bytes), options).await.unwrap()
    }

    fn keys(&self) -> Vec<String> {
        self.objects.lock().keys().map(Key::to_string).collect()
    }
}

#[async_trait]
impl StorageProvider for Map {
    async fn store(&self, key: &Key, body: Body, options: StoreOptions) -> Result<StorageMetadata> {
        if self.full {
            return Err(Error::exhausted("there is no room left"));
        }
        let mut bytes = body.collect(1 << 20).await?;
        if self.garbles {
            bytes = bytes.slice(1..);
        }
        let mut objects = self.objects.lock();
        let previous = objects.get(key).map(|(metadata, _)| metadata.clone());
        options.condition.check(key, previous.as_ref().map(|previous| &previous.etag))?;
        let metadata = options.into_metadata(key.clone(), bytes.len() as u64, Checksum::of(&bytes), previous.as_ref());
        objects.insert(key.clone(), (metadata.clone(), bytes));
        Ok(metadata)
    }

    async fn retrieve(&self, key: &Key, range: Option<ByteRange>) -> Result<Object> {
        assert!(range.is_none(), "the manager asks for whole objects");
        let (metadata, bytes) = self.objects.lock().get(key).cloned().ok_or_else(|| Error::not_found(key))?;
        Ok(Object { range: 0..metadata.size, metadata: metadata.into(), body: Body::Bytes(bytes) })
    }

    async fn delete(&self, key: &Key, if_match: Option<&ETag>) -> Result<()> {
        if self.overwritten_before_delete {
            self.store(key, Body::from("written meanwhile"), StoreOptions::default()).await?;
        }
        let mut objects = self.objects.lock();
        let (metadata, _) = objects.get(key).ok_or_else(|| Error::not_found(key))?;
        let condition = Condition::IfMatch(if_match.expect("nothing is deleted unseen").clone());
        condition.check(key, Some(&metadata.etag))?;
        objects.remove(key);
        Ok(())
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        if let Some(lists) = &self.lists {
            *lists.lock() += 1;
            if *lists.lock() > 1 {
                return Err(Error::unavailable("the disk is gone"));
            }
        }
        let objects = self.objects.lock();
        let after = |name: &Key| query.start_after.as_deref().is_none_or(|after| name.as_str() > after);
        let mut matching = objects.iter().filter(|(name, _)| after(name)).map(|(_, (metadata, _))| metadata.clone());
        let objects: Vec<_> = matching.by_ref().take(query.limit).collect();
        Ok(Page { objects, more: matching.next().is_some() })
    }

    async fn metadata(&self, key: &Key) -> Result<StorageMetadata> {
        let objects = self.objects.lock();
        objects.get(key).map(|(metadata, _)| metadata.clone()).ok_or_else(|| Error::not_found(key))
    }

    async fn update(&self, key: &Key, changes: AttributeChanges, _: Option<&ETag>) -> Result<StorageMetadata> {
        let mut objects = self.objects.lock();
        let (metadata, _) = objects.get_mut(key).ok_or_else(|| Error::not_found(key))?;
        metadata.attributes.apply(changes);
        Ok(metadata.clone())
    }
}

/// A policy that is a function from all candidates to all decisions.
struct Policy<F>(F);

impl<F> fmt::Debug for Policy<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Policy")
    }
}

impl<F> LifecyclePolicy for Policy<F>
where
    F: Fn(&[Candidate], Timestamp) -> Result<Vec<Decision>> + Send + Sync + 'static,
{
    fn should_archive(&self, _: &Candidate, _: Timestamp) -> bool {
        false
    }

    fn should_delete(&self, _: &Candidate, _: Timestamp) -> bool {
        false
    }

    fn retention_period(&self, _: &Candidate) -> Duration {
        Duration::ZERO
    }

    fn decide(&self, candidates: &[Candidate], now: Timestamp) -> Result<Vec<Decision>> {
        (self.0)(candidates, now)
    }
}

fn each(decide: impl Fn(&StorageMetadata) -> Decision + Send + Sync + 'static) -> Arc<dyn LifecyclePolicy> {
    Arc::new(Policy(move |candidates: &[Candidate], _| {
        Ok(candidates.iter().map(|candidate| decide(&candidate.metadata)).collect())
    }))
}

const DELETE: Decision = Decision { delete: true, ..Decision::KEEP };
const ARCHIVE: Decision = Decision { archive: true, ..Decision::KEEP };

fn retain(retain: Duration) -> Decision {
    Decision { retain, ..Decision::KEEP }
}

fn manager(store: &Arc<Map>) -> LifecycleManager {
    LifecycleManager::new(StoreName::new("hot").unwrap(), store.clone())
}

#[tokio::test]
async fn what_a_policy_wants_deleted_goes_and_the_rest_stays() {
    let store = Arc::new(Map::default());
    for number in 0..1500 {
        store.put(&format!("{number:04}"), "bytes", day(0)).await;
    }
    let even = |metadata: &StorageMetadata| {
        let number: u32 = metadata.key.as_str().parse().unwrap();
        if number.is_multiple_of(2) { DELETE } else { Decision::KEEP }
    };
    let manager = manager(&store).with_policy("even", each(even));

    let plan = manager.plan(day(1)).await.unwrap();
    assert_eq!((plan.len(), store.keys().len()), (750, 1500), "a plan changes nothing");

    let report = manager.apply_policies(day(1)).await.unwrap();
    let expected = LifecycleReport { considered: 1500, deleted: 750, kept: 750, ..LifecycleReport::default() };
    assert_eq!(report, expected);
    assert!(store.keys().iter().all(|key| !key.parse::<u32>().unwrap().is_multiple_of(2)));
}

#[tokio::test]
async fn the_longest_retention_wins() {
    let store = Arc::new(Map::default());
    store.put("young", "bytes", day(5)).await;
    store.put("old", "bytes", day(0)).await;
    let manager = manager(&store)
        .with_policy("short", each(|_| retain(DAY)))
        .with_policy("delete", each(|_| DELETE))
        .with_policy("long", each(|_| retain(DAY * 7)));

    let plan = manager.plan(day(6)).await.unwrap();
    let verdicts: Vec<_> = plan.into_iter().map(|planned| planned.verdict).collect();
    assert_eq!(verdicts, [Verdict::Retained { until: day(7) }, Verdict::Retained { until: day(12) }]);

    let report = manager.apply_policies(day(7)).await.unwrap();
    assert_eq!((report.deleted, report.kept_by_retention), (1, 1), "the end of the retention is not in it");
    assert_eq!(store.keys(), ["young"]);
}

#[tokio::test]
async fn retention_without_end_is_one() {
    let store = Arc::new(Map::default());
    store.put("a", "bytes", day(0)).await;
    let forever = each(|_| Decision { retain: Duration::MAX, ..DELETE });
    let report = manager(&store).with_policy("forever", forever).apply_policies(day(100_000)).await.unwrap();
    assert_eq!(report.kept_by_retention, 1);
}

#[tokio::test]
async fn a_policy_that_fails_keeps_everything() {
    let wrongs: [(&str, Arc<dyn LifecyclePolicy>); 4] = [
        ("is broken", Arc::new(Policy(|_: &[Candidate], _| Err(Error::internal("the plugin is broken"))))),
        ("panicked", Arc::new(Policy(|_: &[Candidate], _| panic!("a policy that panics")))),
        ("decided about 1", Arc::new(Policy(|_: &[Candidate], _| Ok(vec![DELETE])))),
        ("decided about 3", Arc::new(Policy(|_: &[Candidate], _| Ok(vec![DELETE; 3])))),
    ];
    for (problem, wrong) in wrongs {
        let store = Arc::new(Map::default());
        store.put("a", "bytes", day(0)).await;
        store.put("b", "bytes", day(0)).await;
        let manager = manager(&store).with_policy("delete", each(|_| DELETE)).with_policy("wrong", wrong);
        let report = manager.apply_policies(day(1)).await.unwrap();
        assert_eq!((report.considered, report.kept_by_failure, report.deleted), (2, 2, 0), "{problem}");
        assert_eq!(report.problems.len(), 1);
        assert!(report.problems[0].contains("`wrong`") && report.problems[0].contains(problem), "{report:?}");
        assert_eq!(store.keys(), ["a", "b"]);
        assert!(manager.execute(day(1)).await.is_err());
    }
}

#[tokio::test]
async fn a_failure_keeps_its_batch_alone() {
    let store = Arc::new(Map::default());
    for number in 0..LifecycleManager::BATCH + 10 {
        store.put(&format!("{number:04}"), "bytes", day(0)).await;
    }
    let second_fails = Policy(|candidates: &[Candidate], _| {
        let first = candidates[0].metadata.key.as_str() == "0000";
        if first { Ok(vec![DELETE; candidates.len()]) } else { Err(Error::timeout("it took too long")) }
    });
    let report = manager(&store).with_policy("half", Arc::new(second_fails)).apply_policies(day(1)).await.unwrap();
    assert_eq!((report.deleted, report.kept_by_failure), (LifecycleManager::BATCH as u64, 10));
}

#[tokio::test]
async fn archiving_comes_before_deleting_and_keeps_all_but_the_etag() {
    let (store, cold) = (Arc::new(Map::default()), Arc::new(Map::default()));
    store.put("a", "first bytes", day(0)).await;
    store.put("a", "bytes", day(2)).await;
    let tags = Tags::from_pairs([("state".to_owned(), "done".to_owned())]).unwrap();
    let changes = AttributeChanges { tags: Some(tags), ..AttributeChanges::default() };
    let original = store.update(&key("a"), changes, None).await.unwrap();
    assert_eq!((original.created_at, original.updated_at), (day(0), day(2)));

    let both = each(|_| Decision { delete: true, ..ARCHIVE });
    let report =
        manager(&store).with_archive(cold.clone()).with_policy("both", both).apply_policies(day(3)).await.unwrap();
    assert_eq!((report.archived, report.deleted), (1, 0));
    assert!(store.keys().is_empty());
    let copy = cold.retrieve(&key("a"), None).await.unwrap();
    assert_ne!(copy.metadata.etag, original.etag);
    assert_eq!(StorageMetadata { etag: original.etag.clone(), ..StorageMetadata::clone(&copy.metadata) }, original);
    assert_eq!(copy.body.collect(100).await.unwrap(), "bytes");
}

#[tokio::test]
async fn what_can_not_be_archived_stays() {
    let archives = [
        (None, "archive_to"),
        (Some(Map { full: true, ..Map::default() }), "no room"),
        (Some(Map { garbles: true, ..Map::default() }), "the copy in the archive has 4 bytes"),
    ];
    for (archive, problem) in archives {
        let store = Arc::new(Map::default());
        store.put("a", "bytes", day(0)).await;
        let mut manager = manager(&store).with_policy("both", each(|_| Decision { delete: true, ..ARCHIVE }));
        if let Some(archive) = archive {
            manager = manager.with_archive(Arc::new(archive));
        }
        let report = manager.apply_policies(day(1)).await.unwrap();
        assert_eq!((report.failed, report.archived, report.deleted), (1, 0, 0));
        assert!(report.problems[0].contains(problem), "{report:?}");
        assert_eq!(store.keys(), ["a"]);
    }
}

#[tokio::test]
async fn an_older_object_in_the_archive_is_replaced_and_a_later_one_is_not() {
    for (there, archived) in [(day(0), 1), (day(9), 0)] {
        let (store, cold) = (Arc::new(Map::default()), Arc::new(Map::default()));
        store.put("a", "bytes", day(5)).await;
        cold.put("a", "other", there).await;
        let manager = manager(&store).with_archive(cold.clone()).with_policy("archive", each(|_| ARCHIVE));
        let report = manager.apply_policies(day(10)).await.unwrap();
        assert_eq!((report.archived, report.failed), (archived, 1 - archived));
        let kept = cold.retrieve(&key("a"), None).await.unwrap().body.collect(100).await.unwrap();
        assert_eq!(kept, if archived == 1 { "bytes" } else { "other" });
    }
}

#[tokio::test]
async fn a_run_cut_off_between_copy_and_deletion_is_carried_on() {
    let (store, cold) = (Arc::new(Map::default()), Arc::new(Map::default()));
    let original = store.put("a", "bytes", day(0)).await;
    archive::copy(&*store, &*cold, &original).await.unwrap();
    let copied = cold.metadata(&key("a")).await.unwrap();

    let manager = manager(&store).with_archive(cold.clone()).with_policy("archive", each(|_| ARCHIVE));
    assert_eq!(manager.apply_policies(day(1)).await.unwrap().archived, 1);
    assert!(store.keys().is_empty());
    assert_eq!(cold.metadata(&key("a")).await.unwrap(), copied, "it was not copied again");
}

#[tokio::test]
async fn a_write_meanwhile_is_never_lost() {
    for decision in [DELETE, ARCHIVE] {
        let store = Arc::new(Map { overwritten_before_delete: true, ..Map::default() });
        store.put("a", "bytes", day(0)).await;
        let cold = Arc::new(Map::default());
        let manager = manager(&store).with_archive(cold).with_policy("policy", each(move |_| decision));
        let report = manager.apply_policies(day(1)).await.unwrap();
        assert_eq!((report.changed_meanwhile, report.deleted, report.archived), (1, 0, 0));
        let bytes = store.retrieve(&key("a"), None).await.unwrap().body.collect(100).await.unwrap();
        assert_eq!(bytes, "written meanwhile");
    }
}

#[tokio::test]
async fn what_changes_while_it_is_judged_is_left_alone() {
    for decision in [DELETE, ARCHIVE] {
        let store = Arc::new(Map::default());
        store.put("gone", "bytes", day(0)).await;
        store.put("tagged", "bytes", day(0)).await;
        store.put("written", "bytes", day(0)).await;
        let meddled = store.clone();
        let meddling = Policy(move |candidates: &[Candidate], _| {
            let mut objects = meddled.objects.lock();
            objects.remove("gone");
            objects.get_mut("tagged").unwrap().0.attributes.tags.set("hold", "yes").unwrap();
            objects.get_mut("written").unwrap().0.etag = ETag::generate();
            Ok(vec![decision; candidates.len()])
        });
        let cold = Arc::new(Map::default());
        let manager = manager(&store).with_archive(cold.clone()).with_policy("meddling", Arc::new(meddling));
        let report = manager.apply_policies(day(1)).await.unwrap();
        assert_eq!((report.changed_meanwhile, report.failed), (3, 0), "{report:?}");
        assert_eq!(store.keys(), ["tagged", "written"]);
        assert!(cold.keys().is_empty());
    }
}

#[tokio::test]
async fn a_store_out_of_reach_is_an_error() {
    let store = Arc::new(Map { lists: Some(Mutex::new(0)), ..Map::default() });
    for number in 0..LifecycleManager::BATCH + 1 {
        store.put(&format!("{number:04}"), "bytes", day(0)).await;
    }
    let manager = manager(&store).with_policy("delete", each(|_| DELETE));
    assert!(matches!(manager.apply_policies(day(1)).await, Err(Error::Unavailable { .. })));
    assert!(matches!(manager.plan(day(1)).await, Err(Error::Unavailable { .. })));
}

#[tokio::test]
async fn a_monitored_policy_is_heard_and_not_obeyed() {
    let store = Arc::new(Map::default());
    for name in ["gone", "stays", "both"] {
        store.put(name, "bytes", day(0)).await;
    }
    let deletes = |names: &'static [&'static str]| {
        each(move |metadata| Decision { delete: names.contains(&metadata.key.as_str()), ..Decision::KEEP })
    };
    let manager = manager(&store)
        .with_policy("decides", deletes(&["gone", "both"]))
        .with_monitored_policy("new", deletes(&["stays", "both"]))
        .with_monitored_policy("broken", Arc::new(Policy(|_: &[Candidate], _| Err(Error::internal("trapped")))));
    let report = manager.apply_policies(day(1)).await.unwrap();
    assert_eq!((report.deleted, report.kept), (2, 1));
    assert_eq!(report.monitored["new"], Differences { would_delete: 1, would_keep: 1, ..Differences::default() });
    assert_eq!(report.monitored["new"].count(), 2);
    assert_eq!(report.monitored["broken"], Differences { unheard: 3, ..Differences::default() });
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}
