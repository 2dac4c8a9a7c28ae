use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

use crate::object::Key;

/// A lock for each key, which is there only as long as somebody holds it or waits for it.
#[derive(Debug, Default)]
pub(super) struct KeyLocks {
    locks: Mutex<HashMap<Key, Arc<tokio::sync::Mutex<()>>>>,
}

/// A key that is locked. Dropping it lets the next one in.
#[derive(Debug)]
pub(super) struct KeyGuard {
    locks: Arc<KeyLocks>,
    key: Key,
    guard: Option<OwnedMutexGuard<()>>,
}

impl KeyLocks {
    /// Waits until nobody else has the key.
    pub(super) async fn lock(self: &Arc<Self>, key: &Key) -> KeyGuard {
        let lock = Arc::clone(self.locks.lock().entry(key.clone()).or_default());
        // It is made first: whoever gives up waiting leaves no lock behind.
        let mut guard = KeyGuard { locks: Arc::clone(self), key: key.clone(), guard: None };
        guard.guard = Some(lock.lock_owned().await);
        guard
    }
}

impl Drop for KeyGuard {
    fn drop(&mut self) {
        let mut locks = self.locks.locks.lock();
        drop(self.guard.take());
        // Those who wait have each a share of it.
        if locks.get(&self.key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            locks.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_key_is_held_by_one_and_leaves_nothing_behind() {
        let locks = Arc::new(KeyLocks::default());
        let (a, b) = (Key::new("a").unwrap(), Key::new("b").unwrap());
        let first = locks.lock(&a).await;
        let mut second = Box::pin(locks.lock(&a));
        assert!((&mut second).now_or_never().is_none());
        assert!(locks.lock(&b).now_or_never().is_some(), "another key is another lock");
        drop(first);
        let second = second.await;
        let third = Box::pin(locks.lock(&a));
        drop(third);
        drop(second);
        assert!(locks.locks.lock().is_empty());
    }
}
