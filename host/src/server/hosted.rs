//! The stores of a host, as front doors see them.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Inventory, Stores};
use crate::error::Result;
use crate::host::{Host, HostedStore};
use crate::lifecycle::{AgeingStep, LifecycleManager};
use crate::object::{Key, StoreName, Timestamp};
use crate::provider::StorageProvider;
use crate::provider::layers::Seal;

#[async_trait]
impl Stores for Host {
    fn store(&self, name: &str) -> Option<Arc<dyn StorageProvider>> {
        Some(Arc::new(Host::store(self, name)?))
    }

    fn seal(&self, name: &str) -> Option<Seal> {
        Host::store(self, name)?.seal().cloned()
    }

    fn names(&self) -> Vec<(StoreName, Timestamp)> {
        self.stores().into_iter().map(|(store, created_at)| (store.name().clone(), created_at)).collect()
    }

    async fn create(&self, name: &StoreName) -> Result<()> {
        self.create_store(name).await
    }

    async fn remove(&self, name: &StoreName) -> Result<()> {
        self.remove_store(name).await
    }

    async fn age(&self, name: &str, key: &Key, step: AgeingStep) -> Result<()> {
        self.age_object(name, key, step).await
    }

    fn lifecycle(&self, name: &str) -> Option<Arc<LifecycleManager>> {
        Host::lifecycle(self, name)
    }
}

impl Inventory for Host {
    fn stores(&self) -> Vec<HostedStore> {
        self.all_stores()
    }
}
