use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::config::StorageType;
use crate::lifecycle::LifecycleManager;
use crate::manager::{Probe, StorageManager};
use crate::object::{StoreName, Timestamp};

/// All stores by name; locked to look up or to change, never over an await.
#[derive(Debug, Default)]
pub(super) struct Stores(pub(super) RwLock<BTreeMap<StoreName, HostedStore>>);

/// A store of a host.
#[derive(Clone, Debug)]
pub struct HostedStore {
    /// Its owner.
    pub manager: StorageManager,
    /// What kind of provider it has.
    pub provider: StorageType,
    /// Since when it is there.
    pub created_at: Timestamp,
    /// Whether no front door serves it.
    pub internal: bool,
    /// What lets its objects age, if they do.
    pub lifecycle: Option<Arc<LifecycleManager>>,
    /// How it is asked whether it is well.
    pub probe: Probe,
}

impl Stores {
    /// The store of this name, unless it is internal.
    pub(super) fn served(&self, name: &str) -> Option<HostedStore> {
        self.0.read().get(name).filter(|store| !store.internal).cloned()
    }

    /// Every store.
    pub(super) fn all(&self) -> Vec<HostedStore> {
        self.0.read().values().cloned().collect()
    }
}
