use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::cache::CacheEntry;
use crate::error::{Error, Result};
use crate::object::{Body, Key, Object};

/// A load that readers may join.
pub(super) struct Flight {
    /// Tells it from others of the same key, before and after.
    pub(super) id: u64,
    pub(super) landing: watch::Receiver<Option<Landing>>,
}

/// What a load ends in. Cloning shares it.
#[derive(Clone)]
pub(super) enum Landing {
    /// All of the object.
    Whole(CacheEntry),
    /// An object too large to be kept in memory, for whoever takes it first; the others load it themselves.
    Stream(Arc<Mutex<Option<Object>>>),
    /// An error, for all who waited.
    Failed(Error),
}

impl Landing {
    /// Takes what a provider returned for all of `key`: in memory if it is there already or has at most `entry_limit`
    /// bytes.
    pub(super) async fn of(key: &Key, loaded: Result<Object>, entry_limit: u64) -> Self {
        match Self::try_of(key, loaded, entry_limit).await {
            Ok(landing) => landing,
            Err(error) => Self::Failed(error),
        }
    }

    async fn try_of(key: &Key, loaded: Result<Object>, entry_limit: u64) -> Result<Self> {
        let object = loaded?;
        if object.metadata.key != *key {
            let found = &object.metadata.key;
            return Err(Error::internal(format!(
                "the provider was asked for \u{2018}{key}\u{2019} and returned \u{2018}{found}\u{2019}"
            )));
        }
        let size = object.metadata.size;
        if matches!(object.body, Body::Stream(_)) && size > entry_limit {
            return Ok(Self::Stream(Arc::new(Mutex::new(Some(object)))));
        }
        let Object { metadata, range: _, body } = object;
        let bytes = body.collect(size).await?;
        if bytes.len() as u64 != size {
            let found = bytes.len();
            return Err(Error::corrupt(format!(
                "\u{2018}{key}\u{2019} has {size} bytes, and the provider returned {found}"
            )));
        }
        Ok(Self::Whole(CacheEntry { metadata, bytes }))
    }
}

/// Waits for a load to land.
pub(super) async fn landed(mut receiver: watch::Receiver<Option<Landing>>) -> Landing {
    let broken_off = || Landing::Failed(Error::internal("the load was broken off by a fault of the provider"));
    match receiver.wait_for(Option::is_some).await {
        Ok(landing) => landing.clone().unwrap_or_else(broken_off),
        Err(_) => broken_off(),
    }
}
