use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use parking_lot::Mutex;

use super::codec::{Codec, Description, Part};
use super::decoding::decode;
use super::encoding::{self, End};
use super::key_locks::KeyLocks;
use super::off_runtime;
use crate::error::{Error, Result};
use crate::object::{
    AttributeChanges, Body, ByteRange, ByteStream, Checksum, ETag, Key, Object, StorageMetadata, UserMetadata,
};
use crate::provider::{CheckReport, DueIndex, ListQuery, Page, StorageProvider, StoreOptions, Watch};

/// A layer whose objects are stored otherwise than they are read.
///
/// An inner object has a mark in its user metadata, which says what size and checksum the object has. Of a body in pieces
/// that is known at its end only: it is then written behind the stored bytes, and put into the mark by a second write. If
/// that does not happen, reading the object costs one more look at its end.
pub(super) struct Coded<C> {
    inner: Arc<dyn StorageProvider>,
    codec: Arc<C>,
    /// Whose user metadata is being changed: it is read, and written back with the mark.
    changing: Arc<KeyLocks>,
}

/// How many bytes of a body in pieces are looked at before it is decided how to store it.
const FIRST: usize = 128 * 1024;
/// Of an object that has no more stored bytes than this, all are read for a range of it.
const WHOLE: u64 = 64 * 1024;
/// How often a read starts anew since the object was replaced meanwhile.
const ATTEMPTS: usize = 16;

impl<C: Codec> Coded<C> {
    pub(super) fn new(inner: Arc<dyn StorageProvider>, codec: C) -> Self {
        Self { inner, codec: Arc::new(codec), changing: Arc::default() }
    }

    /// The mark that the inner object has, if it is coded at all.
    fn mark(inner: &StorageMetadata) -> Option<&str> {
        inner.attributes.user_metadata.get(C::MARK)
    }

    /// What the mark says of an object, or its end.
    async fn describe(&self, inner: &StorageMetadata, mark: &str) -> Result<Description> {
        let StorageMetadata { key, size, etag, .. } = inner;
        let known = self.codec.describe(key, mark, *size, None).map_err(|error| of_object(key, error))?;
        if let Some(description) = known {
            return Ok(description);
        }
        let tail = self.stored(key, etag, size.saturating_sub(C::TAIL)..*size).await?;
        let described = self.codec.describe(key, mark, *size, Some(&tail)).map_err(|error| of_object(key, error))?;
        described.ok_or_else(|| Error::corrupt(format!("the object \u{2018}{key}\u{2019} does not say how long it is")))
    }

    /// Some of the stored bytes of an object, if it is still that one.
    async fn stored(&self, key: &Key, etag: &ETag, range: Range<u64>) -> Result<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let wanted = range.end - range.start;
        let object = self.part_of(key, etag, range).await?;
        let bytes = object.body.collect(wanted).await?;
        match bytes.len() as u64 {
            len if len == wanted => Ok(bytes),
            _ => Err(of_object(key, Error::corrupt("it is too short"))),
        }
    }

    async fn part_of(&self, key: &Key, etag: &ETag, range: Range<u64>) -> Result<Object> {
        match self.inner.retrieve(key, Some(ByteRange::between(range.start, range.end)?)).await {
            Ok(object) if object.metadata.etag == *etag => Ok(object),
            Ok(_) => Err(replaced(key)),
            // The range is one of stored bytes, which callers know nothing of.
            Err(Error::RangeNotSatisfiable { .. }) if self.inner.metadata(key).await?.etag != *etag => {
                Err(replaced(key))
            }
            Err(Error::RangeNotSatisfiable { .. }) => Err(of_object(key, Error::corrupt("it is too short"))),
            Err(error) => Err(error),
        }
    }

    /// What callers see of an inner object.
    async fn outer(&self, inner: StorageMetadata) -> Result<StorageMetadata> {
        match Self::mark(&inner) {
            None => Ok(inner),
            Some(mark) => {
                let description = self.describe(&inner, mark).await?;
                Ok(Self::described(inner, description))
            }
        }
    }

    fn described(mut inner: StorageMetadata, Description { size, checksum }: Description) -> StorageMetadata {
        inner.attributes.user_metadata.remove(C::MARK);
        StorageMetadata { size, checksum, ..inner }
    }

    /// The whole object.
    async fn whole(&self, key: &Key) -> Result<Object> {
        let object = self.inner.retrieve(key, None).await?;
        let Some(mark) = Self::mark(&object.metadata).map(str::to_owned) else { return Ok(object) };
        let description = self.describe(&object.metadata, &mark).await?;
        let Description { size, checksum } = description;
        let decoder = self.codec.decoder(key, &mark, &description).map_err(|error| of_object(key, error))?;
        let what = format!("the object \u{2018}{key}\u{2019}");
        let decoded = decode(key, object.body, decoder, 0..size).await?;
        let body = match decoded {
            Body::Bytes(bytes) if bytes.len() as u64 == size && Checksum::of(&bytes) == checksum => Body::Bytes(bytes),
            Body::Bytes(_) => return Err(of_object(key, Error::corrupt("its bytes do not have their checksum"))),
            stream @ Body::Stream(_) => stream.verified(size, Some(checksum), what),
        };
        let metadata = Self::described(StorageMetadata::clone(&object.metadata), description);
        Ok(Object { metadata: metadata.into(), range: 0..size, body })
    }

    /// A range of the object.
    async fn part(&self, key: &Key, range: ByteRange) -> Result<Object> {
        let inner = self.inner.metadata(key).await?;
        let Some(mark) = Self::mark(&inner) else {
            return self.part_of(key, &inner.etag, range.resolve(inner.size)?).await;
        };
        let description = self.describe(&inner, mark).await?;
        let range = range.resolve(description.size)?;
        let (etag, stored) = (&inner.etag, inner.size);
        let body = if stored <= WHOLE {
            let bytes = self.stored(key, etag, 0..stored).await?;
            let decoder = self.codec.decoder(key, mark, &description).map_err(|error| of_object(key, error))?;
            decode(key, Body::Bytes(bytes), decoder, range.clone()).await?
        } else {
            let table = self.stored(key, etag, self.codec.table(&description, stored)).await?;
            let part = self.codec.part(key, mark, &description, &table, &range);
            let Part { stored, decoder, skip } = part.map_err(|error| of_object(key, error))?;
            let object = self.part_of(key, etag, stored).await?;
            decode(key, object.body, decoder, skip..skip + (range.end - range.start)).await?
        };
        Ok(Object { metadata: Self::described(inner, description).into(), range, body })
    }

    /// Stores a body that is all there.
    async fn store_whole(&self, key: &Key, bytes: Bytes, options: StoreOptions) -> Result<StorageMetadata> {
        let (codec, coded_key, plain) = (Arc::clone(&self.codec), key.clone(), bytes.clone());
        let code = move || {
            let Some(mut encoder) = codec.encoder(&coded_key, &plain, true)? else { return Ok(None) };
            let description = Description { size: plain.len() as u64, checksum: Checksum::of(&plain) };
            let mut out = Vec::with_capacity(plain.len());
            encoder.push(&plain, &mut out)?;
            encoder.finish(&description, &mut out)?;
            Ok(Some((Bytes::from(out), encoder.mark(Some(&description))?, description)))
        };
        let Some((coded, mark, description)) = off_runtime(bytes.len(), code).await? else {
            return self.inner.store(key, Body::Bytes(bytes), options).await;
        };
        let inner = self.inner.store(key, Body::Bytes(coded), marked::<C>(options, &mark)?).await?;
        Ok(Self::described(inner, description))
    }

    /// Stores a body that comes in pieces, and has these first bytes.
    async fn store_stream(
        &self,
        key: &Key,
        first: Bytes,
        rest: ByteStream,
        options: StoreOptions,
    ) -> Result<StorageMetadata> {
        let (codec, coded_key, beginning) = (Arc::clone(&self.codec), key.clone(), first.clone());
        let encoder = off_runtime(first.len(), move || codec.encoder(&coded_key, &beginning, false)).await?;
        let all = stream::iter([Ok(first)]).chain(rest).boxed();
        let Some(encoder) = encoder else {
            return self.inner.store(key, Body::Stream(all), options).await;
        };
        let options = marked::<C>(options, &encoder.mark(None)?)?;
        let end = Arc::<Mutex<Option<End>>>::default();
        let coded = encoding::encode(encoder, all, Arc::clone(&end));
        let inner = self.inner.store(key, coded, options).await?;
        let end = end.lock().take();
        let Some(End { description, mark }) = end else {
            return Err(Error::internal(format!(
                "the provider says that it stored \u{2018}{key}\u{2019}, and has not read all of it"
            )));
        };
        self.note_mark(key, &mark, &inner.etag).await;
        Ok(Self::described(inner, description))
    }

    /// Puts into an object's mark what was not known when it was begun. It can be read without that, too.
    async fn note_mark(&self, key: &Key, mark: &str, etag: &ETag) {
        let _changing = self.changing.lock(key).await;
        let noted = async {
            let mut user_metadata = self.inner.metadata(key).await?.attributes.user_metadata;
            user_metadata.set_of_host(C::MARK, mark)?;
            let changes = AttributeChanges { user_metadata: Some(user_metadata), ..AttributeChanges::default() };
            self.inner.update(key, changes, Some(etag)).await
        };
        if let Err(error) = noted.await {
            tracing::debug!(kind = error.kind(), "an object keeps the mark that it was begun with: {error}");
        }
    }

    /// Tries a read again that met a write.
    async fn retrying<T, F: Future<Output = Result<T>>>(&self, key: &Key, read: impl Fn() -> F) -> Result<T> {
        for _ in 0..ATTEMPTS {
            match read().await {
                Err(Error::PreconditionFailed { .. }) => {}
                answer => return answer,
            }
        }
        Err(Error::unavailable(format!("the object \u{2018}{key}\u{2019} is replaced faster than it can be read")))
    }
}

#[async_trait]
impl<C: Codec> StorageProvider for Coded<C> {
    async fn store(&self, key: &Key, body: Body, options: StoreOptions) -> Result<StorageMetadata> {
        refuse_mark::<C>(&options.attributes.user_metadata)?;
        let mut rest = match body {
            Body::Bytes(bytes) => return self.store_whole(key, bytes, options).await,
            Body::Stream(pieces) => pieces,
        };
        let mut first = Vec::new();
        while first.len() < FIRST {
            let Some(piece) = rest.try_next().await? else {
                return self.store_whole(key, first.into(), options).await;
            };
            first.extend_from_slice(&piece);
        }
        self.store_stream(key, first.into(), rest, options).await
    }

    async fn retrieve(&self, key: &Key, range: Option<ByteRange>) -> Result<Object> {
        match range {
            None => self.retrying(key, || self.whole(key)).await,
            Some(range) => self.retrying(key, || self.part(key, range)).await,
        }
    }

    async fn delete(&self, key: &Key, if_match: Option<&ETag>) -> Result<()> {
        self.inner.delete(key, if_match).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        let Page { objects, more } = self.inner.list(query).await?;
        let mut listed = Vec::with_capacity(objects.len());
        for inner in objects {
            let key = inner.key.clone();
            match self.outer(inner).await {
                // Replaced or deleted since the page was read.
                Err(Error::PreconditionFailed { .. } | Error::NotFound { .. }) => match self.metadata(&key).await {
                    Ok(metadata) => listed.push(metadata),
                    Err(Error::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                },
                metadata => listed.push(metadata?),
            }
        }
        Ok(Page { objects: listed, more })
    }

    async fn metadata(&self, key: &Key) -> Result<StorageMetadata> {
        self.retrying(key, || async { self.outer(self.inner.metadata(key).await?).await }).await
    }

    async fn update(&self, key: &Key, changes: AttributeChanges, if_match: Option<&ETag>) -> Result<StorageMetadata> {
        let Some(wanted) = &changes.user_metadata else {
            let inner = self.inner.update(key, changes, if_match).await?;
            return self.outer(inner).await;
        };
        refuse_mark::<C>(wanted)?;
        let _changing = self.changing.lock(key).await;
        for _ in 0..ATTEMPTS {
            let inner = self.inner.metadata(key).await?;
            let mut changes = changes.clone();
            if let (Some(user_metadata), Some(mark)) = (&mut changes.user_metadata, Self::mark(&inner)) {
                user_metadata.set_of_host(C::MARK, mark)?;
            }
            match self.inner.update(key, changes, if_match.or(Some(&inner.etag))).await {
                // Another object than the one whose mark was taken over.
                Err(Error::PreconditionFailed { .. }) if if_match.is_none() => {}
                updated => return self.outer(updated?).await,
            }
        }
        Err(Error::unavailable(format!("the object \u{2018}{key}\u{2019} is replaced faster than it can be changed")))
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

impl<C: Codec> fmt::Debug for Coded<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coded").field("codec", &self.codec).field("inner", &self.inner).finish()
    }
}

/// The options with the mark among the user metadata.
fn marked<C: Codec>(mut options: StoreOptions, mark: &str) -> Result<StoreOptions> {
    options.attributes.user_metadata.set_of_host(C::MARK, mark)?;
    Ok(options)
}

fn refuse_mark<C: Codec>(user_metadata: &UserMetadata) -> Result<()> {
    match user_metadata.get(C::MARK) {
        None => Ok(()),
        Some(_) => {
            Err(Error::invalid_input(format!("the user metadata {:?} is the host's own; use another name", C::MARK)))
        }
    }
}

/// The error with the object that it is about.
pub(super) fn of_object(key: &Key, error: Error) -> Error {
    match error {
        Error::Corrupt { message } => Error::corrupt(format!("the object \u{2018}{key}\u{2019} is damaged: {message}")),
        Error::PermissionDenied { message } => {
            Error::permission_denied(format!("the object \u{2018}{key}\u{2019} can not be read: {message}"))
        }
        error => error,
    }
}

/// What a read ends with that found another object than the one it began with; it then starts anew.
fn replaced(key: &Key) -> Error {
    Error::precondition_failed(format!("the object \u{2018}{key}\u{2019} was replaced while it was read"))
}
