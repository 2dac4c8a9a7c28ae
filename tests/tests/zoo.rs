//! The contract finds what is wrong: every fault of the zoo is named by a promise, and its healthy twin keeps them all.
//!
//! A fault is held to the promises that should name it. With `LARDER_ZOO=1` it is held to all, which takes many minutes,
//! and all that it breaks is told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use larder::contract::{self, Component, Options, Outcome, Part, Promise};
use larder::lifecycle::LifecycleManager;
use larder::object::{Attributes, Body, Key, StoreName, Tags, Timestamp, now};
use larder::plugin::{Kind, PluginError};
use larder::provider::file::{Durability, FileOptions, FileStorageProvider};
use larder::provider::layers::{Ageing, AgeingOptions};
use larder::provider::memory::MemoryStorageProvider;
use larder::provider::{Stamp, StorageProvider, StoreOptions};
use larder_tests::{Runtime, tell};
use serde_json::{Value, json};

/// A fault, by its name in the settings of the zoo, and promises that must be broken by it.
type Animal = (&'static str, &'static [&'static str]);

const PROVIDERS: &[Animal] = &[
    // What ends the instance: whatever is asked of it breaks.
    ("trap", &["one_byte_reads_back", "a_deleted_object_is_gone", "an_empty_store_lists_nothing"]),
    ("wait", &["one_byte_reads_back", "a_deleted_object_is_gone", "an_empty_store_lists_nothing"]),
    ("loop", &["one_byte_reads_back", "an_empty_store_lists_nothing"]),
    ("bomb", &["one_byte_reads_back", "an_empty_store_lists_nothing"]),
    ("overflow", &["one_byte_reads_back", "an_empty_store_lists_nothing"]),
    // What garbles an answer.
    ("flip", &["one_byte_reads_back", "blocks_read_back", "readers_see_one_version_whole"]),
    ("short", &["one_byte_reads_back", "several_mebibytes_in_pieces_read_back"]),
    ("cut", &["several_mebibytes_in_pieces_read_back", "many_readers_each_get_all"]),
    ("oversized", &["several_mebibytes_in_pieces_read_back", "many_readers_each_get_all"]),
    ("drip", &["several_mebibytes_in_pieces_read_back"]),
    ("lie-size", &["one_byte_reads_back", "a_range_has_the_metadata_of_the_whole"]),
    ("lie-key", &["one_byte_reads_back", "case_matters"]),
    ("range-offset", &["a_range_between_two_positions", "random_ranges_are_the_right_bytes"]),
    // What loses or mixes up writes.
    ("lost-overwrite", &["an_overwrite_replaces_the_bytes", "random_operations_do_what_a_map_does"]),
    ("stale-read", &["an_overwrite_replaces_the_bytes", "random_operations_do_what_a_map_does"]),
    ("commit-early", &["a_failed_first_write_leaves_nothing", "a_body_may_be_cut_off_anywhere"]),
    ("no-empty", &["an_empty_object_reads_back"]),
    ("old-attributes", &["an_overwrite_replaces_the_attributes"]),
    ("new-creation", &["an_overwrite_keeps_created_at"]),
    ("own-etag", &["etag_and_times_are_those_of_the_stamp"]),
    ("no-tags", &["attributes_read_back"]),
    ("update-etag", &["an_update_leaves_bytes_times_and_etag"]),
    ("lost-update", &["an_update_changes_what_it_names"]),
    ("lost-delete", &["a_deleted_object_is_gone"]),
    ("delete-nothing", &["deleting_what_is_not_there_is_not_found", "of_racing_deletions_one_wins"]),
    ("leak", &["room_is_used_again"]),
    ("lock-on-upload", &["a_stalled_writer_holds_nobody_up", "an_unfinished_write_is_not_seen"]),
    // What breaks conditions.
    ("ignore-condition", &["if_absent_leaves_what_is_there", "if_match_leaves_another_version"]),
    ("racy-swap", &["of_racing_conditional_streams_one_wins", "calls_on_one_key_take_effect_one_after_the_other"]),
    // What mixes up keys.
    ("case-blind", &["case_matters"]),
    ("slash-blind", &["an_object_can_stand_beside_keys_below_it", "slashes_are_kept"]),
    ("short-keys", &["the_longest_keys_are_kept_whole", "long_segments_are_kept"]),
    // What breaks listings.
    ("order", &["a_list_is_in_byte_order", "the_order_is_that_of_utf8"]),
    ("flood", &["a_page_heeds_its_limit"]),
    ("endless", &["an_empty_store_lists_nothing"]),
    ("no-more", &["pages_join_to_the_whole", "more_objects_than_a_page_holds"]),
    ("skip-one", &["pages_join_to_the_whole", "listings_hold_while_objects_come_and_go"]),
    ("start-inclusive", &["a_list_starts_behind_a_key"]),
    ("prefix-is-folder", &["a_prefix_is_bytes"]),
    ("list-ghosts", &["a_deleted_object_is_gone", "a_list_sees_changes_at_once"]),
];

const STRATEGIES: &[Animal] = &[
    ("trap", &["victims_are_residents", "everything_can_be_dropped"]),
    ("loop", &["everything_can_be_dropped"]),
    ("bomb", &["everything_can_be_dropped"]),
    ("overflow", &["everything_can_be_dropped"]),
    ("no-small-shard", &["it_opens_for_any_capacity"]),
    ("stranger", &["victims_are_residents"]),
    ("undead", &["victims_are_residents", "what_was_dropped_is_forgotten"]),
    ("removed", &["victims_are_residents", "what_was_removed_is_no_victim"]),
    ("duplicate", &["a_victim_is_named_once"]),
    ("too-few", &["victims_weigh_what_is_wanted"]),
    ("too-many", &["victims_are_at_most_as_many_as_asked_for", "no_victims_allowed_are_none"]),
    ("greedy", &["no_more_are_dropped_than_it_takes"]),
    ("unwanted", &["nothing_is_dropped_when_nothing_is_wanted"]),
    ("never-last", &["everything_can_be_dropped", "a_newcomer_can_be_dropped"]),
    ("slot-only", &["a_slot_can_pass_on_within_a_batch", "an_entry_can_come_and_go_within_a_batch"]),
    ("narrow", &["equal_weights_are_counted"]),
    ("leak", &["memory_stops_growing"]),
    ("small-batch", &["a_batch_of_many_events_is_taken"]),
    ("by-hash", &["hashes_may_be_the_same"]),
    ("own-snapshot", &["any_bytes_may_be_handed_over"]),
    ("trust-snapshot", &["any_bytes_may_be_handed_over"]),
    ("remember-ids", &["a_snapshot_may_be_older_than_the_residents"]),
    ("hand-over", &["a_snapshot_changes_nothing"]),
    ("hoard", &["a_snapshot_is_bounded"]),
    ("trap-snapshot", &["a_fresh_instance_takes_over_with_a_snapshot"]),
    ("loop-snapshot", &["a_fresh_instance_takes_over_with_a_snapshot"]),
    ("flood-snapshot", &["a_fresh_instance_takes_over_with_a_snapshot"]),
    ("loop-restore", &["a_fresh_instance_takes_over_with_a_snapshot"]),
    ("bomb-restore", &["a_fresh_instance_takes_over_with_a_snapshot"]),
];

const POLICIES: &[Animal] = &[
    ("trap", &["there_are_as_many_decisions_as_candidates"]),
    ("loop", &["there_are_as_many_decisions_as_candidates"]),
    ("bomb", &["there_are_as_many_decisions_as_candidates"]),
    ("overflow", &["there_are_as_many_decisions_as_candidates"]),
    ("error", &["there_are_as_many_decisions_as_candidates", "any_key_is_decided_on"]),
    ("too-few", &["there_are_as_many_decisions_as_candidates"]),
    ("too-many", &["there_are_as_many_decisions_as_candidates"]),
    ("none-of-one", &["there_are_as_many_decisions_as_candidates"]),
    ("empty-batch", &["there_are_as_many_decisions_as_candidates"]),
    ("small-batch", &["a_large_batch_is_decided_on"]),
    ("counts", &["the_same_question_gets_the_same_answer"]),
    ("remembers", &["earlier_questions_leave_no_trace", "a_fresh_instance_decides_the_same"]),
    ("first", &["the_order_of_candidates_does_not_matter"]),
    ("crowd", &["the_batch_of_a_candidate_does_not_matter"]),
    ("backwards", &["the_order_of_candidates_does_not_matter"]),
    ("ascii-keys", &["any_key_is_decided_on"]),
    ("signed-sizes", &["any_size_is_decided_on"]),
    ("no-future", &["any_time_is_decided_on"]),
    ("few-tags", &["any_attributes_are_decided_on"]),
    ("wobbly-retention", &["retention_does_not_depend_on_the_time"]),
    ("late", &["nothing_changes_before_it_is_foreseen"]),
    ("blind", &["nothing_changes_before_it_is_foreseen"]),
    ("deletes-read", &["no_read_changes_what_is_foreseen"]),
    ("few-foreseen", &["anything_can_be_asked_for_its_next_change"]),
    ("trap-foresight", &["anything_can_be_asked_for_its_next_change"]),
    ("loop-foresight", &["anything_can_be_asked_for_its_next_change"]),
    ("foresees-backwards", &["nothing_changes_before_it_is_foreseen", "to_foresee_is_to_compute"]),
];

/// The zoo of a kind, with its faults.
fn zoo(kind: Kind) -> (&'static str, &'static [Animal]) {
    match kind {
        Kind::Provider => ("zoo", PROVIDERS),
        Kind::Eviction => ("zoo-eviction", STRATEGIES),
        Kind::Lifecycle => ("zoo-lifecycle", POLICIES),
    }
}

async fn animal(runtime: &Runtime, kind: Kind, fault: Option<&str>, timeout: Duration) -> Result<Part, PluginError> {
    let settings = fault.map_or(Value::Null, |fault| json!({ "fault": fault }));
    let cage = |mut component: Component| {
        component.options.limits.memory = 32 << 20;
        component.options.limits.call_timeout = Some(timeout);
        component
    };
    runtime.part(zoo(kind).0, settings, cage).await
}

/// How long a call of a broken part may take: those that never end make a test wait for so long.
const SHORT: Duration = Duration::from_millis(500);
/// How long one of a healthy part may take, on a machine that has other things to do.
const LONG: Duration = Duration::from_secs(20);

async fn check(part: &Part, name: &str) -> Outcome {
    let promise: &'static Promise = contract::promises(part.kind())
        .iter()
        .find(|promise| promise.name == name)
        .unwrap_or_else(|| panic!("nobody promises {name}"));
    promise.check(part, &Options::default()).await
}

/// Faults that none of the promises that should name them does.
async fn unnamed(kind: Kind) -> Vec<String> {
    let (runtime, mut unnamed) = (Runtime::new(), Vec::new());
    for (fault, promises) in zoo(kind).1 {
        let part = animal(&runtime, kind, Some(fault), SHORT).await.unwrap_or_else(|error| panic!("{fault}: {error}"));
        if std::env::var_os("LARDER_ZOO").is_some() {
            let report = contract::check(fault, &part, &Options::default()).await;
            let broken: Vec<_> = report.broken().map(|outcome| outcome.promise.name).collect();
            tell(&format!("{} {fault}: {} broken: {}", kind.as_str(), broken.len(), broken.join(", ")));
        }
        for promise in *promises {
            let outcome = check(&part, promise).await;
            if !outcome.is_broken() {
                unnamed.push(format!("{fault}: {outcome}"));
            }
        }
    }
    unnamed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_fault_of_a_provider_is_named() {
    let unnamed = unnamed(Kind::Provider).await;
    assert!(unnamed.is_empty(), "{}", unnamed.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_an_eviction_strategy_is_named() {
    let unnamed = unnamed(Kind::Eviction).await;
    assert!(unnamed.is_empty(), "{}", unnamed.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_a_lifecycle_policy_is_named() {
    let unnamed = unnamed(Kind::Lifecycle).await;
    assert!(unnamed.is_empty(), "{}", unnamed.join("\n"));
}

/// Faults of a policy that no answer comes of which could be obeyed, with objects such as [`old_objects`] has.
const UNHEARD: &[&str] =
    &["trap", "loop", "bomb", "overflow", "error", "too-few", "too-many", "ascii-keys", "no-future", "few-tags"];

/// A store of objects that are 40 days old, among them one whose key is no ASCII and one with many tags, and one from the
/// future.
async fn old_objects(provider: Arc<dyn StorageProvider>, now: Timestamp) -> Arc<Ageing> {
    let old = now - Duration::from_secs(40 * 24 * 60 * 60);
    let options = AgeingOptions {
        store: StoreName::new("objects").unwrap(),
        archive: None,
        recall: false,
        lock: None,
        clock: Arc::new(move || now),
    };
    let store = Arc::new(Ageing::new(provider, options));
    let put = async |key: &str, updated_at, tags| {
        let attributes = Attributes { tags: Tags::from_pairs(tags).unwrap(), ..Attributes::default() };
        let options = StoreOptions { attributes, stamp: Stamp::at(updated_at), ..StoreOptions::default() };
        store.store(&Key::new(key).unwrap(), Body::from("bytes"), options).await.unwrap();
    };
    for number in 0..100 {
        put(&format!("{number:03}"), old, Vec::new()).await;
    }
    put("ä", old, Vec::new()).await;
    put("future", now + Duration::from_secs(60), Vec::new()).await;
    put("tagged", old, (0..30).map(|number| (number.to_string(), "x".to_owned())).collect()).await;
    store
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_fails_deletes_nothing() {
    let (runtime, now) = (Runtime::new(), now());
    for fault in [None].into_iter().chain(UNHEARD.iter().copied().map(Some)) {
        let patience = if fault.is_some() { SHORT } else { LONG };
        let part = animal(&runtime, Kind::Lifecycle, fault, patience).await.unwrap();
        let Part::Lifecycle(subject) = part else { panic!("the zoo has policies") };
        let store = old_objects(Arc::new(MemoryStorageProvider::new()), now).await;
        let policy = subject.open().await.unwrap();
        let manager =
            LifecycleManager::new(StoreName::new("objects").unwrap(), store.clone()).with_policy("animal", policy);
        let report = manager.apply_policies(now).await.unwrap();
        let left = store.usage().await.unwrap().objects;
        match fault {
            None => assert_eq!((report.deleted, left), (102, 1), "the healthy one is obeyed"),
            Some(fault) => {
                assert_eq!((report.deleted, report.kept_by_failure, left), (0, 103, 103), "{fault}: {report:?}");
                assert!(report.problems[0].contains("`animal`"), "{fault}: {report:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_fails_to_foresee_is_asked_about_everything_again() {
    let (runtime, now) = (Runtime::new(), now());
    let early = now - Duration::from_secs(20 * 24 * 60 * 60);
    for (fault, again) in
        [(None, 0), (Some("trap-foresight"), 103), (Some("loop-foresight"), 103), (Some("few-foreseen"), 103)]
    {
        let patience = if fault.is_some() { SHORT } else { LONG };
        let Part::Lifecycle(subject) = animal(&runtime, Kind::Lifecycle, fault, patience).await.unwrap() else {
            panic!("the zoo has policies")
        };
        let folder = tempfile::tempdir().unwrap();
        let files = FileStorageProvider::open(folder.path(), &FileOptions { durability: Durability::None }).unwrap();
        let store = old_objects(Arc::new(files), now).await;
        let policy = subject.open().await.unwrap();
        let manager =
            LifecycleManager::new(StoreName::new("objects").unwrap(), store.clone()).with_policy("animal", policy);
        for (at, considered, deleted) in [(early, 103, 0), (early, again, 0)] {
            let report = manager.apply_policies(at).await.unwrap();
            assert_eq!((report.considered, report.deleted), (considered, deleted), "{fault:?}: {report:?}");
        }
        // The restart of one that ended may take a moment.
        let deadline = Instant::now() + Duration::from_secs(30);
        while manager.apply_policies(now).await.unwrap().deleted == 0 {
            assert!(Instant::now() < deadline, "{fault:?}: what it decides is not done any more");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(store.usage().await.unwrap().objects, 1, "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_healthy_twins_keep_every_promise() {
    let runtime = Runtime::new();
    for kind in Kind::ALL {
        let part = animal(&runtime, kind, None, LONG).await.unwrap();
        let report = contract::check(zoo(kind).0, &part, &Options::default()).await;
        let counts = report.counts();
        assert_eq!((counts.broken, counts.unsupported), (0, 0), "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_part_does_not_claim_is_told_and_no_breach() {
    let runtime = Runtime::new();
    let nightly = animal(&runtime, Kind::Lifecycle, Some("nightly"), LONG).await.unwrap();
    let report = contract::check("nightly", &nightly, &Options::default()).await;
    let counts = report.counts();
    assert_eq!((counts.broken, counts.unsupported), (0, 1), "{report}");
    let outcome = check(&nightly, "what_is_due_stays_due").await;
    let told = outcome.verdict.detail().unwrap_or_default();
    assert!(told.contains("is to be deleted as of") && told.contains("it is not"), "{told}");

    let read_only = animal(&runtime, Kind::Provider, Some("read-only"), LONG).await.unwrap();
    let outcome = check(&read_only, "one_byte_reads_back").await;
    assert_eq!(outcome.to_string(), "unsupported one_byte_reads_back: it only reads");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_open_is_not_held_to_anything() {
    let runtime = Runtime::new();
    for kind in Kind::ALL {
        let error = animal(&runtime, kind, Some("panic-at-open"), SHORT).await.unwrap_err();
        assert!(matches!(error, PluginError::Start(_)), "{kind}: {error:?}");
        let error = animal(&runtime, kind, Some("no-such-fault"), SHORT).await.unwrap_err();
        assert!(matches!(error, PluginError::Settings(_)), "{kind}: {error:?}");
    }
    let error = animal(&runtime, Kind::Provider, Some("refuse-to-open"), SHORT).await.unwrap_err();
    assert!(matches!(error, PluginError::Settings(_)), "{error:?}");
    let error = runtime.part("versions", Value::Null, |component| component).await.unwrap_err();
    assert!(matches!(error, PluginError::Ungranted(_)), "{error:?}");
}
