//! Every limit, passed.

use larder::plugin::{Limits, Restart};
use larder::provider::Page;

use super::*;

async fn limited(
    name: &str,
    settings: Value,
    limit: impl FnOnce(&mut Limits),
) -> Result<Arc<dyn StorageProvider>, PluginError> {
    let runtime = Runtime::new();
    let plugin = runtime.load_with(name, settings, |options| {
        options.restart = Restart { backoff: Duration::ZERO, quarantine_after: None, ..Restart::default() };
        limit(&mut options.limits);
    });
    plugin.await?.provider()
}

async fn refused(name: &str, settings: Value, limit: impl FnOnce(&mut Limits)) -> String {
    limited(name, settings, limit).await.map(drop).unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_is_too_large_is_refused() {
    let error = refused("memory", Value::Null, |limits| limits.component_size = 1000).await;
    assert!(error.contains("limits.component_size") && error.contains("1000"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_compiles_for_too_long_is_refused() {
    let error = refused("memory", Value::Null, |limits| limits.compile_time = Duration::from_millis(1)).await;
    assert!(error.contains("limits.compile_time"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_component_is_counted_by_the_limit_that_it_passes() {
    let (runtime, registry) = (Runtime::new(), Registry::new());
    runtime.register(&registry);
    let sizes = |size| move |options: &mut PluginOptions| options.limits.component_size = size;
    for _ in 0..2 {
        runtime.load_with("memory", Value::Null, sizes(1000)).await.unwrap_err();
    }
    runtime.load_with("memory", Value::Null, |options| options.limits.compile_time = Duration::ZERO).await.unwrap_err();
    runtime.load_with("memory", Value::Null, |_| {}).await.unwrap();
    let failures = |reason: &str| metric(&registry, "larder_plugin_load_failures_total", &[("reason", reason)]);
    assert_eq!((failures("component_size"), failures("compile_time")), (2, 1));
    assert_eq!(metric(&registry, "larder_plugin_load_failures_total", &[]), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_limited() {
    let error = refused("memory", Value::Null, |limits| limits.table_entries = 3).await;
    assert!(error.contains("limits.table_entries"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_beyond_the_limit_reaches_no_plugin_and_comes_from_none() {
    let memory = limited("memory", Value::Null, |limits| limits.object_size = Some(2 << 20)).await.unwrap();
    store(&*memory, "k", "old").await.unwrap();
    let exact = vec![1; 2 << 20];
    store(&*memory, "exact", exact.clone()).await.unwrap();
    assert_eq!(read(&*memory, "exact").await.unwrap(), exact);
    let large = vec![1u8; (2 << 20) + 1];
    let error = store(&*memory, "k", large.clone()).await.unwrap_err();
    assert_eq!(error.kind(), "too-large", "{error}");
    let pieces =
        futures::stream::iter(large.chunks(100_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect::<Vec<_>>());
    let streamed = memory.store(&key("k"), Body::stream(pieces), StoreOptions::default()).await.unwrap_err();
    assert_eq!(streamed.kind(), "too-large", "{streamed}");
    for error in [error, streamed] {
        assert!(error.to_string().contains("limits.object_size"), "{error}");
    }
    assert_eq!(read(&*memory, "k").await.unwrap(), "old");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_handed_over_at_once_is_limited() {
    let memory = limited("memory", Value::Null, |limits| limits.returned = 4 << 10).await.unwrap();
    for number in 0..100 {
        store(&*memory, &format!("{number:0>200}"), "x").await.unwrap();
    }
    let error = memory.list(&ListQuery::all()).await.unwrap_err();
    assert_eq!(error.kind(), "too-large", "{error}");
    assert!(error.to_string().contains("limits.returned"), "{error}");
    works(&*memory).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_beyond_the_limit_wait_and_are_then_refused_with_the_time_to_wait() {
    let zoo = limited("zoo", json!({ "when": "reading" }), |limits| {
        (limits.calls, limits.call_timeout) = (1, Some(CALL_TIMEOUT));
    });
    let zoo = zoo.await.unwrap();
    let looping = tokio::spawn({
        let zoo = Arc::clone(&zoo);
        async move { zoo.metadata(&key("loop/a")).await.map(drop) }
    });
    tokio::time::sleep(CALL_TIMEOUT / 6).await;
    // It has as long as a call may take, and the loop ends before.
    works(&*zoo).await;
    assert_eq!(looping.await.unwrap().unwrap_err().kind(), "timeout");

    let loops: Vec<_> = (0..8)
        .map(|_| {
            let zoo = Arc::clone(&zoo);
            tokio::spawn(async move { zoo.metadata(&key("loop/a")).await.map(drop) })
        })
        .collect();
    let mut refused = 0;
    for call in loops {
        match call.await.unwrap().unwrap_err() {
            Error::Unavailable { message, retry_after } if message.contains("limits.calls") => {
                assert!(retry_after.is_some());
                refused += 1;
            }
            error => assert_eq!(error.kind(), "timeout", "{error}"),
        }
    }
    assert!(refused > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_plugins_share_one_budget_of_memory() {
    let runtime = Runtime::with_memory(8 << 20);
    let load = || async { runtime.load("memory", Value::Null).await.unwrap().provider().unwrap() };
    let (first, second) = (load().await, load().await);
    store(&*first, "k", vec![1; 1 << 20]).await.unwrap();
    let mut stored = 0;
    let error = loop {
        match store(&*second, &format!("{stored}"), vec![1; 1 << 20]).await {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(stored < 8);
    assert_eq!(error.kind(), "exhausted", "{error}");
    assert!(error.to_string().contains("plugin_memory"), "{error}");
    // What the second had is free again, and what the first keeps is where it was.
    assert_eq!(read(&*first, "k").await.unwrap().len(), 1 << 20);
    store(&*first, "more", vec![1; 1 << 20]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_the_contract_ends_its_instance() {
    let zoo = limited("zoo", json!({ "when": "reading" }), |_| {}).await.unwrap();
    store(&*zoo, "kept", "in memory").await.unwrap();
    store(&*zoo, "lie-key/a", "x").await.unwrap();
    assert_eq!(zoo.metadata(&key("lie-key/a")).await.unwrap_err().kind(), "internal");
    let Page { objects, .. } = zoo.list(&ListQuery::all()).await.unwrap();
    assert!(objects.is_empty(), "a fresh instance remembers nothing");
    works(&*zoo).await;
}

/// Pieces of one byte each: whether they come at the rate that is asked of a body depends on the machine.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_trickles_takes_no_longer_than_its_bytes_earn() {
    const SIZE: usize = 64 << 10;
    const EARNED: Duration = Duration::from_secs(SIZE as u64 / (16 << 10));
    let zoo = limited("zoo", json!({ "fault": "drip" }), |limits| limits.call_timeout = Some(CALL_TIMEOUT));
    let zoo = zoo.await.unwrap();
    let bytes = vec![1; SIZE];
    store(&*zoo, "k", bytes.clone()).await.unwrap();
    let begun = Instant::now();
    match read(&*zoo, "k").await {
        Ok(read) => assert_eq!(read, bytes),
        Err(error) => assert!(matches!(error.kind(), "timeout" | "unavailable"), "{error}"),
    }
    assert!(begun.elapsed() < CALL_TIMEOUT + EARNED + SLACK, "it took {:?}", begun.elapsed());
}
