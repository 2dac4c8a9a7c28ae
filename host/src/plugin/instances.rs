//! The instances of a provider plugin: made when needed, used by one call at a time, dropped when they fail.

use std::sync::Arc;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::Accessor;
use wasmtime::{Engine, Store};

use super::Kind;
use super::bindings::provider::exports::larder::plugin::provider::Guest;
use super::bindings::provider::{StorageProvider, StorageProviderPre};
use super::convert::error_from_plugin;
use super::detached::Detached;
use super::fault::Fault;
use super::limits::Limits;
use super::log::RateLimit;
use super::state::{GrantedStores, State};
use crate::error::{Error, Result};

/// What a call does with an instance: it gets the guest's functions and returns what they returned.
pub(super) type Call<T> =
    Box<dyn for<'a> FnOnce(&'a Accessor<State>, &'a Guest) -> BoxFuture<'a, wasmtime::Result<T>> + Send>;

/// The instances of one plugin.
///
/// `idle` is only held to push and pop; a permit stands for the right to have an instance, idle or not.
pub(super) struct Instances {
    pub(super) plugin: Arc<str>,
    pub(super) limits: Limits,
    pub(super) engine: Engine,
    pub(super) pre: StorageProviderPre<State>,
    pub(super) settings: String,
    pub(super) stores: Arc<GrantedStores>,
    pub(super) log: Arc<RateLimit>,
    pub(super) permits: Arc<Semaphore>,
    pub(super) idle: Mutex<Vec<Instance>>,
}

/// An instance, opened and not running.
pub(super) struct Instance {
    store: Store<State>,
    provider: StorageProvider,
}

impl Instances {
    /// Makes the first instance, which shows that the plugin starts and takes its settings.
    ///
    /// # Errors
    /// Why it does not.
    pub(super) async fn probe(&self) -> Result<()> {
        let instance = self.instantiate().await?;
        self.idle.lock().push(instance);
        Ok(())
    }

    /// Runs a call on an instance that no other call uses, and returns its result when the call is over. If the result is
    /// dropped before, the call goes on by itself.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if all instances stay busy. The call itself fails with [`Error::Timeout`],
    /// [`Error::Exhausted`] or [`Error::Unavailable`] if the plugin does not answer, passes a limit, or traps; its
    /// instance is then dropped, and the next call has a fresh one.
    pub(super) async fn call<T: Send + 'static>(
        self: &Arc<Self>,
        operation: &'static str,
        call: Call<T>,
    ) -> Result<Detached<Result<T>>> {
        let permit = self.permit().await?;
        let instances = Arc::clone(self);
        Ok(Detached::new(async move {
            let result = instances.run(operation, call).await;
            drop(permit);
            result
        }))
    }

    async fn run<T: Send + 'static>(&self, operation: &'static str, call: Call<T>) -> Result<T> {
        let idle = self.idle.lock().pop();
        let mut instance = match idle {
            Some(instance) => instance,
            None => self.instantiate().await?,
        };
        let value = instance.run(call).await.map_err(|fault| self.report(fault, operation, &instance.store))?;
        self.idle.lock().push(instance);
        Ok(value)
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        let free = Arc::clone(&self.permits).acquire_owned();
        match tokio::time::timeout(self.limits.timeout(Kind::Provider), free).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Error::Unavailable {
                message: format!(
                    "all {} instances of the plugin {} are busy (limits.instances)",
                    self.limits.instances, self.plugin
                ),
                retry_after: Some(self.limits.timeout(Kind::Provider)),
            }),
        }
    }

    async fn instantiate(&self) -> Result<Instance> {
        let mut store = self.new_store();
        let clock = store.data().clock.clone();
        let instantiated = clock.within(self.pre.instantiate_async(&mut store)).await;
        let provider = match instantiated.map_err(Fault::from).and_then(|made| made.map_err(Fault::Trap)) {
            Ok(provider) => provider,
            Err(fault) => return Err(self.report(fault, "instantiate", &store)),
        };
        let mut instance = Instance { store, provider };
        let settings = self.settings.clone();
        let open: Call<_> = Box::new(|accessor, guest| Box::pin(guest.call_open(accessor, settings)));
        match instance.run(open).await {
            Ok(Ok(())) => Ok(instance),
            Ok(Err(error)) => Err(error_from_plugin(error, None)),
            Err(fault) => Err(self.report(fault, "open", &instance.store)),
        }
    }

    fn new_store(&self) -> Store<State> {
        let state = State::new(Arc::clone(&self.plugin), &self.limits, Arc::clone(&self.stores), Arc::clone(&self.log));
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.limiter);
        // A guest that computes gives way at every other tick, so that others run and the clock is looked at.
        store.set_epoch_deadline(2);
        store.epoch_deadline_async_yield_and_update(2);
        store
    }

    fn report(&self, fault: Fault, operation: &str, store: &Store<State>) -> Error {
        fault.report(&self.plugin, operation, self.limits.timeout(Kind::Provider), &store.data().limiter)
    }
}

impl Instance {
    async fn run<T: Send + 'static>(&mut self, call: Call<T>) -> Result<T, Fault> {
        let Self { store, provider } = self;
        let clock = store.data().clock.clone();
        clock.restart();
        let guest = provider.larder_plugin_provider();
        clock
            .within(store.run_concurrent(async |accessor| call(accessor, guest).await))
            .await?
            .and_then(|value| value)
            .map_err(Fault::Trap)
    }
}
