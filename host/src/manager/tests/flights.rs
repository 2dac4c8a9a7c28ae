//! Reads and writes that several wait for, or nobody any more.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_readers_of_a_cold_key_load_it_once() {
    let (provider, manager) = open();
    put(&manager, "a", "apple").await;
    manager.cache().unwrap().clear();
    let readers: Vec<_> = (0..10_000)
        .map(|_| {
            let manager = manager.clone();
            tokio::spawn(async move { get(&manager, "a").await.unwrap() })
        })
        .collect();
    for reader in readers {
        assert_eq!(reader.await.unwrap(), "apple");
    }
    assert_eq!(provider.loads.load(SeqCst), 1);
    assert_eq!(manager.monitor().snapshot().reads, 10_000);
}

#[tokio::test]
async fn an_error_is_shared_and_not_kept() {
    let (provider, manager) = open();
    let [before, after] = Gate::pair();
    provider.load_gates.lock().push([before.clone(), after.clone()]);
    let readers = async { tokio::join!(get(&manager, "a"), get(&manager, "a")) };
    let gates = async {
        before.arrival().await;
        tokio::task::yield_now().await;
        before.let_pass();
        after.let_pass();
    };
    let ((one, two), ()) = tokio::join!(readers, gates);
    assert!(matches!((one, two), (Err(Error::NotFound { .. }), Err(Error::NotFound { .. }))));
    assert_eq!(provider.loads.load(SeqCst), 1);
    put(&manager, "a", "apple").await;
    assert_eq!(get(&manager, "a").await.unwrap(), "apple");
}

#[tokio::test]
async fn a_provider_that_panics_fails_its_readers_and_no_others() {
    let (provider, manager) = open();
    put(&manager, "a", "apple").await;
    manager.cache().unwrap().clear();
    provider.panics.store(true, SeqCst);
    assert!(matches!(get(&manager, "a").await, Err(Error::Internal { .. })));
    provider.panics.store(false, SeqCst);
    assert_eq!(get(&manager, "a").await.unwrap(), "apple");
}

#[tokio::test]
async fn large_objects_are_streamed_to_everyone_and_never_kept() {
    let (provider, manager) = open();
    let large = Bytes::from(vec![7; 5000]);
    put(&manager, "a", large.clone()).await;
    assert_eq!(cached(&manager, "a"), None);
    let first = manager.retrieve_data(&key("a"), None).await.unwrap();
    assert!(matches!(first.body, Body::Stream(_)));
    let (one, two) = tokio::join!(get(&manager, "a"), get(&manager, "a"));
    assert_eq!((one.unwrap(), two.unwrap()), (large.clone(), large));
    assert_eq!((provider.loads.load(SeqCst), cached(&manager, "a")), (3, None));
}

#[tokio::test]
async fn a_reader_that_goes_away_leaves_the_load_to_the_others() {
    let (provider, manager) = open();
    put(&manager, "a", "apple").await;
    manager.cache().unwrap().clear();
    let [before, after] = Gate::pair();
    provider.load_gates.lock().push([before.clone(), after.clone()]);
    let reader = |manager: StorageManager| tokio::spawn(async move { get(&manager, "a").await });
    let leaver = reader(manager.clone());
    before.arrival().await;
    leaver.abort();
    assert!(leaver.await.unwrap_err().is_cancelled());
    let stayer = reader(manager.clone());
    tokio::task::yield_now().await;
    before.let_pass();
    after.let_pass();
    assert_eq!(stayer.await.unwrap().unwrap(), "apple");
    assert_eq!((provider.loads.load(SeqCst), cached(&manager, "a")), (1, Some(Bytes::from("apple"))));
}

#[tokio::test]
async fn a_write_whose_caller_goes_away_still_ends() {
    let (provider, manager) = open();
    put(&manager, "a", "old").await;
    let [before, after] = Gate::pair();
    provider.store_gates.lock().insert("new".into(), [before.clone(), after.clone()]);
    let writer = tokio::spawn({
        let manager = manager.clone();
        async move { put(&manager, "a", "new").await }
    });
    before.arrival().await;
    writer.abort();
    assert!(writer.await.unwrap_err().is_cancelled());
    assert_eq!(get(&manager, "a").await.unwrap(), "old");
    assert_eq!(cached(&manager, "a"), None, "the write may still happen");
    before.let_pass();
    after.let_pass();
    until(|| cached(&manager, "a").is_some()).await;
    assert_eq!(get(&manager, "a").await.unwrap(), "new");
}

#[tokio::test]
async fn a_body_whose_writer_goes_away_is_no_object() {
    let (provider, manager) = open();
    put(&manager, "a", "old").await;
    let (sender, receiver) = mpsc::unbounded_channel::<Result<Bytes>>();
    let pieces =
        stream::unfold(receiver, |mut receiver| async { receiver.recv().await.map(|piece| (piece, receiver)) });
    let writer = tokio::spawn({
        let manager = manager.clone();
        async move { manager.store_data(&key("a"), Body::stream(pieces), StoreOptions::default()).await }
    });
    sender.send(Ok(Bytes::from("half"))).unwrap();
    tokio::task::yield_now().await;
    writer.abort();
    assert!(writer.await.unwrap_err().is_cancelled());
    drop(sender);
    until(|| provider.ended_stores.load(SeqCst) == 2).await;
    assert_eq!(get(&manager, "a").await.unwrap(), "old");
    until(|| cached(&manager, "a").is_some()).await;
}
