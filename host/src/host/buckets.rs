//! Stores that clients make and remove while the host runs.

use std::sync::Arc;

use super::assembly::Assembly;
use super::usage::UsageSampler;
use super::{Host, HostError, HostedStore, backup, is_native, lifecycle, probe_of, tasks};
use crate::error::{Error, Result};
use crate::lifecycle::LifecycleManager;
use crate::object::{StoreName, now};
use crate::provider::{ListQuery, StorageProvider};

impl Host {
    /// Makes a store as the configuration's `new_buckets` says.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the configuration says nothing of them; [`Error::PreconditionFailed`] if there is a
    /// store of that name; whatever keeps it from being made.
    pub async fn create_store(&self, name: &StoreName) -> Result<()> {
        let Some(template) = &self.new_buckets else {
            return Err(Error::unsupported("no store can be made here: the configuration has no `new_buckets`"));
        };
        let mut catalog = self.catalog.lock().await;
        if self.stores.0.read().contains_key(name) {
            return Err(Error::precondition_failed(format!("there is a store {name} already")));
        }
        let config = template.to_storage();
        let made = async {
            let at_work = self.config.lock().await.clone();
            let mut assembly =
                Assembly::new(&at_work, self.data_dir.path(), &self.runtime, &self.monitor).with_events(&self.events);
            let store = assembly.make(name, &config).await?;
            assembly.stores.insert(name.clone(), store.clone());
            let mut ages = None;
            if let Some(lifecycle) = &config.lifecycle {
                let manager = lifecycle::manager(&mut assembly, name, lifecycle, Arc::new(store.clone())).await?;
                let manager = store.reads().cloned().into_iter().fold(manager, LifecycleManager::with_reads);
                let manager = manager.with_audit(self.audit.clone()).with_metrics(self.ageing_metrics.clone());
                ages = Some(Arc::new(manager));
            }
            let targets = backup::Targets::default();
            tasks::schedule(&mut assembly, &self.scheduler, &targets, name, &config, ages.as_ref()).await?;
            self.scheduler.schedule_task(UsageSampler::task(store.clone(), is_native(&config.provider_type)))?;
            catalog.add(name)?;
            Ok::<_, HostError>((store, ages))
        };
        let (manager, lifecycle) = made.await.map_err(|error| Error::unavailable(error.to_string()))?;
        let (provider, probe) = (config.provider_type, probe_of(config.probe));
        let store = HostedStore { manager, provider, created_at: now(), internal: false, lifecycle, probe };
        self.stores.0.write().insert(name.clone(), store);
        Ok(())
    }

    /// Removes a store that [`create_store`](Self::create_store) made, if it is empty.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`] if the configuration names it; [`Error::PreconditionFailed`] if it is not empty.
    pub async fn remove_store(&self, name: &StoreName) -> Result<()> {
        let mut catalog = self.catalog.lock().await;
        if self.config.lock().await.stores.contains_key(name) {
            return Err(Error::permission_denied(format!("the configuration names the store {name}; remove it there")));
        }
        let Some(store) = self.store(name.as_str()) else {
            return Err(Error::invalid_input(format!("there is no store {name}")));
        };
        let first = ListQuery { limit: 1, ..ListQuery::all() };
        let page = match Arc::new(store.clone()).ageing() {
            // What is in the trash can be taken out again.
            Some(ages) => ages.list_with_trash(&first).await?,
            None => store.list_data(&first).await?,
        };
        if !page.objects.is_empty() {
            return Err(Error::precondition_failed(format!("the store {name} is not empty")));
        }
        catalog.remove(name).map_err(|error| Error::unavailable(error.to_string()))?;
        for kind in tasks::KINDS {
            self.scheduler.cancel_task(&tasks::name(kind, name));
        }
        self.stores.0.write().remove(name);
        self.monitor.forget(name);
        Ok(())
    }
}
