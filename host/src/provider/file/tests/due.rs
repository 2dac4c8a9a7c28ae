use super::*;
use crate::object::{Timestamp, timestamp_from_millis};
use crate::provider::{Due, DueState, NextLook, Version};

fn at(millis: u64) -> Timestamp {
    timestamp_from_millis(millis)
}

async fn due(store: &FileStorageProvider, not_after: u64) -> Vec<String> {
    store.due(at(not_after), None, 100).await.unwrap().into_iter().map(|due| due.key.to_string()).collect()
}

async fn version(store: &FileStorageProvider, name: &str) -> Version {
    let query = ListQuery { limit: 1, ..ListQuery::with_prefix(name) };
    store.versions(&query).await.unwrap()[0].1
}

#[tokio::test]
async fn what_is_changed_is_due_at_once_and_what_is_deleted_never() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    put(&store, "before", "bytes").await.unwrap();
    assert_eq!(store.state().await.unwrap(), None);
    let index = store.begin("a rule").await.unwrap();
    let expected = DueState { purpose: "a rule".into(), complete: false, serial: index };
    assert_eq!(store.state().await.unwrap(), Some(expected));
    assert!(due(&store, 1000).await.is_empty());

    for name in ["new", "gone", "changed"] {
        put(&store, name, "bytes").await.unwrap();
    }
    store.delete(&key("gone"), None).await.unwrap();
    assert_eq!(due(&store, 0).await, ["changed", "new"]);
    let looks = ["before", "changed", "new"].map(async |name| (key(name), version(&store, name).await));
    let mut looks = futures::future::join_all(looks).await.into_iter();
    let mut set = async |look: fn(Version) -> NextLook| {
        let (key, version) = looks.next().unwrap();
        store.set(index, vec![(key, look(version))]).await.unwrap();
    };
    set(|version| NextLook::At(version, at(500))).await;
    set(|version| NextLook::At(version, at(700))).await;
    set(NextLook::WhenChanged).await;
    assert_eq!((due(&store, 499).await, due(&store, 500).await.len(), due(&store, 700).await.len()), (vec![], 1, 2));

    // Whoever judged an earlier version of it says nothing of this one.
    let stale = version(&store, "changed").await;
    store.update(&key("changed"), AttributeChanges::default(), None).await.unwrap();
    put(&store, "before", "other bytes").await.unwrap();
    assert_eq!(due(&store, 0).await, ["before", "changed"]);
    store.set(index, vec![(key("before"), NextLook::WhenChanged(stale)), (key("none"), NextLook::Now)]).await.unwrap();
    assert_eq!(due(&store, 0).await, ["before", "changed"]);
    store.complete(index).await.unwrap();

    // Another purpose begins with nothing, and without one nothing is kept.
    drop(store);
    let store = open(folder.path()).unwrap();
    assert!(store.state().await.unwrap().unwrap().complete && due(&store, 0).await.len() == 2);
    store.begin("another").await.unwrap();
    assert!(due(&store, 1000).await.is_empty());
    store.set(index, vec![(key("before"), NextLook::Now)]).await.unwrap();
    store.complete(index).await.unwrap();
    assert!(due(&store, 1000).await.is_empty() && !store.state().await.unwrap().unwrap().complete, "it is another");
    store.end().await.unwrap();
    put(&store, "after", "bytes").await.unwrap();
    assert_eq!(store.state().await.unwrap(), None);
    store.end().await.unwrap();
}

#[tokio::test]
async fn pages_of_what_is_due_go_on_behind_the_last() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let index = store.begin("a rule").await.unwrap();
    for name in ["a", "b", "c", "d"] {
        put(&store, name, "bytes").await.unwrap();
    }
    store.set(index, vec![(key("a"), NextLook::At(version(&store, "a").await, at(10)))]).await.unwrap();
    let mut found = Vec::new();
    let mut after: Option<Due> = None;
    loop {
        let page = store.due(at(10), after.as_ref(), 1).await.unwrap();
        let Some(last) = page.last() else { break };
        found.push(last.key.to_string());
        after = Some(last.clone());
    }
    assert_eq!(found, ["b", "c", "d", "a"]);
}
