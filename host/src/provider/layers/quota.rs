use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use bytesize::ByteSize;
use futures::stream::{self, TryStreamExt};
use parking_lot::Mutex;
use tokio::sync::{OwnedRwLockReadGuard, RwLock};

use super::key_locks::{KeyGuard, KeyLocks};
use crate::error::{Error, Result};
use crate::object::{AttributeChanges, Body, ByteRange, ByteStream, ETag, Key, Object, StorageMetadata};
use crate::provider::{CheckReport, DueIndex, ListQuery, Page, StorageProvider, StoreOptions, Usage, Watch};

/// Lets the objects have so many bytes together and no more, however many write at the same time.
///
/// A write reserves room while its body comes, and waits for others of its key only at the end of it: between looking what
/// it replaces and having replaced it. What there is is counted before the first write, and after a change of which nobody
/// knows whether it happened.
pub(super) struct Quota {
    inner: Arc<dyn StorageProvider>,
    books: Arc<Books>,
}

struct Books {
    max_size: u64,
    account: Mutex<Account>,
    /// Shared by changes that may be happening; whoever counts has it alone.
    counting: Arc<RwLock<()>>,
    keys: Arc<KeyLocks>,
}

#[derive(Debug, Default)]
struct Account {
    /// How many bytes the objects have, if that is known.
    stored: Option<u64>,
    /// How many more they may get by writes under way.
    reserved: u64,
}

/// The time in which a change may be happening: nobody else changes the key, and nobody counts.
#[derive(Debug)]
struct Window {
    _key: KeyGuard,
    _counting: OwnedRwLockReadGuard<()>,
}

/// What a write may add to the bytes that there are.
struct Reservation {
    books: Arc<Books>,
    progress: Mutex<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    /// How many bytes have come.
    come: u64,
    /// The size of the object that they replace.
    replaced: u64,
    /// From here on the write may have happened.
    window: Option<Window>,
}

impl Progress {
    fn reserved(&self) -> u64 {
        self.come.saturating_sub(self.replaced)
    }
}

impl Books {
    /// Waits until nothing else happens to the key, with a count of what there is.
    async fn enter(&self, inner: &dyn StorageProvider, key: &Key) -> Result<Window> {
        let key = self.keys.lock(key).await;
        loop {
            let counting = Arc::clone(&self.counting).read_owned().await;
            if self.account.lock().stored.is_some() {
                return Ok(Window { _key: key, _counting: counting });
            }
            drop(counting);
            let _alone = self.counting.write().await;
            if self.account.lock().stored.is_none() {
                let bytes = inner.usage().await?.bytes;
                self.account.lock().stored = Some(bytes);
            }
        }
    }

    /// A write that reserved so much is to have reserved so much.
    fn change(&self, before: u64, after: u64) -> Result<()> {
        let mut account = self.account.lock();
        let reserved = account.reserved - before + after;
        let used = account.stored.unwrap_or(0) + reserved;
        // Also one that needs less than before: what is stored may not have been known when that was granted.
        if after > 0 && used > self.max_size {
            let (there, max_size) = (ByteSize::b(used - after), ByteSize::b(self.max_size));
            return Err(Error::exhausted(format!(
                "the store is full: it holds {there} of its `max_size` of {max_size}, and there is no room for {} more; \
                 delete something, or raise `max_size`",
                ByteSize::b(after)
            )));
        }
        account.reserved = reserved;
        Ok(())
    }

    /// An object of one size has taken the place of one of another, for which so much was reserved.
    fn settle(&self, reserved: u64, replaced: u64, size: u64) {
        let mut account = self.account.lock();
        account.reserved -= reserved;
        account.stored = account.stored.map(|stored| (stored + size).saturating_sub(replaced));
    }
}

impl Reservation {
    fn new(books: &Arc<Books>, replaced: u64) -> Arc<Self> {
        let progress = Progress { replaced, ..Progress::default() };
        Arc::new(Self { books: Arc::clone(books), progress: Mutex::new(progress) })
    }

    fn change(&self, change: impl FnOnce(&mut Progress)) -> Result<()> {
        let mut progress = self.progress.lock();
        let (come, replaced, before) = (progress.come, progress.replaced, progress.reserved());
        change(&mut progress);
        self.books.change(before, progress.reserved()).inspect_err(|_| {
            (progress.come, progress.replaced) = (come, replaced);
        })
    }

    /// So many bytes more have come.
    ///
    /// # Errors
    /// [`Error::Exhausted`]: there is no room for them.
    fn take(&self, bytes: usize) -> Result<()> {
        self.change(|progress| progress.come += bytes as u64)
    }

    /// All bytes have come, and they replace an object of this size.
    ///
    /// # Errors
    /// [`Error::Exhausted`]: it is smaller than it was, and now there is no room.
    fn enter(&self, window: Window, replaced: u64) -> Result<()> {
        self.change(|progress| progress.replaced = replaced)?;
        self.progress.lock().window = Some(window);
        Ok(())
    }

    /// The object has this size now.
    fn settle(&self, size: u64) {
        let progress = std::mem::take(&mut *self.progress.lock());
        self.books.settle(progress.reserved(), progress.replaced, size);
        if progress.window.is_none() {
            // It was stored before all of it was read.
            self.books.account.lock().stored = None;
        }
    }

    /// How the object was that is to be replaced, if the write may have happened.
    fn replaced(&self) -> Option<u64> {
        let progress = self.progress.lock();
        progress.window.is_some().then_some(progress.replaced)
    }
}

/// What was reserved is free again; and if the write may have happened, nobody knows any more what there is.
impl Drop for Reservation {
    fn drop(&mut self) {
        let progress = self.progress.get_mut();
        let mut account = self.books.account.lock();
        account.reserved -= progress.reserved();
        if progress.window.is_some() {
            account.stored = None;
        }
    }
}

impl Quota {
    pub(super) fn new(inner: Arc<dyn StorageProvider>, max_size: u64) -> Self {
        let books = Books { max_size, account: Mutex::default(), counting: Arc::default(), keys: Arc::default() };
        Self { inner, books: Arc::new(books) }
    }

    /// Waits until the reserved bytes can be stored.
    async fn admit(inner: &dyn StorageProvider, key: &Key, reservation: &Reservation) -> Result<()> {
        let window = reservation.books.enter(inner, key).await?;
        reservation.enter(window, size(inner, key).await?)
    }

    /// The pieces, for which room is reserved as they come; their end waits until they can be stored.
    async fn reserving(&self, key: &Key, pieces: ByteStream) -> Result<(Arc<Reservation>, Body)> {
        let window = self.books.enter(&*self.inner, key).await?;
        let reservation = Reservation::new(&self.books, size(&*self.inner, key).await?);
        drop(window);
        let state = (pieces, Arc::clone(&self.inner), key.clone(), Arc::clone(&reservation));
        let body = Body::stream(stream::try_unfold(state, async |(mut pieces, inner, key, reservation)| {
            let Some(piece) = pieces.try_next().await? else {
                Self::admit(&*inner, &key, &reservation).await?;
                return Ok(None::<(Bytes, _)>);
            };
            reservation.take(piece.len())?;
            Ok(Some((piece, (pieces, inner, key, reservation))))
        }));
        Ok((reservation, body))
    }

    /// Settles a change that ended so. One that has failed may have happened all the same.
    async fn settle(&self, key: &Key, reservation: &Reservation, outcome: std::result::Result<u64, &Error>) {
        use Error::{Corrupt, Internal, Timeout, Unavailable};
        match (outcome, reservation.replaced()) {
            (Ok(size), _) => reservation.settle(size),
            (Err(_), None) => {}
            (Err(Corrupt { .. } | Internal { .. } | Timeout { .. } | Unavailable { .. }), Some(_)) => {
                if let Ok(size) = size(&*self.inner, key).await {
                    reservation.settle(size);
                }
            }
            (Err(_), Some(replaced)) => reservation.settle(replaced),
        }
    }
}

/// The size of the object under a key; 0 if there is none.
async fn size(inner: &dyn StorageProvider, key: &Key) -> Result<u64> {
    match inner.metadata(key).await {
        Ok(metadata) => Ok(metadata.size),
        Err(Error::NotFound { .. }) => Ok(0),
        Err(error) => Err(error),
    }
}

#[async_trait]
impl StorageProvider for Quota {
    async fn store(&self, key: &Key, body: Body, options: StoreOptions) -> Result<StorageMetadata> {
        let (reservation, body) = match body {
            Body::Bytes(bytes) => {
                let reservation = Reservation::new(&self.books, 0);
                let window = self.books.enter(&*self.inner, key).await?;
                reservation.enter(window, size(&*self.inner, key).await?)?;
                if let Err(error) = reservation.take(bytes.len()) {
                    self.settle(key, &reservation, Err(&error)).await;
                    return Err(error);
                }
                (reservation, Body::Bytes(bytes))
            }
            Body::Stream(pieces) => self.reserving(key, pieces).await?,
        };
        let stored = self.inner.store(key, body, options).await;
        self.settle(key, &reservation, stored.as_ref().map(|metadata| metadata.size)).await;
        stored
    }

    async fn retrieve(&self, key: &Key, range: Option<ByteRange>) -> Result<Object> {
        self.inner.retrieve(key, range).await
    }

    async fn delete(&self, key: &Key, if_match: Option<&ETag>) -> Result<()> {
        let reservation = Reservation::new(&self.books, 0);
        Self::admit(&*self.inner, key, &reservation).await?;
        let deleted = self.inner.delete(key, if_match).await;
        self.settle(key, &reservation, deleted.as_ref().map(|()| 0)).await;
        deleted
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        self.inner.list(query).await
    }

    async fn metadata(&self, key: &Key) -> Result<StorageMetadata> {
        self.inner.metadata(key).await
    }

    async fn update(&self, key: &Key, changes: AttributeChanges, if_match: Option<&ETag>) -> Result<StorageMetadata> {
        self.inner.update(key, changes, if_match).await
    }

    async fn usage(&self) -> Result<Usage> {
        self.inner.usage().await
    }

    async fn check(&self, watch: Arc<dyn Watch>) -> Result<CheckReport> {
        self.inner.check(watch).await
    }

    async fn check_index(&self) -> Result<()> {
        self.inner.check_index().await
    }

    async fn snapshot(&self) -> Result<Arc<dyn StorageProvider>> {
        self.inner.snapshot().await
    }

    fn due_index(self: Arc<Self>) -> Option<Arc<dyn DueIndex>> {
        Arc::clone(&self.inner).due_index()
    }
}

impl fmt::Debug for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quota")
            .field("max_size", &self.books.max_size)
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
