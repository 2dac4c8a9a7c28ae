//! Layers: what wraps a provider and is one. What they write is described in `host/docs/file-format.md`.

mod ageing;
mod codec;
mod coded;
mod compression;
mod decoding;
mod encoding;
mod encryption;
mod key_locks;
mod quota;
mod rekey;
mod seal;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use self::codec::Codec;
use self::coded::Coded;
use self::compression::Zstd;
use self::encryption::Sealing;
use self::quota::Quota;
use super::StorageProvider;
use crate::error::{Error, Result};
use crate::object::StorageMetadata;

pub use ageing::{Ageing, AgeingOptions, Archived, Clock, Lock, Restored, Trashed};
pub use encryption::EncryptionKey;
pub use rekey::{Rekeyed, rekey};
pub use seal::Seal;

/// The layers around a provider, in the one order that there is: bytes are counted, then compressed, then encrypted.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// The most bytes that the objects have together, as they are read.
    pub max_size: Option<u64>,
    /// The level of zstd's compression, 1 to 19.
    pub compression: Option<i32>,
    /// What the stored bytes are encrypted with.
    pub encryption: Option<Encryption>,
}

/// The keys of a store.
#[derive(Clone, Debug)]
pub struct Encryption {
    /// What new objects are encrypted with.
    pub key: EncryptionKey,
    /// What objects may still be encrypted with, and are read.
    pub old_keys: Vec<EncryptionKey>,
}

impl Layers {
    /// The provider within its layers.
    pub fn around(self, mut provider: Arc<dyn StorageProvider>) -> Arc<dyn StorageProvider> {
        if let Some(encryption) = self.encryption {
            provider = Arc::new(Coded::new(provider, Sealing::new(encryption)));
        }
        if let Some(level) = self.compression {
            provider = Arc::new(Coded::new(provider, Zstd::new(level)));
        }
        if let Some(max_size) = self.max_size {
            provider = Arc::new(Quota::new(provider, max_size));
        }
        provider
    }
}

/// The layer, in the configuration's words, that an object is to be read through and that its provider is not within. What
/// it says is what is stored.
pub fn missing_layer(metadata: &StorageMetadata) -> Option<&'static str> {
    let user_metadata = &metadata.attributes.user_metadata;
    let ageing = [(ageing::ARCHIVED, "lifecycle"), (ageing::TRASHED, "lifecycle")];
    let coding = [(Sealing::MARK, "encryption"), (Zstd::MARK, "compression: zstd")];
    let mut marks = ageing.into_iter().chain(coding);
    marks.find(|(mark, _)| user_metadata.get(mark).is_some()).map(|(_, layer)| layer)
}

/// Work on more bytes than this is not done on the runtime's own threads.
const SHORT: usize = 16 * 1024;

/// Does a piece of work on so many bytes.
pub(crate) async fn off_runtime<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    if bytes <= SHORT {
        return work();
    }
    let working = tokio::task::spawn_blocking(work);
    working.await.unwrap_or_else(|error| Err(Error::internal(format!("work on an object's bytes has ended: {error}"))))
}
