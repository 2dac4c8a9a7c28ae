//! Backups that are removed, beside others that stay or are made.

use std::time::Duration;

use super::*;
use crate::backup::lease::{LEASES, Lease, Use};
use crate::object::now;
use crate::provider::Stamp;

/// A store of which each backup has other objects, and some in common.
async fn three_backups(repository: &Repository) -> Vec<(BackupRecord, Content)> {
    let store = memory();
    let mut backups = Vec::new();
    for number in 0..3_u64 {
        for shared in 0..60 {
            put(&store, &format!("shared/{shared}"), format!("always {shared}")).await;
        }
        put(&store, "large", noise(3 << 20, number)).await;
        put(&store, &format!("of {number}"), format!("only {number}")).await;
        backups.push((back_up(repository, &store).await, content(&store).await));
    }
    backups
}

async fn keys(home: &Arc<dyn StorageProvider>, prefix: &str) -> Vec<Key> {
    let (mut keys, mut query) = (Vec::new(), ListQuery::with_prefix(prefix));
    loop {
        let page = home.list(&query).await.unwrap();
        query.start_after = page.next().map(|last| last.as_str().to_owned());
        keys.extend(page.objects.into_iter().map(|object| object.key));
        if query.start_after.is_none() {
            return keys;
        }
    }
}

#[tokio::test]
async fn others_stay_whole_and_all_else_goes() {
    for gone in [&[1][..], &[0, 2], &[0, 1], &[0, 1, 2], &[]] {
        let home = memory();
        let repository = Repository::new(Arc::clone(&home));
        let backups = three_backups(&repository).await;
        let before = keys(&home, "").await.len() as u64;
        let records: Vec<_> = gone.iter().map(|place| backups[*place].0.clone()).collect();
        let removed = remove(&repository, &records, &()).await.unwrap();
        let after = keys(&home, "").await.len() as u64;
        assert_eq!(removed.backups, gone.len() as u64);
        assert_eq!(removed.backups + removed.pieces, before - after, "{removed:?}");
        let left = repository.backups().await.unwrap();
        let stay = (0..3).filter(|place| !gone.contains(place)).map(|place| &backups[place]);
        assert!(left.iter().eq(stay.clone().map(|(record, _)| record)));
        for (record, objects) in stay {
            assert!(content(&restored(&repository, record).await).await == *objects);
        }
        assert_eq!(verify(&repository, &left, &()).await.unwrap().damage, 0);
        assert_eq!(after == 0, left.is_empty(), "{after} objects are left, {gone:?}");
        // Nothing is left that nobody needs.
        assert_eq!(remove(&repository, &records, &()).await.unwrap(), Removed::default());
    }
}

/// Fails once so many deletions are done. Others may come in between with whatever is asked of it.
#[derive(Debug)]
struct Ending {
    inner: Arc<dyn StorageProvider>,
    left: AtomicU64,
}

#[async_trait]
impl StorageProvider for Ending {
    async fn store(&self, key: &Key, body: Body, options: StoreOptions) -> Result<StorageMetadata> {
        tokio::task::yield_now().await;
        self.inner.store(key, body, options).await
    }

    async fn retrieve(&self, key: &Key, range: Option<ByteRange>) -> Result<Object> {
        self.inner.retrieve(key, range).await
    }

    async fn delete(&self, key: &Key, if_match: Option<&ETag>) -> Result<()> {
        tokio::task::yield_now().await;
        let is_left = |left: u64| left.checked_sub(1);
        match self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_left) {
            Ok(_) => self.inner.delete(key, if_match).await,
            Err(_) => Err(Error::unavailable("it has ended")),
        }
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        tokio::task::yield_now().await;
        self.inner.list(query).await
    }

    async fn metadata(&self, key: &Key) -> Result<StorageMetadata> {
        self.inner.metadata(key).await
    }

    async fn update(&self, key: &Key, changes: AttributeChanges, if_match: Option<&ETag>) -> Result<StorageMetadata> {
        self.inner.update(key, changes, if_match).await
    }
}

/// Takes away what a lease is that nobody ended: time would.
async fn expire(home: &Arc<dyn StorageProvider>) {
    for lease in keys(home, LEASES).await {
        home.delete(&lease, None).await.unwrap();
    }
}

#[tokio::test]
async fn whatever_it_is_stopped_at_others_stay_whole_and_the_rest_goes_next_time() {
    let mut stopped = 0;
    for left in 0.. {
        let home = memory();
        let backups = three_backups(&Repository::new(Arc::clone(&home))).await;
        let ending = Ending { inner: Arc::clone(&home), left: AtomicU64::new(left) };
        let gone = [backups[0].0.clone(), backups[1].0.clone()];
        let outcome = remove(&Repository::new(Arc::new(ending)), &gone, &()).await;

        expire(&home).await;
        let repository = Repository::new(Arc::clone(&home));
        let last = backups[2].0.clone();
        assert_eq!(verify(&repository, std::slice::from_ref(&last), &()).await.unwrap().damage, 0);
        let next = back_up(&repository, &restored(&repository, &last).await).await;
        remove(&repository, &gone, &()).await.unwrap();
        assert_eq!(repository.backups().await.unwrap(), [last.clone(), next.clone()]);
        assert_eq!(verify(&repository, &[last, next], &()).await.unwrap().damage, 0);
        assert_eq!(remove(&repository, &gone, &()).await.unwrap(), Removed::default());
        match outcome {
            Ok(_) => break,
            Err(_) => stopped += 1,
        }
    }
    assert!(stopped > 10, "{stopped}");
}

#[tokio::test]
async fn nothing_goes_while_nobody_can_tell_what_another_backup_needs() {
    let home = memory();
    let repository = Repository::new(Arc::clone(&home));
    let backups = three_backups(&repository).await;
    home.store(&pages_of(&backups[2].0), "other".into(), StoreOptions::default()).await.unwrap();
    let before = keys(&home, "").await;
    let refused = remove(&repository, std::slice::from_ref(&backups[0].0), &()).await.unwrap_err();
    assert!(matches!(refused, Error::Corrupt { .. }), "{refused:?}");
    assert!(refused.to_string().contains(&backups[2].0.id) && refused.to_string().contains("--full"), "{refused}");
    assert_eq!(keys(&home, "").await, before);
    remove(&repository, &[backups[0].0.clone(), backups[2].0.clone()], &()).await.unwrap();
    assert!(content(&restored(&repository, &backups[1].0).await).await == backups[1].1);
}

#[tokio::test(start_paused = true)]
async fn who_removes_is_alone() {
    let (home, store) = (memory(), filled().await);
    let repository = Repository::new(Arc::clone(&home));
    let record = back_up(&repository, &store).await;

    let (one, other) = (Lease::take(&home, Use::Add).await.unwrap(), Lease::take(&home, Use::Add).await.unwrap());
    let refused = remove(&repository, std::slice::from_ref(&record), &()).await.unwrap_err();
    assert!(matches!(refused, Error::Unavailable { .. }) && refused.to_string().contains("being made"), "{refused}");
    one.release().await;
    drop(other);
    while !keys(&home, LEASES).await.is_empty() {
        tokio::task::yield_now().await;
    }
    let removing = Lease::take(&home, Use::Remove).await.unwrap();
    let refused = remove(&repository, std::slice::from_ref(&record), &()).await.unwrap_err();
    assert!(refused.to_string().contains("being removed"), "{refused}");
    let refused = create(&repository, &name(), &store, Reading::Changed, &()).await.unwrap_err();
    assert!(matches!(refused, Error::Unavailable { .. }), "it waits for a minute: {refused}");
    let (made, ()) = tokio::join!(back_up(&repository, &store), async {
        tokio::time::sleep(Duration::from_secs(30)).await;
        removing.release().await;
    });
    remove(&repository, &[record], &()).await.unwrap();
    assert_eq!(repository.backups().await.unwrap(), [made]);
    assert!(keys(&home, LEASES).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_kept_for_as_long_as_it_is_wanted_and_then_expires() {
    let home = memory();
    let written = async |lease: &Key| home.metadata(lease).await.unwrap().etag;
    let lease = Lease::take(&home, Use::Add).await.unwrap();
    let [key] = &keys(&home, LEASES).await[..] else { panic!("one") };
    let first = written(key).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_ne!(written(key).await, first);
    lease.check().await.unwrap();

    // One that was not written for so long hinders nobody, and its owner comes to know.
    let expire = async |lease: &Key| {
        let options = StoreOptions { stamp: Stamp::at(now() - Duration::from_secs(700)), ..StoreOptions::default() };
        home.store(lease, "".into(), options).await.unwrap();
    };
    expire(key).await;
    lease.check().await.unwrap_err();
    let removing = Lease::take(&home, Use::Remove).await.unwrap();
    assert!(home.metadata(key).await.is_err());
    lease.check().await.unwrap_err();
    removing.check().await.unwrap();
    let [key] = &keys(&home, LEASES).await[..] else { panic!("one") };
    expire(key).await;
    let adding = Lease::take(&home, Use::Add).await.unwrap();
    assert!(home.metadata(key).await.is_err());
    removing.check().await.unwrap_err();
    adding.check().await.unwrap();
}

/// A store whose listing takes an hour, in which somebody takes away the leases of those who want it.
#[derive(Debug)]
struct Slow {
    inner: Arc<dyn StorageProvider>,
    home: Arc<dyn StorageProvider>,
}

#[async_trait]
impl StorageProvider for Slow {
    async fn store(&self, key: &Key, body: Body, options: StoreOptions) -> Result<StorageMetadata> {
        self.inner.store(key, body, options).await
    }

    async fn retrieve(&self, key: &Key, range: Option<ByteRange>) -> Result<Object> {
        self.inner.retrieve(key, range).await
    }

    async fn delete(&self, key: &Key, if_match: Option<&ETag>) -> Result<()> {
        self.inner.delete(key, if_match).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        expire(&self.home).await;
        tokio::time::sleep(Duration::from_secs(3600)).await;
        self.inner.list(query).await
    }

    async fn metadata(&self, key: &Key) -> Result<StorageMetadata> {
        self.inner.metadata(key).await
    }

    async fn update(&self, key: &Key, changes: AttributeChanges, if_match: Option<&ETag>) -> Result<StorageMetadata> {
        self.inner.update(key, changes, if_match).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_backup_without_its_lease_does_not_come_to_be() {
    let home = memory();
    let repository = Repository::new(Arc::clone(&home));
    let slow: Arc<dyn StorageProvider> = Arc::new(Slow { inner: memory(), home: Arc::clone(&home) });
    put(&slow, "a", "bytes").await;
    let refused = create(&repository, &name(), &slow, Reading::Changed, &()).await.unwrap_err();
    assert!(matches!(refused, Error::Unavailable { .. }), "{refused:?}");
    assert!(repository.backups().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn backups_that_are_made_and_removed_at_once_are_whole() {
    let home: Arc<dyn StorageProvider> = Arc::new(Ending { inner: memory(), left: AtomicU64::new(u64::MAX) });
    let repository = Repository::new(Arc::clone(&home));
    let work = |seed: u64| {
        let repository = repository.clone();
        tokio::spawn(async move {
            let (store, mut random, mut made, mut removed, mut refused) = (memory(), Random::new(seed), 0, 0, 0);
            for round in 0..100 {
                tokio::time::sleep(Duration::from_secs(random.below(5) as u64)).await;
                // What comes again after it was removed is what is lost if somebody takes it for there.
                put(&store, &format!("{}", round % 5), noise(40_000, random.below(4) as u64)).await;
                let outcome = if random.below(3) > 0 {
                    create(&repository, &name(), &store, Reading::Changed, &()).await.map(|_| made += 1)
                } else {
                    let mut backups = repository.backups().await.unwrap_or_default();
                    backups.retain(|_| random.below(2) == 0);
                    remove(&repository, &backups, &()).await.map(|done| removed += done.backups)
                };
                match outcome {
                    Ok(()) => {}
                    Err(Error::Unavailable { .. }) => refused += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            (made, removed, refused)
        })
    };
    let mut counts = (0, 0, 0);
    for work in (0..4).map(work).collect::<Vec<_>>() {
        let (made, removed, refused) = work.await.unwrap();
        counts = (counts.0 + made, counts.1 + removed, counts.2 + refused);
    }
    assert!(counts.0 > 50 && counts.1 > 50 && counts.2 > 5, "{counts:?}");
    let left = repository.backups().await.unwrap();
    assert_eq!(left.len() as u64, counts.0 - counts.1);
    assert_eq!(verify(&repository, &left, &()).await.unwrap().damage, 0);
}
