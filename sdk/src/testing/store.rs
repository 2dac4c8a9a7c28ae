use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;

use super::executor::step;
use crate::body::{Body, CHUNK_SIZE, Upload};
use crate::error::{Error, Result};
use crate::object::{AttributeChanges, ETag, Metadata, Object};
use crate::provider::{Condition, ListQuery, Page, StorageProvider, StoreOptions};
use crate::range::ByteRange;

/// A store in memory: what [`grant`](super::grant) grants.
///
/// Every operation first lets others go, once, so that [`run_interleaved`](super::run_interleaved) finds races. Objects
/// larger than [`CHUNK_SIZE`] come back in pieces, as from a host.
#[derive(Debug, Default)]
pub struct MemoryStore {
    objects: RefCell<BTreeMap<String, Stored>>,
}

type Stored = (Metadata, Rc<[u8]>);

impl StorageProvider for MemoryStore {
    type Config = ();

    async fn open(_config: ()) -> Result<Self> {
        Ok(Self::default())
    }

    async fn store(&self, key: &str, upload: Upload, options: StoreOptions) -> Result<Metadata> {
        step().await;
        if !(1..=1024).contains(&key.len()) || key.contains('\0') {
            return Err(Error::invalid_input(format!("{key:?} is no key: those have 1 to 1024 bytes, without NUL")));
        }
        let (bytes, checksum) = upload.collect(usize::MAX).await?;
        let mut objects = self.objects.borrow_mut();
        let previous = objects.get(key).map(|(metadata, _)| metadata);
        Condition::check(options.condition.as_ref(), key, previous.map(|previous| &previous.etag))?;
        let metadata = options.into_metadata(key, bytes.len() as u64, checksum, previous);
        objects.insert(key.to_owned(), (metadata.clone(), bytes.into()));
        Ok(metadata)
    }

    async fn retrieve(&self, key: &str, range: Option<ByteRange>) -> Result<Object> {
        step().await;
        let objects = self.objects.borrow();
        let (metadata, bytes) = objects.get(key).ok_or_else(|| Error::not_found(key))?;
        let part = match range {
            Some(range) => range.of(bytes)?.to_vec(),
            None => bytes.to_vec(),
        };
        let body = if part.len() <= CHUNK_SIZE {
            Body::Bytes(part)
        } else {
            Body::pieces(part.chunks(CHUNK_SIZE).map(|piece| Ok(piece.to_vec())).collect::<Vec<_>>())
        };
        Ok(Object { metadata: metadata.clone(), body })
    }

    async fn delete(&self, key: &str, if_match: Option<&ETag>) -> Result<()> {
        step().await;
        let mut objects = self.objects.borrow_mut();
        let (metadata, _) = objects.get(key).ok_or_else(|| Error::not_found(key))?;
        Condition::check(if_match.cloned().map(Condition::IfMatch).as_ref(), key, Some(&metadata.etag))?;
        objects.remove(key);
        Ok(())
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        step().await;
        let objects = self.objects.borrow();
        let start = match &query.start_after {
            Some(key) if *key >= query.prefix => Bound::Excluded(key.as_str()),
            _ => Bound::Included(query.prefix.as_str()),
        };
        let mut found = objects
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(&query.prefix))
            .map(|(_, (metadata, _))| metadata.clone());
        let objects = found.by_ref().take(query.limit as usize).collect();
        Ok(Page { objects, more: found.next().is_some() })
    }

    async fn metadata(&self, key: &str) -> Result<Metadata> {
        step().await;
        self.objects.borrow().get(key).map(|(metadata, _)| metadata.clone()).ok_or_else(|| Error::not_found(key))
    }

    async fn update(&self, key: &str, changes: AttributeChanges, if_match: Option<&ETag>) -> Result<Metadata> {
        step().await;
        let mut objects = self.objects.borrow_mut();
        let (metadata, _) = objects.get_mut(key).ok_or_else(|| Error::not_found(key))?;
        Condition::check(if_match.cloned().map(Condition::IfMatch).as_ref(), key, Some(&metadata.etag))?;
        metadata.attributes.apply(changes);
        Ok(metadata.clone())
    }
}
