mod answers;
mod audit;
mod due;
mod resume;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use super::*;
use crate::lifecycle::{AgeingStep, AuditOutcome, AuditRecord};
use crate::object::{AttributeChanges, Body, ByteRange, Checksum, ETag, Key, Object, Tags, timestamp_from_millis};
use crate::provider::layers::{Ageing, AgeingOptions};
use crate::provider::{Condition, Page, Stamp, StorageProvider, StoreOptions};

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
    /// Each deletion, and each write that replaces something, comes right after another writer's overwrite.
    overwritten_before: bool,
}

impl Map {
    async fn put(&self, name: &str, bytes: &'static str, updated_at: Timestamp) -> StorageMetadata {
        let options = StoreOptions { stamp: Stamp::at(updated_at), ..StoreOptions::default() };
        self.store(&key(name), Body::from(bytes), options).await.unwrap()
    }

    async fn meddle(&self, key: &Key) {
        self.store(key, Body::from("written meanwhile"), StoreOptions::default()).await.unwrap();
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
        if self.overwritten_before && matches!(options.condition, Condition::IfMatch(_)) {
            self.meddle(key).await;
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
        if self.overwritten_before {
            self.meddle(key).await;
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

const DELETE: Decision = Decision { delete: true, archive: false, retain: Duration::ZERO, tags: Tags::new() };
const ARCHIVE: Decision = Decision { archive: true, delete: false, retain: Duration::ZERO, tags: Tags::new() };

fn retain(retain: Duration) -> Decision {
    Decision { retain, ..Decision::KEEP }
}

fn ageing(store: &Arc<Map>, archive: Option<&Arc<Map>>) -> Arc<Ageing> {
    let archive = archive.map(|archive| (StoreName::new("cold").unwrap(), archive.clone() as Arc<dyn StorageProvider>));
    let options = AgeingOptions {
        store: StoreName::new("hot").unwrap(),
        archive,
        recall: true,
        lock: None,
        clock: Arc::new(|| day(0)),
    };
    Arc::new(Ageing::new(store.clone(), options))
}

fn manager(store: &Arc<Map>) -> LifecycleManager {
    LifecycleManager::new(StoreName::new("hot").unwrap(), ageing(store, None))
}

fn archiving(store: &Arc<Map>, archive: &Arc<Map>) -> LifecycleManager {
    LifecycleManager::new(StoreName::new("hot").unwrap(), ageing(store, Some(archive)))
}

async fn plan(manager: &LifecycleManager, now: Timestamp) -> Result<Vec<Planned>> {
    let mut plan = Vec::new();
    manager.plan(now, &mut |planned| plan.push(planned)).await?;
    Ok(plan)
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
    let registry = prometheus::Registry::new();
    let metrics = LifecycleMetrics::new(&registry).unwrap();
    let manager = manager(&store).with_policy("even", each(even)).with_metrics(metrics);

    let plan = plan(&manager, day(1)).await.unwrap();
    assert_eq!((plan.len(), store.keys().len()), (750, 1500), "a plan changes nothing");

    let report = manager.apply_policies(day(1)).await.unwrap();
    let expected = LifecycleReport { considered: 1500, deleted: 750, kept: 750, ..LifecycleReport::default() };
    assert_eq!(report, expected);
    assert!(store.keys().iter().all(|key| !key.parse::<u32>().unwrap().is_multiple_of(2)));
    let counted = &registry.gather()[0];
    let of = |outcome: &str| {
        let is = |label: &prometheus::proto::LabelPair| label.name() == "outcome" && label.value() == outcome;
        let found = counted.get_metric().iter().find(|metric| metric.get_label().iter().any(is));
        found.unwrap().get_counter().get_value()
    };
    assert_eq!((of("deleted"), of("kept"), of("failed")), (750.0, 750.0, 0.0));
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

    let plan = plan(&manager, day(6)).await.unwrap();
    let by: Vec<_> = plan.iter().map(|planned| planned.by.as_ref().unwrap().to_string()).collect();
    let verdicts: Vec<_> = plan.into_iter().map(|planned| planned.verdict).collect();
    assert_eq!(by, ["long", "long"]);
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
    let manager = archiving(&store, &cold).with_policy("both", both);
    let report = manager.apply_policies(day(3)).await.unwrap();
    assert_eq!((report.archived, report.deleted), (1, 0));
    assert_eq!(store.metadata(&key("a")).await.unwrap().size, 0);
    let read = ageing(&store, Some(&cold)).retrieve(&key("a"), None).await.unwrap();
    assert_eq!(*read.metadata, original);
    assert_eq!(read.body.collect(100).await.unwrap(), "bytes");

    let report = manager.apply_policies(day(4)).await.unwrap();
    assert_eq!((report.archived, report.deleted), (0, 1), "what is archived already is deleted");
    assert!(store.keys().is_empty() && cold.keys().is_empty());
}

#[tokio::test]
async fn what_can_not_be_archived_stays() {
    let archives = [
        (None, "archive_to"),
        (Some(Map { full: true, ..Map::default() }), "no room"),
        (Some(Map { garbles: true, ..Map::default() }), "4 bytes that are not the 5 that were stored"),
    ];
    for (archive, problem) in archives {
        let store = Arc::new(Map::default());
        store.put("a", "bytes", day(0)).await;
        let archive = archive.map(Arc::new);
        let store_of = ageing(&store, archive.as_ref());
        let manager = LifecycleManager::new(StoreName::new("hot").unwrap(), store_of)
            .with_policy("both", each(|_| Decision { delete: true, ..ARCHIVE }));
        let report = manager.apply_policies(day(1)).await.unwrap();
        assert_eq!((report.failed, report.archived, report.deleted), (1, 0, 0));
        assert!(report.problems[0].contains(problem), "{report:?}");
        assert_eq!(store.keys(), ["a"]);
    }
}

#[tokio::test]
async fn a_write_meanwhile_is_never_lost() {
    for decision in [DELETE, ARCHIVE] {
        let store = Arc::new(Map { overwritten_before: true, ..Map::default() });
        store.put("a", "bytes", day(0)).await;
        let cold = Arc::new(Map::default());
        let manager = archiving(&store, &cold).with_policy("policy", each(move |_| decision.clone()));
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
            Ok(vec![decision.clone(); candidates.len()])
        });
        let cold = Arc::new(Map::default());
        let manager = archiving(&store, &cold).with_policy("meddling", Arc::new(meddling));
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
    assert!(matches!(plan(&manager, day(1)).await, Err(Error::Unavailable { .. })));
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

#[tokio::test]
async fn tags_are_added_once_and_a_restored_object_stays_for_a_time() {
    let (store, cold) = (Arc::new(Map::default()), Arc::new(Map::default()));
    store.put("a", "bytes", day(0)).await;
    let old = Tags::from_pairs([("class".to_owned(), "old".to_owned())]).unwrap();
    let tags = old.clone();
    let rules =
        archiving(&store, &cold).with_policy("tag", each(move |_| Decision { tags: tags.clone(), ..Decision::KEEP }));
    assert_eq!(rules.apply_policies(day(1)).await.unwrap().tagged, 1);
    assert_eq!(rules.apply_policies(day(1)).await.unwrap().tagged, 0);
    assert_eq!(store.metadata(&key("a")).await.unwrap().attributes.tags, old);

    let manager = archiving(&store, &cold).with_policy("archive", each(|_| ARCHIVE));
    assert_eq!(manager.apply_policies(day(2)).await.unwrap().archived, 1);
    ageing(&store, Some(&cold)).age(&key("a"), AgeingStep::Restore { until: day(9) }).await.unwrap();
    assert_eq!(manager.apply_policies(day(8)).await.unwrap().archived, 0);
    assert_eq!(manager.apply_policies(day(9)).await.unwrap().archived, 1);
}

#[tokio::test]
async fn an_explanation_says_what_each_policy_wants() {
    let store = Arc::new(Map::default());
    let object = store.put("a", "bytes", day(0)).await;
    let manager = manager(&store)
        .with_policy("delete", each(|_| DELETE))
        .with_policy("hold", each(|_| retain(DAY)))
        .with_monitored_policy("new", each(|_| ARCHIVE));
    let (planned, opinions) = manager.explain(object, day(0)).await.unwrap();
    assert_eq!((planned.verdict, planned.by.as_deref()), (Verdict::Retained { until: day(1) }, Some("hold")));
    let said: Vec<_> =
        opinions.iter().map(|it| (&*it.policy, it.decides, it.archive, it.delete, it.retain_until)).collect();
    let expected = [
        ("delete", true, false, true, None),
        ("hold", true, false, false, Some(day(1))),
        ("new", false, true, false, None),
    ];
    assert_eq!(said, expected);
}
