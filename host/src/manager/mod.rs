//! The owner of a store: a cache in front of a provider, and a monitor beside.

mod coherence;
mod completion;
mod flight;
mod probe;
mod provider;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::cache::{CacheEntry, CacheManager, Cached};
use crate::error::{Error, Result};
use crate::events::{Event, EventStream, EventType, ObjectEvent};
use crate::lifecycle::{AgeingStep, AgeingStore, ReadLog};
use crate::monitor::{Operation, StoreMonitor};
use crate::object::{AttributeChanges, Body, ByteRange, ETag, Key, Object, StorageMetadata, StoreName};
use crate::provider::layers::{Seal, missing_layer};
use crate::provider::{ListQuery, Page, StorageProvider, StoreOptions, Usage};

pub use probe::Probe;

use coherence::{Coherence, Load, Lookup};
use completion::Completion;
use flight::{Landing, landed};

/// Owns one store. Cloning shares it.
///
/// A write goes to the provider first, then into the cache, then into the metrics. A read is answered from the cache
/// without copying a byte, or loads from the provider, once however many ask at the same time. Everything that changes
/// the store must go through its manager, or the cache would not hear of it.
///
/// A change whose caller goes away is carried on to its end in the background; a body in pieces is cut off, and the
/// object then stays as it was.
#[derive(Clone, Debug)]
pub struct StorageManager {
    owned: Arc<Owned>,
    /// Where reads are noted, if anybody wants to know.
    reads: Option<Arc<ReadLog>>,
    /// What its objects are sealed with on their way here, if they are encrypted.
    seal: Option<Seal>,
}

#[derive(Debug)]
struct Owned {
    name: StoreName,
    provider: Arc<dyn StorageProvider>,
    coherence: Option<Arc<Coherence>>,
    monitor: StoreMonitor,
    events: EventStream,
}

impl StorageManager {
    /// The owner of a store that keeps its objects in `provider`. Its methods must be called within a tokio runtime.
    pub fn new(
        name: StoreName,
        provider: Arc<dyn StorageProvider>,
        cache: Option<CacheManager>,
        monitor: StoreMonitor,
    ) -> Self {
        Self::with_events(name, provider, cache, monitor, EventStream::default())
    }

    /// The same, which tells `events` of what changes.
    pub fn with_events(
        name: StoreName,
        provider: Arc<dyn StorageProvider>,
        cache: Option<CacheManager>,
        monitor: StoreMonitor,
        events: EventStream,
    ) -> Self {
        let coherence = cache.map(|cache| Arc::new(Coherence::new(cache)));
        if let Some(coherence) = &coherence {
            let watched = Arc::downgrade(coherence);
            monitor.watch_cache(move || watched.upgrade().map(|watched| watched.cache().stats()).unwrap_or_default());
        }
        Self { owned: Arc::new(Owned { name, provider, coherence, monitor, events }), reads: None, seal: None }
    }

    /// The same, with a log in which it notes what is read.
    #[must_use]
    pub fn with_reads(self, reads: Arc<ReadLog>) -> Self {
        Self { reads: Some(reads), ..self }
    }

    /// The same store for whoever looks after it: what is read through this counts as read by nobody.
    #[must_use]
    pub fn without_reads(self) -> Self {
        Self { reads: None, ..self }
    }

    /// The same, whose objects are sealed with this while they are on their way into it.
    #[must_use]
    pub fn with_seal(self, seal: Seal) -> Self {
        Self { seal: Some(seal), ..self }
    }

    /// What is to seal bytes that are on their way into the store while they are kept elsewhere, if it is encrypted.
    pub fn seal(&self) -> Option<&Seal> {
        self.seal.as_ref()
    }

    /// When the store's objects were last read, if that is noted.
    pub fn reads(&self) -> Option<&Arc<ReadLog>> {
        self.reads.as_ref()
    }

    /// The store's name.
    pub fn name(&self) -> &StoreName {
        &self.owned.name
    }

    /// The store's monitor.
    pub fn monitor(&self) -> &StoreMonitor {
        &self.owned.monitor
    }

    /// The store's cache, if it has one.
    pub fn cache(&self) -> Option<&CacheManager> {
        self.owned.coherence.as_ref().map(|coherence| coherence.cache())
    }

    /// Stores an object, as [`StorageProvider::store`].
    ///
    /// # Errors
    /// Those of the provider.
    pub async fn store_data(&self, key: &Key, body: Body, options: StoreOptions) -> Result<StorageMetadata> {
        refuse_reserved(key)?;
        let (owned, key, cut_off) = (Arc::clone(&self.owned), key.clone(), CancellationToken::new());
        let body = completion::until(&cut_off, body);
        let change = async move {
            let write = owned.coherence.as_ref().map(|coherence| coherence.begin_write(&key));
            let bytes = match (&body, &owned.coherence) {
                (Body::Bytes(bytes), Some(coherence)) if bytes.len() as u64 <= coherence.cache().entry_limit() => {
                    Some(bytes.clone())
                }
                _ => None,
            };
            let metadata = owned.call(Operation::Store, owned.provider.store(&key, body, options)).await?;
            if let Some(write) = write {
                let of_these = |bytes: &bytes::Bytes| metadata.key == key && metadata.size == bytes.len() as u64;
                let entry = |bytes| CacheEntry { metadata: Arc::new(metadata.clone()), bytes };
                write.finish(bytes.filter(of_these).map(entry));
            }
            owned.monitor.record_write(metadata.size);
            owned.tell(EventType::ObjectCreated, &key, Some(&metadata));
            Ok(metadata)
        };
        Completion::new(cut_off, change).await
    }

    /// Returns an object or a range of it, as [`StorageProvider::retrieve`]. A range is served from the cache if the
    /// whole object is there, and does not itself bring it there.
    ///
    /// # Errors
    /// Those of the provider.
    pub async fn retrieve_data(&self, key: &Key, range: Option<ByteRange>) -> Result<Object> {
        if let Some(coherence) = &self.owned.coherence
            && let Some(cached) = coherence.cache().get(key)
        {
            let answer = self.owned.answer(key, cached, range);
            return self.noted(key, answer);
        }
        let answer = self.load(key, range).await;
        self.noted(key, answer)
    }

    /// Takes note of a read, if it was one.
    #[inline(always)]
    fn noted(&self, key: &Key, answer: Result<Object>) -> Result<Object> {
        if let (Some(reads), Ok(_)) = (&self.reads, &answer) {
            reads.note(key);
        }
        answer
    }

    /// Returns an object that the cache did not have just now.
    async fn load(&self, key: &Key, range: Option<ByteRange>) -> Result<Object> {
        hide_reserved(key)?;
        let Some(coherence) = &self.owned.coherence else { return self.owned.retrieve(key, range).await };
        if range.is_some() {
            return coherence.ask(key, self.owned.retrieve(key, range)).await;
        }
        let landing = match coherence.look_up(key) {
            Lookup::Hit(cached) => return self.owned.answer(key, cached, None),
            Lookup::Join(landing) => landing,
            Lookup::Start(load, landing) => {
                let entry_limit = coherence.cache().entry_limit();
                tokio::spawn(Arc::clone(&self.owned).load(load, entry_limit).in_current_span());
                landing
            }
        };
        match landed(landing).await {
            Landing::Whole(entry) => self.owned.hand_out(entry, None),
            Landing::Failed(error) => Err(error),
            Landing::Stream(object) => {
                let first = object.lock().take();
                match first {
                    Some(object) => Ok(self.owned.record_read(object)),
                    None => self.owned.retrieve(key, None).await,
                }
            }
        }
    }

    /// Deletes an object, as [`StorageProvider::delete`].
    ///
    /// # Errors
    /// Those of the provider.
    pub async fn delete_data(&self, key: &Key, if_match: Option<&ETag>) -> Result<()> {
        hide_reserved(key)?;
        let (owned, key, if_match) = (Arc::clone(&self.owned), key.clone(), if_match.cloned());
        let reads = self.reads.clone();
        let change = async move {
            let _write = owned.coherence.as_ref().map(|coherence| coherence.begin_write(&key));
            owned.call(Operation::Delete, owned.provider.delete(&key, if_match.as_ref())).await?;
            owned.monitor.record_delete();
            owned.tell(EventType::ObjectDeleted, &key, None);
            if let Some(reads) = reads {
                reads.forget(&key);
            }
            Ok(())
        };
        Completion::new(CancellationToken::new(), change).await
    }

    /// Returns a page of a listing, as [`StorageProvider::list`].
    ///
    /// # Errors
    /// Those of the provider.
    pub async fn list_data(&self, query: &ListQuery) -> Result<Page> {
        let mut page = self.owned.call(Operation::List, self.owned.provider.list(query)).await?;
        if let Some(behind) = probe::hide(&mut page, query) {
            page = self.owned.call(Operation::List, self.owned.provider.list(&behind)).await?;
        }
        Ok(page)
    }

    /// Returns an object's metadata, as [`StorageProvider::metadata`]; from the cache, if the object is there.
    ///
    /// # Errors
    /// Those of the provider.
    pub async fn metadata(&self, key: &Key) -> Result<StorageMetadata> {
        hide_reserved(key)?;
        let Some(coherence) = &self.owned.coherence else { return self.owned.metadata(key).await };
        match coherence.cache().peek(key) {
            Some(Cached::Entry(entry)) => Ok(StorageMetadata::clone(&entry.metadata)),
            Some(Cached::Absent) => Err(Error::not_found(key)),
            None => coherence.ask(key, self.owned.metadata(key)).await,
        }
    }

    /// Has the cache forget what it knows of a key, and says whether it knew anything: the next read goes to the provider.
    /// For stores that others write to.
    pub fn invalidate(&self, key: &Key) -> bool {
        self.owned.coherence.as_ref().is_some_and(|coherence| coherence.invalidate(key))
    }

    /// Has the cache forget what it knows of all keys that begin with `prefix`, or of all keys if that is empty, and
    /// returns how many these were. Costs a look at every entry.
    pub fn invalidate_prefix(&self, prefix: &str) -> u64 {
        self.owned.coherence.as_ref().map_or(0, |coherence| coherence.invalidate_prefix(prefix))
    }

    /// Changes an object's attributes, as [`StorageProvider::update`]. A cached object stays cached.
    ///
    /// # Errors
    /// Those of the provider.
    pub async fn update_data(
        &self,
        key: &Key,
        changes: AttributeChanges,
        if_match: Option<&ETag>,
    ) -> Result<StorageMetadata> {
        hide_reserved(key)?;
        let (owned, key, if_match) = (Arc::clone(&self.owned), key.clone(), if_match.cloned());
        let change = async move {
            let mut write = owned.coherence.as_ref().map(|coherence| coherence.begin_write(&key));
            let call = owned.provider.update(&key, changes, if_match.as_ref());
            let metadata = owned.call(Operation::Update, call).await?;
            let replaced = write.as_mut().and_then(|write| write.replaced.take());
            if let (Some(write), Some(replaced)) = (write, replaced) {
                // The etag names the write that the bytes came with.
                let same = replaced.metadata.key == metadata.key && replaced.metadata.etag == metadata.etag;
                let entry = CacheEntry { metadata: Arc::new(metadata.clone()), bytes: replaced.bytes };
                write.finish(same.then_some(entry));
            }
            owned.tell(EventType::ObjectUpdated, &key, Some(&metadata));
            Ok(metadata)
        };
        Completion::new(CancellationToken::new(), change).await
    }

    /// Takes a step in the ageing of an object, as [`AgeingStore::age`].
    ///
    /// # Errors
    /// Those of the provider; [`Error::Unsupported`] if its objects do not age.
    pub async fn age_data(&self, key: &Key, step: AgeingStep) -> Result<()> {
        hide_reserved(key)?;
        let (owned, key) = (Arc::clone(&self.owned), key.clone());
        let goes = matches!(step, AgeingStep::Delete { .. } | AgeingStep::Purge { .. });
        let reads = self.reads.clone().filter(|_| goes);
        let change = async move {
            let _write = owned.coherence.as_ref().map(|coherence| coherence.begin_write(&key));
            let kind = event_of(&step);
            let step = async { owned.ageing()?.age(&key, step).await };
            owned.call(Operation::Age, step).await?;
            owned.tell(kind, &key, None);
            if let Some(reads) = reads {
                reads.forget(&key);
            }
            Ok(())
        };
        Completion::new(CancellationToken::new(), change).await
    }

    /// Counts what there is, as [`StorageProvider::usage`], and tells the monitor.
    ///
    /// # Errors
    /// Those of the provider.
    pub async fn usage(&self) -> Result<Usage> {
        let usage = self.owned.call(Operation::Usage, self.owned.provider.usage()).await?;
        self.owned.monitor.record_usage(usage);
        Ok(usage)
    }
}

impl Owned {
    /// Awaits an answer of the provider, times it, and logs trouble that is not of the caller's making.
    async fn call<T>(&self, operation: Operation, call: impl Future<Output = Result<T>>) -> Result<T> {
        let started = Instant::now();
        let result = call.await;
        self.monitor.record_call(operation, started, &result);
        if let Err(error) = &result
            && is_trouble(error)
        {
            tracing::warn!(store = %self.name, operation = operation.as_str(), kind = error.kind(), "{error}");
        }
        result
    }

    /// Tells of a change that the provider has made.
    fn tell(&self, kind: EventType, key: &Key, metadata: Option<&StorageMetadata>) {
        self.events.publish(|| {
            let about = metadata.map(|metadata| ObjectEvent {
                etag: Some(metadata.etag.clone()),
                size: Some(metadata.size),
                updated_at: Some(metadata.updated_at),
            });
            Event::of_object(kind, &self.name, key, &about.unwrap_or_default())
        });
    }

    /// Retrieves from the provider, beside the cache.
    async fn retrieve(&self, key: &Key, range: Option<ByteRange>) -> Result<Object> {
        hide_reserved(key)?;
        let object = self.call(Operation::Retrieve, self.fetch(key, range)).await?;
        Ok(self.record_read(object))
    }

    /// Retrieves an object as it was stored, and nothing that a layer made of it which is no longer there.
    async fn fetch(&self, key: &Key, range: Option<ByteRange>) -> Result<Object> {
        let object = self.provider.retrieve(key, range).await?;
        match missing_layer(&object.metadata) {
            None => Ok(object),
            Some(layer) => Err(Error::unsupported(format!(
                "the object \u{2018}{key}\u{2019} was stored with `{layer}`, which the configuration of the store \
                 \u{2018}{}\u{2019} does not name any more: name it again",
                self.name
            ))),
        }
    }

    fn ageing(&self) -> Result<Arc<dyn AgeingStore>> {
        Arc::clone(&self.provider).ageing().ok_or_else(|| {
            let name = &self.name;
            Error::unsupported(format!("the objects of the store {name} do not age: it has no `lifecycle`"))
        })
    }

    async fn metadata(&self, key: &Key) -> Result<StorageMetadata> {
        self.call(Operation::Metadata, self.provider.metadata(key)).await
    }

    fn record_read(&self, object: Object) -> Object {
        self.monitor.record_read(object.range.end - object.range.start);
        object
    }

    /// Loads a whole object for all who wait for it.
    async fn load(self: Arc<Self>, load: Load, entry_limit: u64) {
        let loaded = self.call(Operation::Retrieve, self.fetch(&load.key, None)).await;
        let landing = Landing::of(&load.key, loaded, entry_limit).await;
        load.land(landing);
    }

    /// Answers a read with what the cache knows.
    #[inline(always)]
    fn answer(&self, key: &Key, cached: Cached, range: Option<ByteRange>) -> Result<Object> {
        match cached {
            Cached::Entry(entry) => self.hand_out(entry, range),
            Cached::Absent => Err(Error::not_found(key)),
        }
    }

    /// Shares an entry's bytes.
    #[inline(always)]
    fn hand_out(&self, entry: CacheEntry, range: Option<ByteRange>) -> Result<Object> {
        let CacheEntry { metadata, bytes } = entry;
        let size = bytes.len() as u64;
        let (range, bytes) = match range {
            None => (0..size, bytes),
            Some(range) => {
                let range = range.resolve(size)?;
                // Both ends are within `bytes`, whose length is a usize.
                let part = bytes.slice(range.start as usize..range.end as usize);
                (range, part)
            }
        };
        self.monitor.record_read(range.end - range.start);
        Ok(Object { metadata, range, body: Body::Bytes(bytes) })
    }
}

/// What is told when an object took a step.
fn event_of(step: &AgeingStep) -> EventType {
    match step {
        AgeingStep::Archive { .. } => EventType::ObjectArchived,
        AgeingStep::Restore { .. } => EventType::ObjectRestored,
        AgeingStep::Trash { .. } => EventType::ObjectTrashed,
        AgeingStep::TakeOut => EventType::ObjectTakenOut,
        AgeingStep::Purge { .. } => EventType::ObjectPurged,
        AgeingStep::Delete { .. } => EventType::ObjectDeleted,
        AgeingStep::Tag { .. } => EventType::ObjectUpdated,
    }
}

/// Nobody stores what the host probes with.
fn refuse_reserved(key: &Key) -> Result<()> {
    if key.is_reserved() {
        return Err(Error::invalid_input(format!(
            "\u{2018}{key}\u{2019} is the key that the host probes its stores with; choose another"
        )));
    }
    Ok(())
}

/// What the host probes with is not there for anybody else.
fn hide_reserved(key: &Key) -> Result<()> {
    if key.is_reserved() { Err(Error::not_found(key)) } else { Ok(()) }
}

/// Whether an operator would want to know of the error, whoever asked and whatever for.
fn is_trouble(error: &Error) -> bool {
    use Error::{Corrupt, Exhausted, Internal, PermissionDenied, Timeout, Unavailable};
    matches!(
        error,
        Corrupt { .. }
            | Exhausted { .. }
            | Internal { .. }
            | PermissionDenied { .. }
            | Timeout { .. }
            | Unavailable { .. }
    )
}
