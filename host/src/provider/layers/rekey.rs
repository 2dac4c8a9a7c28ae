use std::sync::Arc;

use super::Encryption;
use super::codec::Codec;
use super::coded::Coded;
use super::encryption::Sealing;
use crate::error::{Error, Result};
use crate::object::StorageMetadata;
use crate::provider::{Condition, ListQuery, Stamp, StorageProvider, StoreOptions};

/// What [`rekey`] has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Rekeyed {
    /// How many objects were encrypted anew.
    pub moved: u64,
    /// How many bytes they have as they are stored.
    pub bytes: u64,
    /// How many were encrypted with the current key already.
    pub current: u64,
}

/// Encrypts with the current key what is encrypted with an old one or not at all. The objects stay what they are: their
/// etags and times too. `provider` is what lies below the layers, and `tell` hears how far it is.
///
/// It can be stopped at any time and goes on where it was. Objects that are written meanwhile are current.
///
/// # Errors
/// Those of the provider; [`Error::PermissionDenied`] if the key of an object is not given.
pub async fn rekey(
    provider: &Arc<dyn StorageProvider>,
    encryption: Encryption,
    mut tell: impl FnMut(Rekeyed),
) -> Result<Rekeyed> {
    let is_current = {
        let sealing = Sealing::new(encryption.clone());
        move |object: &StorageMetadata| sealing.is_current(object.attributes.user_metadata.get(Sealing::MARK))
    };
    let sealed = Coded::new(Arc::clone(provider), Sealing::new(encryption));
    let mut done = Rekeyed::default();
    let mut query = ListQuery::all();
    loop {
        let page = provider.list(&query).await?;
        let next = page.next().map(|key| key.as_str().to_owned());
        for object in page.objects {
            if is_current(&object) {
                done.current += 1;
            } else if renew(&sealed, &object).await? {
                done.moved += 1;
                done.bytes += object.size;
            }
            tell(done);
        }
        match next {
            Some(last) => query.start_after = Some(last),
            None => return Ok(done),
        }
    }
}

/// Stores an object as it is read. Returns whether it was still there.
async fn renew(sealed: &Coded<Sealing>, object: &StorageMetadata) -> Result<bool> {
    let read = match sealed.retrieve(&object.key, None).await {
        Err(Error::NotFound { .. }) => return Ok(false),
        read => read?,
    };
    let StorageMetadata { etag, updated_at, created_at, attributes, .. } = StorageMetadata::clone(&read.metadata);
    let options = StoreOptions {
        attributes,
        condition: Condition::IfMatch(etag.clone()),
        stamp: Stamp { etag, updated_at, created_at: Some(created_at) },
    };
    match sealed.store(&object.key, read.body, options).await {
        // Written or deleted meanwhile.
        Err(Error::PreconditionFailed { .. } | Error::NotFound { .. }) => Ok(false),
        stored => stored.map(|_| true),
    }
}
