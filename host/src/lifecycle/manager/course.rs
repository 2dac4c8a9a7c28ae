use std::collections::HashMap;
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};

use super::LifecycleManager;
use crate::error::{Error, Result};
use crate::lifecycle::AgeingStore;
use crate::lifecycle::progress::Behind;
use crate::object::{Key, StorageMetadata, Timestamp};
use crate::provider::{Due, DueIndex, ListQuery, NextLook, Serial, Version};

/// How many objects are looked up at once.
const AT_ONCE: usize = 8;

/// How the objects of a run are found.
#[derive(Debug)]
pub(super) enum Course {
    /// All of them in order of keys; when they are to be looked at next goes into the index, if there is one.
    Walk {
        index: Option<Index>,
        /// The next page; `None` behind the last one.
        next: Option<ListQuery>,
    },
    /// Those that are due, the first of them first.
    Due { index: Index, after: Option<Due> },
}

/// An index of what is due, and which.
#[derive(Clone, Debug)]
pub(super) struct Index {
    pub(super) of: Arc<dyn DueIndex>,
    pub(super) serial: Serial,
}

/// Objects that are judged together.
pub(super) struct Batch {
    pub(super) objects: Vec<StorageMetadata>,
    /// How they were just before that was read.
    versions: HashMap<Key, Version>,
}

impl Course {
    /// A walk that begins behind this key.
    pub(super) fn walk(index: Option<Index>, start_after: Option<String>) -> Self {
        Self::Walk { index, next: Some(ListQuery { start_after, ..LifecycleManager::first_page() }) }
    }

    /// The next objects, if there are any.
    ///
    /// # Errors
    /// The store can not be listed, or an object not be looked up.
    pub(super) async fn next(&mut self, store: &dyn AgeingStore, now: Timestamp) -> Result<Option<Batch>> {
        match self {
            Self::Walk { index, next } => {
                let Some(query) = next.take() else { return Ok(None) };
                let versions = match index {
                    Some(index) => index.of.versions(&query).await?.into_iter().collect(),
                    None => HashMap::new(),
                };
                let page = store.list_with_trash(&query).await?;
                *next = page.next().map(|key| ListQuery { start_after: Some(key.as_str().to_owned()), ..query });
                Ok(Some(Batch { objects: page.objects, versions }))
            }
            Self::Due { index, after } => {
                let due = index.of.due(now, after.as_ref(), LifecycleManager::BATCH).await?;
                let Some(last) = due.last() else { return Ok(None) };
                *after = Some(last.clone());
                let look_up = |due: &Due| {
                    let key = due.key.clone();
                    async move {
                        match store.metadata_with_trash(&key).await {
                            Ok(object) => Ok(Some(object)),
                            Err(Error::NotFound { .. }) => Ok(None),
                            Err(error) => Err(error),
                        }
                    }
                };
                let looking: Vec<_> = due.iter().map(look_up).collect();
                let objects = stream::iter(looking).buffered(AT_ONCE).try_filter_map(async |found| Ok(found));
                let objects = objects.try_collect().await?;
                let versions = due.into_iter().map(|due| (due.key, due.version)).collect();
                Ok(Some(Batch { objects, versions }))
            }
        }
    }

    /// Takes note of when the objects of a batch are to be looked at next.
    ///
    /// # Errors
    /// Those of the index.
    pub(super) async fn set(&self, looks: Vec<(Key, NextLook)>) -> Result<()> {
        match self {
            Self::Walk { index: Some(index), .. } | Self::Due { index, .. } => index.of.set(index.serial, looks).await,
            Self::Walk { index: None, .. } => Ok(()),
        }
    }

    /// Takes note that it has come to its end.
    ///
    /// # Errors
    /// Those of the index.
    pub(super) async fn end(&self) -> Result<()> {
        match self {
            Self::Walk { index: Some(index), .. } => index.of.complete(index.serial).await,
            Self::Walk { index: None, .. } | Self::Due { .. } => Ok(()),
        }
    }

    /// How far it has come.
    pub(super) fn behind(&self) -> Option<Behind> {
        match self {
            Self::Walk { next, .. } => next.as_ref()?.start_after.clone().map(Behind::Key),
            Self::Due { .. } => Some(Behind::Due),
        }
    }

    /// Whether it takes note of when objects are to be looked at.
    pub(super) fn has_index(&self) -> bool {
        !matches!(self, Self::Walk { index: None, .. })
    }

    pub(super) fn is_walk(&self) -> bool {
        matches!(self, Self::Walk { .. })
    }
}

impl Batch {
    /// When an object of the batch is to be looked at next, if it is not changed before `at`; `None` is never. What is not
    /// after `now` is due at once, and so in the next run.
    pub(super) fn next_look(&self, object: &StorageMetadata, at: Option<Timestamp>, now: Timestamp) -> NextLook {
        match (self.versions.get(&object.key), at) {
            // It came, or came into the page, while that was read.
            (None, _) => NextLook::Now,
            (_, Some(at)) if at <= now => NextLook::Now,
            (Some(version), Some(at)) => NextLook::At(*version, at),
            (Some(version), None) => NextLook::WhenChanged(*version),
        }
    }
}
