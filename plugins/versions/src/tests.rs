use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;

use larder_sdk::testing::{self, MemoryStore, run};

use super::*;

/// The layer over two fresh stores, which are there to look into.
fn open(keep: u16) -> (Versions, Rc<MemoryStore>, Rc<MemoryStore>) {
    let (current, history) = (testing::grant("current"), testing::grant("history"));
    let versions = run(testing::open_provider(&format!("{{\"keep\": {keep}}}"))).unwrap();
    (versions, current, history)
}

async fn put(versions: &Versions, key: &str, bytes: &str) -> Result<Metadata> {
    versions.store(key, Upload::new(bytes), testing::options()).await
}

async fn bytes(store: &impl StorageProvider, key: &str) -> String {
    let object = store.retrieve(key, None).await.unwrap();
    String::from_utf8(object.body.collect(1 << 20).await.unwrap()).unwrap()
}

/// What a history holds, oldest first.
async fn contents(history: &MemoryStore) -> Vec<String> {
    let mut found = Vec::new();
    for version in history.list(&ListQuery::with_prefix("")).await.unwrap().objects {
        found.push(bytes(history, &version.key).await);
    }
    found
}

#[test]
fn the_last_versions_are_kept_oldest_first() {
    let (versions, _, history) = open(2);
    run(async {
        for text in ["one", "two", "three", "four"] {
            put(&versions, "a/b", text).await.unwrap();
            put(&versions, "a", &text.to_uppercase()).await.unwrap();
        }
        assert_eq!(bytes(&versions, "a/b").await, "four");
        assert_eq!(contents(&history).await, ["TWO", "THREE", "two", "three"]);
    });
}

#[test]
fn a_version_keeps_its_metadata() {
    let (versions, _, history) = open(2);
    run(async {
        let mut options = testing::options();
        options.attributes.content_type = Some("text/plain".into());
        options.attributes.tags.set("class", "x");
        let first = versions.store("k", Upload::new("one"), options).await.unwrap();
        put(&versions, "k", "two").await.unwrap();
        let page = history.list(&ListQuery::with_prefix("1:k/")).await.unwrap();
        let version = &page.objects[0];
        assert_eq!(version.key, format!("1:k/{:020}-{}", first.updated_at.as_millis(), first.etag));
        assert_eq!(Metadata { key: "k".into(), ..version.clone() }, first);
    });
}

#[test]
fn deleting_keeps_a_version_and_creating_again_none() {
    let (versions, current, history) = open(5);
    run(async {
        put(&versions, "k", "one").await.unwrap();
        versions.delete("k", None).await.unwrap();
        assert_eq!(current.metadata("k").await.unwrap_err().kind, ErrorKind::NotFound);
        assert_eq!(versions.delete("k", None).await.unwrap_err().kind, ErrorKind::NotFound);
        put(&versions, "k", "two").await.unwrap();
        assert_eq!(contents(&history).await, ["one"]);
    });
}

#[test]
fn a_condition_that_is_not_met_changes_nothing() {
    let (versions, _, history) = open(5);
    run(async {
        let first = put(&versions, "k", "one").await.unwrap();
        let mut options = testing::options();
        options.condition = Some(Condition::IfAbsent);
        let error = versions.store("k", Upload::new("two"), options).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::PreconditionFailed);
        let stranger = testing::options().stamp.etag;
        let error = versions.delete("k", Some(&stranger)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::PreconditionFailed);
        assert_eq!(versions.metadata("k").await.unwrap(), first);
        assert_eq!(contents(&history).await, [""; 0]);

        let mut options = testing::options();
        options.condition = Some(Condition::IfMatch(first.etag));
        versions.store("k", Upload::new("two"), options).await.unwrap();
        assert_eq!(bytes(&versions, "k").await, "two");
    });
}

#[test]
fn long_keys_have_versions_of_their_own() {
    let (versions, _, history) = open(1);
    let keys = [format!("{}\n1", "k".repeat(1000)), format!("{}\n2", "k".repeat(1000)), "é".repeat(512)];
    run(async {
        for text in ["one", "two", "three"] {
            for key in &keys {
                put(&versions, key, text).await.unwrap();
            }
        }
        assert_eq!(contents(&history).await, ["two"; 3]);
    });
}

#[test]
fn a_version_names_its_long_key_where_there_is_room() {
    let (versions, _, history) = open(2);
    let key = "k".repeat(1024);
    run(async {
        let mut options = testing::options();
        options.attributes.user_metadata.set("note", "x".repeat(8 * 1024 - "note".len()));
        versions.store(&key, Upload::new("full"), options).await.unwrap();
        put(&versions, &key, "roomy").await.unwrap();
        put(&versions, &key, "current").await.unwrap();
        assert_eq!(contents(&history).await, ["full", "roomy"]);
        let kept = history.list(&ListQuery::with_prefix("")).await.unwrap().objects;
        let named = |version: &Metadata| version.attributes.user_metadata.get("larder-versions-key").map(str::to_owned);
        assert_eq!(kept.iter().map(named).collect::<Vec<_>>(), [None, Some(key)]);
    });
}

#[test]
fn a_cut_off_upload_leaves_the_old_object() {
    let (versions, _, _) = open(5);
    run(async {
        put(&versions, "k", "one").await.unwrap();
        let body = Body::pieces([Ok(b"tw".to_vec()), Err(Error::timeout("cut off"))]);
        let error = versions.store("k", Upload::new(body), testing::options()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Timeout);
        assert_eq!(bytes(&versions, "k").await, "one");
    });
}

#[test]
fn attributes_changed_between_two_attempts_are_those_of_the_version() {
    let (versions, _, history) = open(5);
    run(async {
        put(&versions, "k", "one").await.unwrap();
        let body = Body::pieces([Err(Error::timeout("cut off"))]);
        versions.store("k", Upload::new(body), testing::options()).await.unwrap_err();
        let tags = Some([("class", "late")].into());
        versions.update("k", AttributeChanges { tags, ..AttributeChanges::default() }, None).await.unwrap();
        put(&versions, "k", "two").await.unwrap();
        let page = history.list(&ListQuery::with_prefix("")).await.unwrap();
        assert_eq!(page.objects.len(), 1);
        assert_eq!(page.objects[0].attributes.tags.get("class"), Some("late"));
    });
}

/// Whatever the order: every write that was acknowledged is the current object or a version, and none is there twice.
#[test]
fn racing_writers_lose_no_version() {
    for seed in 0..500 {
        let (versions, _, history) = open(100);
        run(put(&versions, "k", "first")).unwrap();
        let writer = |text: &'static str| -> Pin<Box<dyn Future<Output = Result<Metadata>> + '_>> {
            let versions = &versions;
            Box::pin(async move { put(versions, "k", text).await })
        };
        let results = testing::run_interleaved(seed, vec![writer("a"), writer("b"), writer("c")]);
        assert!(results.iter().all(Result::is_ok), "seed {seed}: {results:?}");
        run(async {
            let mut all = contents(&history).await;
            all.push(bytes(&versions, "k").await);
            all.sort();
            assert_eq!(all, ["a", "b", "c", "first"], "seed {seed}");
        });
    }
}

#[test]
fn of_writers_with_the_same_condition_one_wins() {
    for seed in 0..300 {
        let (versions, _, history) = open(100);
        let first = run(put(&versions, "k", "first")).unwrap();
        let writer = |text: &'static str| -> Pin<Box<dyn Future<Output = Result<Metadata>> + '_>> {
            let mut options = testing::options();
            options.condition = Some(Condition::IfMatch(first.etag.clone()));
            let versions = &versions;
            Box::pin(async move { versions.store("k", Upload::new(text), options).await })
        };
        let results = testing::run_interleaved(seed, vec![writer("a"), writer("b")]);
        let winners = results.iter().filter(|result| result.is_ok()).count();
        assert_eq!(winners, 1, "seed {seed}: {results:?}");
        let lost = results.into_iter().find_map(Result::err).unwrap();
        assert_eq!(lost.kind, ErrorKind::PreconditionFailed, "seed {seed}");
        assert_eq!(run(contents(&history)), ["first"], "seed {seed}");
    }
}

#[test]
fn a_streamed_write_that_lost_a_race_is_told_to_come_again() {
    let mut kinds = BTreeMap::new();
    for seed in 0..300 {
        let (versions, _, _) = open(100);
        run(put(&versions, "k", "first")).unwrap();
        let writer = |text: &'static str| -> Pin<Box<dyn Future<Output = Result<Metadata>> + '_>> {
            let body = Body::pieces([Ok(text.as_bytes().to_vec())]);
            let versions = &versions;
            Box::pin(async move { versions.store("k", Upload::new(body), testing::options()).await })
        };
        for result in testing::run_interleaved(seed, vec![writer("a"), writer("b")]) {
            *kinds.entry(result.err().map(|error| error.code)).or_insert(0) += 1;
        }
    }
    assert_eq!(kinds.keys().cloned().collect::<Vec<_>>(), [None, Some("contended".to_owned())]);
}

/// A write that is cut off after any number of steps leaves the old object or the new one, and the old one at least as a
/// version.
#[test]
fn a_crash_at_any_step_loses_nothing() {
    let mut outcomes = BTreeMap::new();
    for steps in 0..12 {
        let (versions, current, history) = open(1);
        run(put(&versions, "k", "one")).unwrap();
        run(put(&versions, "k", "two")).unwrap();
        let finished = testing::run_for(steps, put(&versions, "k", "three")).is_some();
        let (now, versions) = run(async { (bytes(&*current, "k").await, contents(&history).await) });
        assert!(now == "two" || versions.contains(&"two".to_owned()), "{steps} steps: {now} {versions:?}");
        if finished {
            assert_eq!((now.as_str(), &versions[..]), ("three", &["two".to_owned()][..]));
        }
        outcomes.insert((now, versions), finished);
    }
    assert!(outcomes.len() >= 4, "{outcomes:?}");
}

#[test]
fn it_says_what_it_can_not_do_without() {
    testing::grant("current");
    let error = run(testing::open_provider::<Versions>("null")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::PermissionDenied);
    assert!(error.message.contains("history"), "{error}");
    let error = run(testing::open_provider::<Versions>("{\"keep\": 0}")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidInput);
}
