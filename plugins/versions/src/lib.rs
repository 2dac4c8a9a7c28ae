//! A layer that keeps earlier versions: before an object is overwritten or deleted, it is copied into a second store.
//!
//! ```yaml
//! plugins:
//!   versions:
//!     source: plugins/versions
//!     config: { keep: 5 }            # earlier versions of a key, beside the current one; 10 unless it is said
//!     grants:
//!       stores: { current: documents-current, history: documents-history }
//! stores:
//!   documents-current: { provider_type: file, internal: true }
//!   documents-history: { provider_type: file }
//!   documents: { provider_type: versions }
//! ```
//!
//! The store `current` holds the objects under their own keys, and `history` the earlier versions: those of the key `a/b`
//! begin with `3:a/b/` (the key's length in bytes, then the key), followed by when they were written and their etag, so
//! they list from the oldest to the newest. Of keys longer than 933 bytes there stands the SHA-256 instead (`long:…/`), and
//! the key itself in the user metadata `larder-versions-key` of each version that has room for it.
//!
//! A version is copied before it is replaced, and replaced only if it is still the one that was copied: a crash at any
//! moment loses none. Of writers that race each gets its turn; only an object that came in pieces can not be offered
//! twice, and a writer whose pieces came too late hears `unavailable`.

mod archive;

use std::num::NonZeroU16;

use larder_sdk::{
    AttributeChanges, Body, ByteRange, Condition, ETag, Error, ErrorKind, InnerStore, ListQuery, Metadata, Object,
    Page, Result, StorageProvider, StoreOptions, Upload,
};

use archive::Archive;

/// How often a write is tried when others change the object meanwhile.
const ATTEMPTS: usize = 16;

/// Two stores: the current objects, and the earlier ones.
#[derive(Debug)]
pub struct Versions {
    current: InnerStore,
    archive: Archive,
}

/// What the operator may say.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How many earlier versions of a key are kept.
    pub keep: NonZeroU16,
}

impl Default for Config {
    fn default() -> Self {
        Self { keep: const { NonZeroU16::new(10).unwrap() } }
    }
}

impl StorageProvider for Versions {
    type Config = Config;

    async fn open(config: Config) -> Result<Self> {
        Ok(Self { current: InnerStore::open("current")?, archive: Archive::open(config.keep.get().into())? })
    }

    async fn store(&self, key: &str, upload: Upload, options: StoreOptions) -> Result<Metadata> {
        let mut body = Some(Body::from(upload));
        for _ in 0..ATTEMPTS {
            let previous = self.find(key).await?;
            let found = previous.as_ref().map(|object| object.metadata.etag.clone());
            Condition::check(options.condition.as_ref(), key, found.as_ref())?;
            if let Some(previous) = previous {
                self.archive.add(previous).await?;
            }
            let condition = Some(found.clone().map_or(Condition::IfAbsent, Condition::IfMatch));
            let Some(offer) = next_offer(&mut body) else { break };
            match self.current.store(key, offer, StoreOptions { condition, ..options.clone() }).await {
                Err(error) if error.is(ErrorKind::PreconditionFailed) => {}
                Err(error) => return Err(error),
                Ok(metadata) => {
                    if found.is_some() {
                        self.archive.trim(key).await;
                    }
                    return Ok(metadata);
                }
            }
        }
        Err(contended(key))
    }

    async fn retrieve(&self, key: &str, range: Option<ByteRange>) -> Result<Object> {
        self.current.retrieve(key, range).await
    }

    async fn delete(&self, key: &str, if_match: Option<&ETag>) -> Result<()> {
        let condition = if_match.cloned().map(Condition::IfMatch);
        for _ in 0..ATTEMPTS {
            let previous = self.current.retrieve(key, None).await?;
            let found = previous.metadata.etag.clone();
            Condition::check(condition.as_ref(), key, Some(&found))?;
            self.archive.add(previous).await?;
            match self.current.delete(key, Some(&found)).await {
                Err(error) if error.is(ErrorKind::PreconditionFailed) => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    self.archive.trim(key).await;
                    return Ok(());
                }
            }
        }
        Err(contended(key))
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        self.current.list(query).await
    }

    async fn metadata(&self, key: &str) -> Result<Metadata> {
        self.current.metadata(key).await
    }

    async fn update(&self, key: &str, changes: AttributeChanges, if_match: Option<&ETag>) -> Result<Metadata> {
        self.current.update(key, changes, if_match).await
    }
}

impl Versions {
    async fn find(&self, key: &str) -> Result<Option<Object>> {
        match self.current.retrieve(key, None).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.is(ErrorKind::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The body for one more attempt: bytes as often as needed, pieces once.
fn next_offer(body: &mut Option<Body>) -> Option<Body> {
    match body {
        Some(Body::Bytes(bytes)) => Some(Body::Bytes(bytes.clone())),
        _ => body.take(),
    }
}

fn contended(key: &str) -> Error {
    Error::unavailable(format!("others kept changing \u{2018}{key}\u{2019} meanwhile: try again"))
        .with_code("contended")
}

larder_sdk::export!(provider: Versions);

#[cfg(test)]
mod tests;
