//! A store as whoever is handed one sees it: a provider, and one whose objects age.

use std::sync::Arc;

use async_trait::async_trait;

use super::{StorageManager, hide_reserved, probe};
use crate::error::Result;
use crate::lifecycle::{AgeingStep, AgeingStore};
use crate::monitor::Operation;
use crate::object::{AttributeChanges, Body, ByteRange, ETag, Key, Object, StorageMetadata};
use crate::provider::{CheckReport, DueIndex, ListQuery, Page, StorageProvider, StoreOptions, Usage, Watch};

#[async_trait]
impl StorageProvider for StorageManager {
    async fn store(&self, key: &Key, body: Body, options: StoreOptions) -> Result<StorageMetadata> {
        self.store_data(key, body, options).await
    }

    async fn retrieve(&self, key: &Key, range: Option<ByteRange>) -> Result<Object> {
        self.retrieve_data(key, range).await
    }

    async fn delete(&self, key: &Key, if_match: Option<&ETag>) -> Result<()> {
        self.delete_data(key, if_match).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page> {
        self.list_data(query).await
    }

    async fn metadata(&self, key: &Key) -> Result<StorageMetadata> {
        StorageManager::metadata(self, key).await
    }

    async fn update(&self, key: &Key, changes: AttributeChanges, if_match: Option<&ETag>) -> Result<StorageMetadata> {
        self.update_data(key, changes, if_match).await
    }

    async fn usage(&self) -> Result<Usage> {
        StorageManager::usage(self).await
    }

    async fn check(&self, watch: Arc<dyn Watch>) -> Result<CheckReport> {
        self.owned.provider.check(watch).await
    }

    async fn check_index(&self) -> Result<()> {
        self.owned.provider.check_index().await
    }

    async fn snapshot(&self) -> Result<Arc<dyn StorageProvider>> {
        self.owned.provider.snapshot().await
    }

    fn due_index(self: Arc<Self>) -> Option<Arc<dyn DueIndex>> {
        Arc::clone(&self.owned.provider).due_index()
    }

    fn ageing(self: Arc<Self>) -> Option<Arc<dyn AgeingStore>> {
        let ages = self.owned.ageing().is_ok();
        ages.then_some(self as Arc<dyn AgeingStore>)
    }
}

#[async_trait]
impl AgeingStore for StorageManager {
    async fn age(&self, key: &Key, step: AgeingStep) -> Result<()> {
        self.age_data(key, step).await
    }

    async fn list_with_trash(&self, query: &ListQuery) -> Result<Page> {
        let ages = self.owned.ageing()?;
        let mut page = self.owned.call(Operation::List, ages.list_with_trash(query)).await?;
        if let Some(behind) = probe::hide(&mut page, query) {
            page = self.owned.call(Operation::List, ages.list_with_trash(&behind)).await?;
        }
        Ok(page)
    }

    async fn metadata_with_trash(&self, key: &Key) -> Result<StorageMetadata> {
        hide_reserved(key)?;
        let look_up = async { self.owned.ageing()?.metadata_with_trash(key).await };
        self.owned.call(Operation::Metadata, look_up).await
    }

    fn may_need_sweep(&self) -> bool {
        self.owned.ageing().is_ok_and(|store| store.may_need_sweep())
    }

    async fn sweep_archive(&self) -> Result<u64> {
        self.owned.ageing()?.sweep_archive().await
    }
}
