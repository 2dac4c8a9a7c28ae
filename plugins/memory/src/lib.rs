//! The simplest provider: objects in a map, for as long as the instance lives.
//!
//! Since instances share nothing, it needs `instances: 1` among its limits, and the host's memory limit for a plugin is
//! the limit of what it holds. It is there to be read, and to be measured against.
//!
//! ```yaml
//! plugins:
//!   memory:
//!     source: plugins/memory
//!     config:
//!       max_object: 1048576      # bytes; larger objects are refused. 64 MiB unless it is said
//!     limits: { instances: 1, memory: 256MiB }
//! stores:
//!   scratch: { provider_type: memory }
//! ```

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;

use larder_sdk::{
    AttributeChanges, Body, ByteRange, ByteSource, CHUNK_SIZE, Condition, ETag, Error, ListQuery, Metadata, Object,
    Page, Result, StorageProvider, StoreOptions, Upload,
};

/// The largest object that is returned in one piece.
const WHOLE: usize = 1 << 20;

/// Objects in a map.
#[derive(Debug)]
pub struct Memory {
    max_object: usize,
    objects: RefCell<BTreeMap<String, Entry>>,
}

#[derive(Clone, Debug)]
struct Entry {
    metadata: Metadata,
    bytes: Rc<Vec<u8>>,
}

/// What the operator may say.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The largest object that is taken, in bytes.
    pub max_object: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { max_object: 64 << 20 }
    }
}

impl StorageProvider for Memory {
    type Config = Config;

    async fn open(config: Config) -> Result<Self> {
        Ok(Self { max_object: config.max_object, objects: RefCell::default() })
    }

    async fn store(&self, key: &str, upload: Upload, options: StoreOptions) -> Result<Metadata> {
        let (bytes, checksum) = upload.collect(self.max_object).await?;
        let mut objects = self.objects.borrow_mut();
        let existing = objects.get_mut(key);
        let previous = existing.as_ref().map(|entry| &entry.metadata);
        Condition::check(options.condition.as_ref(), key, previous.map(|previous| &previous.etag))?;
        let metadata = options.into_metadata(key, bytes.len() as u64, checksum, previous);
        let entry = Entry { metadata: metadata.clone(), bytes: Rc::new(bytes) };
        match existing {
            Some(existing) => *existing = entry,
            None => drop(objects.insert(key.to_owned(), entry)),
        }
        Ok(metadata)
    }

    async fn retrieve(&self, key: &str, range: Option<ByteRange>) -> Result<Object> {
        let Entry { metadata, bytes } = self.entry(key)?;
        let range = match range {
            Some(range) => range.resolve(metadata.size)?,
            None => 0..metadata.size,
        };
        let (start, end) = (range.start as usize, range.end as usize);
        let body = if end - start <= WHOLE {
            Body::from(&bytes[start..end])
        } else {
            Body::stream(Slice { bytes, start, end })
        };
        Ok(Object { metadata, body })
    }

    async fn delete(&self, key: &str, if_match: Option<&ETag>) -> Result<()> {
        let found = self.entry(key)?.metadata.etag;
        Condition::check(if_match.cloned().map(Condition::IfMatch).as_ref(), key, Some(&found))?;
        self.objects.borrow_mut().remove(key);
        Ok(())
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        let objects = self.objects.borrow();
        let start = match &query.start_after {
            Some(key) if *key >= query.prefix => Bound::Excluded(key.as_str()),
            _ => Bound::Included(query.prefix.as_str()),
        };
        let mut found = objects
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(&query.prefix))
            .map(|(_, entry)| entry.metadata.clone());
        let objects = found.by_ref().take(query.limit as usize).collect();
        Ok(Page { objects, more: found.next().is_some() })
    }

    async fn metadata(&self, key: &str) -> Result<Metadata> {
        Ok(self.entry(key)?.metadata)
    }

    async fn update(&self, key: &str, changes: AttributeChanges, if_match: Option<&ETag>) -> Result<Metadata> {
        let mut objects = self.objects.borrow_mut();
        let Entry { metadata, .. } = objects.get_mut(key).ok_or_else(|| Error::not_found(key))?;
        Condition::check(if_match.cloned().map(Condition::IfMatch).as_ref(), key, Some(&metadata.etag))?;
        metadata.attributes.apply(changes);
        Ok(metadata.clone())
    }
}

impl Memory {
    fn entry(&self, key: &str) -> Result<Entry> {
        self.objects.borrow().get(key).cloned().ok_or_else(|| Error::not_found(key))
    }
}

/// A part of an object's bytes, which outlive the object if it is replaced meanwhile.
struct Slice {
    bytes: Rc<Vec<u8>>,
    start: usize,
    end: usize,
}

impl ByteSource for Slice {
    async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let end = self.end.min(self.start + CHUNK_SIZE);
        let piece = &self.bytes[self.start..end];
        self.start = end;
        Ok((!piece.is_empty()).then(|| piece.to_vec()))
    }
}

larder_sdk::export!(provider: Memory);

#[cfg(test)]
mod tests;
