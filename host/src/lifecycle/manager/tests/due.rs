//! Runs that look at what is due, beside runs that walk.

mod foresight;
mod reads;

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::lifecycle::{Rule, Since};
use crate::object::{Attributes, UserMetadata};
use crate::provider::file::{Durability, FileOptions, FileStorageProvider};
use crate::provider::layers::{Archived, Lock, Restored, Trashed};
use crate::provider::memory::MemoryStorageProvider;

/// A store whose objects age, its archive, and what the time is for both.
struct World {
    store: Arc<Ageing>,
    rules: Vec<Rule>,
    trash: Option<Duration>,
    today: Arc<AtomicU64>,
    /// Whether nobody knows what the rules will say.
    walks: bool,
}

/// A rule of which nobody knows what it will say.
#[derive(Debug)]
struct Unforeseen(Rule);

impl LifecyclePolicy for Unforeseen {
    fn should_archive(&self, candidate: &Candidate, now: Timestamp) -> bool {
        self.0.should_archive(candidate, now)
    }

    fn should_delete(&self, candidate: &Candidate, now: Timestamp) -> bool {
        self.0.should_delete(candidate, now)
    }

    fn retention_period(&self, candidate: &Candidate) -> Duration {
        self.0.retention_period(candidate)
    }

    fn tags(&self, candidate: &Candidate, now: Timestamp) -> Option<&Tags> {
        self.0.tags(candidate, now)
    }
}

/// An object as readers and the trash have it; that of each world has an etag of its own once it is archived.
type Seen = (String, u64, Tags, bool, Option<Timestamp>, Option<Timestamp>, Timestamp);

impl World {
    fn new(hot: Arc<dyn StorageProvider>, rules: &[Rule], trash: Option<Duration>) -> Self {
        let today = Arc::new(AtomicU64::new(0));
        let (locks, clock) = (rules.to_vec(), today.clone());
        let lock: Lock = Arc::new(move |object| locks.iter().filter_map(|rule| rule.locks_until(object)).max());
        let options = AgeingOptions {
            store: StoreName::new("hot").unwrap(),
            archive: Some((StoreName::new("cold").unwrap(), Arc::new(MemoryStorageProvider::new()))),
            recall: true,
            lock: Some(lock),
            clock: Arc::new(move || day(clock.load(Ordering::Relaxed))),
        };
        Self { store: Arc::new(Ageing::new(hot, options)), rules: rules.to_vec(), trash, today, walks: false }
    }

    fn manager(&self) -> LifecycleManager {
        let manager = LifecycleManager::new(StoreName::new("hot").unwrap(), self.store.clone());
        let manager = self.trash.into_iter().fold(manager, LifecycleManager::with_trash);
        let rules = self.rules.iter().enumerate();
        rules.fold(manager, |manager, (at, rule)| {
            let policy: Arc<dyn LifecyclePolicy> =
                if self.walks { Arc::new(Unforeseen(rule.clone())) } else { Arc::new(rule.clone()) };
            manager.with_policy(&at.to_string(), policy)
        })
    }

    /// What comes of a run: what was done, and what there is.
    async fn run(&self) -> ([u64; 6], Vec<Seen>) {
        let report = self.manager().apply_policies(day(self.today.load(Ordering::Relaxed))).await.unwrap();
        let LifecycleReport { archived, deleted, tagged, purged, failed, changed_meanwhile, .. } = report;
        ([archived, deleted, tagged, purged, failed, changed_meanwhile], self.seen().await)
    }

    async fn seen(&self) -> Vec<Seen> {
        let objects = self.store.list_with_trash(&ListQuery::all()).await.unwrap().objects.into_iter();
        let seen = objects.map(|object| {
            let trashed = Trashed::of(&object).map(|mark| mark.until);
            let restored = Restored::of(&object).map(|mark| mark.until);
            let archived = Archived::of(&object).is_some();
            (
                object.key.to_string(),
                object.size,
                object.attributes.tags,
                archived,
                trashed,
                restored,
                object.updated_at,
            )
        });
        seen.collect()
    }

    async fn take(&self, step: &Step) {
        let now = day(self.today.load(Ordering::Relaxed));
        // Whether there is something to do it with is the same in both worlds.
        match step {
            Step::Wait(days) => drop(self.today.fetch_add(*days, Ordering::Relaxed)),
            Step::Put { key, size, created, updated, tag } => {
                let stamp = Stamp {
                    etag: ETag::new(format!("{key}-{size}-{updated}-{}", now.timestamp())).unwrap(),
                    updated_at: day(0) + DAY * *updated,
                    created_at: Some(day(0) + DAY * *created),
                };
                let attributes = Attributes { tags: tags(*tag), ..Attributes::default() };
                let options = StoreOptions { attributes, stamp, ..StoreOptions::default() };
                let _ = self.store.store(key, Body::from(vec![b'x'; *size]), options).await;
            }
            Step::Tag(key, tag) => {
                let changes = AttributeChanges { tags: Some(tags(*tag)), ..AttributeChanges::default() };
                let _ = self.store.update(key, changes, None).await;
            }
            Step::Mark(key) => {
                let user_metadata = UserMetadata::from_pairs([("own".to_owned(), now.to_string())]).unwrap();
                let changes = AttributeChanges { user_metadata: Some(user_metadata), ..AttributeChanges::default() };
                let _ = self.store.update(key, changes, None).await;
            }
            Step::Delete(key) => drop(self.store.delete(key, None).await),
            Step::Restore(key, days) => {
                let _ = self.store.age(key, AgeingStep::Restore { until: now + DAY * *days }).await;
            }
            Step::TakeOut(key) => drop(self.store.age(key, AgeingStep::TakeOut).await),
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Put { key: Key, size: usize, created: u32, updated: u32, tag: Option<&'static str> },
    Tag(Key, Option<&'static str>),
    Mark(Key),
    Delete(Key),
    Restore(Key, u32),
    TakeOut(Key),
}

fn tags(tag: Option<&str>) -> Tags {
    Tags::from_pairs(tag.map(|tag| ("state".to_owned(), tag.to_owned()))).unwrap()
}

fn keys() -> impl Strategy<Value = Key> {
    (select(vec!["a/", "b/"]), 0..2_u32).prop_map(|(prefix, number)| key(&format!("{prefix}{number}")))
}

fn some_tag() -> impl Strategy<Value = Option<&'static str>> {
    select(vec![None, Some("draft"), Some("final")])
}

fn spans() -> impl Strategy<Value = Option<Duration>> {
    prop::option::weighted(0.5, (0..12_u32).prop_map(|days| DAY * days))
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (keys(), select(vec![0, 10, 1000]), 0..6_u32, 0..6_u32, some_tag()).prop_map(
            |(key, size, created, updated, tag)| Step::Put { key, size, created, updated, tag }
        ),
        1 => (keys(), some_tag()).prop_map(|(key, tag)| Step::Tag(key, tag)),
        1 => keys().prop_map(Step::Mark),
        1 => keys().prop_map(Step::Delete),
        2 => (keys(), 0..20_u32).prop_map(|(key, days)| Step::Restore(key, days)),
        1 => keys().prop_map(Step::TakeOut),
    ]
}

prop_compose! {
    fn a_rule()(
        prefix in select(vec!["", "a/", "b/"]),
        tag in some_tag(),
        larger_than in prop::option::weighted(0.3, Just(100)),
        since in select(vec![Since::Updated, Since::Created]),
        archive_after in spans(),
        delete_after in spans(),
        tag_after in spans(),
        retain in spans(),
        lock in any::<bool>(),
    ) -> Rule {
        let tag_after = tag_after.map(|after| {
            (after, Tags::from_pairs([("class".to_owned(), "old".to_owned())]).unwrap())
        });
        Rule {
            prefix: prefix.to_owned(),
            tags: tags(tag),
            larger_than,
            smaller_than: None,
            since,
            archive_after,
            delete_after,
            tag_after,
            retain: retain.unwrap_or_default(),
            lock: lock && retain.is_some(),
        }
    }
}

fn files(folder: &std::path::Path) -> Arc<FileStorageProvider> {
    let options = FileOptions { durability: Durability::None };
    Arc::new(FileStorageProvider::open(folder, &options).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 160, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_run_over_what_is_due_does_what_a_walk_does(
        rules in prop::collection::vec(a_rule(), 1..4),
        trash in spans(),
        // Most runs come when little has changed but the time.
        days in prop::collection::vec((1..5_u64, prop::collection::vec(steps(), 0..4)), 4..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let files = World::new(files(folder.path()), &rules, trash);
            let memory = World::new(Arc::new(MemoryStorageProvider::new()), &rules, trash);
            let walked = World { walks: true, ..World::new(Arc::new(MemoryStorageProvider::new()), &rules, trash) };
            for (wait, steps) in &days {
                let wait = Step::Wait(*wait);
                for step in steps.iter().chain([&wait]) {
                    for world in [&files, &memory, &walked] {
                        world.take(step).await;
                    }
                }
                let (before, after) = (walked.seen().await, walked.run().await);
                assert_eq!(walked.store.clone().due_index().unwrap().state().await.unwrap(), None);
                for indexed in [&files, &memory] {
                    assert_eq!(indexed.seen().await, before, "before the run");
                    assert_eq!(indexed.run().await, after);
                    let state = indexed.store.clone().due_index().unwrap().state().await.unwrap().unwrap();
                    assert!(state.complete);
                }
            }
        });
    }
}

/// A world of a hundred objects, of which ten are old.
async fn some_old(folder: &std::path::Path, delete_after: Duration) -> World {
    let rule = Rule { delete_after: Some(delete_after), ..Rule::default() };
    let world = World::new(files(folder), &[rule], None);
    for number in 0..100 {
        let options =
            StoreOptions { stamp: Stamp::at(day(if number < 10 { 0 } else { 50 })), ..StoreOptions::default() };
        world.store.store(&key(&format!("{number:02}")), Body::from("bytes"), options).await.unwrap();
    }
    world
}

#[tokio::test]
async fn once_it_has_walked_it_looks_only_at_what_is_due_or_changed() {
    let folder = tempfile::tempdir().unwrap();
    let world = some_old(folder.path(), DAY * 60).await;
    let counts = async |world: &World, now| {
        let LifecycleReport { considered, deleted, kept, .. } = world.manager().apply_policies(now).await.unwrap();
        (considered, deleted, kept)
    };
    assert_eq!(counts(&world, day(50)).await, (100, 0, 100), "a walk");
    assert_eq!(counts(&world, day(59)).await, (0, 0, 0));
    assert_eq!(counts(&world, day(60)).await, (10, 10, 0), "those that are due");
    let options = StoreOptions { stamp: Stamp::at(day(50)), ..StoreOptions::default() };
    world.store.store(&key("50"), Body::from("new"), options).await.unwrap();
    assert_eq!(counts(&world, day(61)).await, (1, 0, 1), "what is changed");
    // Another rule is another walk, also over what the first one deferred.
    let rules = vec![Rule { delete_after: Some(DAY * 11), ..Rule::default() }];
    let world = World { rules, ..world };
    assert_eq!(counts(&world, day(61)).await, (90, 90, 0));
}

#[tokio::test]
async fn what_was_restored_is_due_when_it_may_be_archived_again() {
    let folder = tempfile::tempdir().unwrap();
    let rule = Rule { archive_after: Some(DAY), ..Rule::default() };
    let world = World::new(files(folder.path()), &[rule], None);
    let options = StoreOptions { stamp: Stamp::at(day(0)), ..StoreOptions::default() };
    world.store.store(&key("a"), Body::from("bytes"), options).await.unwrap();
    let archived = async |now| world.manager().apply_policies(now).await.unwrap().archived;
    assert_eq!(archived(day(1)).await, 1);
    world.store.age(&key("a"), AgeingStep::Restore { until: day(9) }).await.unwrap();
    for now in 1..9 {
        assert_eq!(archived(day(now)).await, 0);
    }
    assert_eq!(archived(day(9)).await, 1);
}

#[tokio::test]
async fn a_policy_that_foresees_nothing_has_all_walked_over_and_keeps_no_index() {
    let folder = tempfile::tempdir().unwrap();
    let world = some_old(folder.path(), DAY * 60).await;
    world.manager().apply_policies(day(50)).await.unwrap();
    let with_plugin = world.manager().with_policy("plugin", each(|_| Decision::KEEP));
    for _ in 0..2 {
        assert_eq!(with_plugin.apply_policies(day(50)).await.unwrap().considered, 100);
    }
    assert_eq!(world.store.clone().due_index().unwrap().state().await.unwrap(), None);
    let monitored = world.manager().with_monitored_policy("plugin", each(|_| DELETE));
    assert_eq!(monitored.apply_policies(day(50)).await.unwrap().monitored["plugin"].would_delete, 100);
}

#[tokio::test]
async fn a_walk_that_is_cut_off_is_gone_on_with_and_then_the_index_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let world = some_old(&folder.path().join("store"), DAY * 60).await;
    for number in 100..600 {
        let options = StoreOptions { stamp: Stamp::at(day(0)), ..StoreOptions::default() };
        world.store.store(&key(&format!("{number}")), Body::from("bytes"), options).await.unwrap();
    }
    let manager = world.manager().with_progress(folder.path().join("progress.json"));
    let mut run = manager.begin(None).await.unwrap();
    let batch = run.course.next(&*manager.store, day(50)).await.unwrap().unwrap();
    let looks =
        batch.objects.iter().map(|object| (object.key.clone(), batch.next_look(object, Some(day(60)), day(50))));
    run.course.set(looks.collect()).await.unwrap();
    let (behind, report) = (run.course.behind().unwrap(), LifecycleReport { considered: 512, ..run.report });
    assert!(matches!(&behind, crate::lifecycle::progress::Behind::Key(_)));
    let cut_off = Progress { policies: manager.policies_digest(), at: day(0), behind, report };

    // What was written behind it meanwhile is not lost.
    let options = StoreOptions { stamp: Stamp::at(day(0)), ..StoreOptions::default() };
    world.store.store(&key("0"), Body::from("bytes"), options).await.unwrap();
    assert_eq!(manager.apply(day(50), Some(cut_off)).await.unwrap().considered, 600);
    assert!(world.store.clone().due_index().unwrap().state().await.unwrap().unwrap().complete);
    assert_eq!(manager.apply_policies(day(60)).await.unwrap().deleted, 511);
}
