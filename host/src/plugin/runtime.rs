use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use wasmtime::Engine;
use wasmtime::component::{Component, HasSelf, Linker};

use super::bindings::eviction::EvictionStrategyPre;
use super::bindings::lifecycle::LifecyclePolicyPre;
use super::bindings::provider::StorageProviderPre;
use super::bindings::provider::larder::plugin::{inner_stores, log, types};
use super::compiled::CompiledCache;
use super::engine::Engines;
use super::eviction::PluginEvictionFactory;
use super::instances::Instances;
use super::lifecycle::PluginLifecyclePolicy;
use super::log::RateLimit;
use super::provider::PluginStorageProvider;
use super::state::State;
use super::synchronous::Synchronous;
use super::{Digest, Grants, Interface, Kind, Limits, PluginError};
use crate::cache::EvictionStrategyFactory;
use crate::error::Error;
use crate::lifecycle::LifecyclePolicy;
use crate::provider::StorageProvider;

/// Loads components and makes of each what it is: a provider, an eviction strategy or a lifecycle policy.
#[derive(Debug)]
pub struct PluginRuntime {
    engines: Engines,
    compiled: CompiledCache,
}

/// How to load one plugin.
#[derive(Clone, Debug)]
pub struct PluginOptions {
    /// Its name, in logs and errors.
    pub name: Arc<str>,
    /// What it is told when it is opened, as JSON.
    pub settings: serde_json::Value,
    /// What it may reach.
    pub grants: Grants,
    /// What it may use.
    pub limits: Limits,
}

impl PluginOptions {
    /// A plugin of this name without settings and grants, under default limits.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            settings: serde_json::Value::Null,
            grants: Grants::default(),
            limits: Limits::default(),
        }
    }
}

impl PluginRuntime {
    /// A runtime that keeps compiled code in `compiled`, a folder that belongs to this host alone.
    ///
    /// # Errors
    /// [`PluginError::Runtime`] on a platform that wasmtime does not support.
    pub fn new(compiled: PathBuf) -> Result<Self, PluginError> {
        Ok(Self { engines: Engines::new()?, compiled: CompiledCache::new(compiled) })
    }

    /// Loads the component in the file `path`, starts it once, and lets it take its settings.
    ///
    /// # Errors
    /// Why that does not work; nothing of it is then left.
    pub async fn load(&self, path: &Path, options: PluginOptions) -> Result<Plugin, PluginError> {
        let wasm = read(path, options.limits.component_size).await?;
        let digest = Digest::of(&wasm);
        let interface = Interface::of(&wasm)?;
        interface.check_grants(&options.grants)?;
        let engine = self.engines.of(interface.kind).clone();
        let component = {
            let (compiled, engine, digest) = (self.compiled.clone(), engine.clone(), digest.clone());
            let compiling = tokio::task::spawn_blocking(move || compiled.load(&engine, &digest, &wasm));
            compiling.await.map_err(|error| PluginError::Compile(error.to_string()))??
        };
        let part = Part::start(&engine, &component, &interface, options.clone()).await?;
        Ok(Plugin { name: options.name, digest, interface, part })
    }
}

async fn read(path: &Path, limit: u64) -> Result<Vec<u8>, PluginError> {
    let failed = |error| PluginError::Read { path: path.to_owned(), error };
    let size = tokio::fs::metadata(path).await.map_err(failed)?.len();
    if size > limit {
        return Err(PluginError::TooLarge { size, limit });
    }
    tokio::fs::read(path).await.map_err(failed)
}

/// A plugin, loaded and ready.
#[derive(Clone, Debug)]
pub struct Plugin {
    name: Arc<str>,
    digest: Digest,
    interface: Interface,
    part: Part,
}

/// What a plugin is to the host: an implementation of one of the three seams.
#[derive(Clone, Debug)]
enum Part {
    Provider(Arc<PluginStorageProvider>),
    Eviction(Arc<PluginEvictionFactory>),
    Lifecycle(Arc<PluginLifecyclePolicy>),
}

impl Plugin {
    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The digest of its component.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// What it is and imports.
    pub fn interface(&self) -> &Interface {
        &self.interface
    }

    /// The plugin as a provider.
    ///
    /// # Errors
    /// [`PluginError::WrongKind`] if it is none.
    pub fn provider(&self) -> Result<Arc<dyn StorageProvider>, PluginError> {
        match &self.part {
            Part::Provider(provider) => Ok(Arc::clone(provider) as _),
            _ => Err(self.wrong_kind(Kind::Provider)),
        }
    }

    /// The plugin as an eviction strategy.
    ///
    /// # Errors
    /// [`PluginError::WrongKind`] if it is none.
    pub fn eviction(&self) -> Result<Arc<dyn EvictionStrategyFactory>, PluginError> {
        match &self.part {
            Part::Eviction(factory) => Ok(Arc::clone(factory) as _),
            _ => Err(self.wrong_kind(Kind::Eviction)),
        }
    }

    /// The plugin as a lifecycle policy.
    ///
    /// # Errors
    /// [`PluginError::WrongKind`] if it is none.
    pub fn lifecycle(&self) -> Result<Arc<dyn LifecyclePolicy>, PluginError> {
        match &self.part {
            Part::Lifecycle(policy) => Ok(Arc::clone(policy) as _),
            _ => Err(self.wrong_kind(Kind::Lifecycle)),
        }
    }

    fn wrong_kind(&self, wanted: Kind) -> PluginError {
        PluginError::WrongKind { wanted, found: self.interface.kind }
    }
}

impl Part {
    async fn start(
        engine: &Engine,
        component: &Component,
        interface: &Interface,
        options: PluginOptions,
    ) -> Result<Self, PluginError> {
        let start = |error: wasmtime::Error| PluginError::Start(format!("{error:#}"));
        let linker = linker(engine, interface).map_err(start)?;
        let pre = linker.instantiate_pre(component).map_err(start)?;
        let PluginOptions { name: plugin, settings, grants, limits } = options;
        let (engine, settings, log) = (engine.clone(), settings.to_string(), Arc::new(RateLimit::new()));
        match interface.kind {
            Kind::Provider => {
                let pre = StorageProviderPre::new(pre).map_err(start)?;
                let instances = Instances::new(plugin, limits, engine, pre, settings, grants, log);
                instances.probe().await.map_err(refused)?;
                Ok(Self::Provider(Arc::new(PluginStorageProvider(Arc::new(instances)))))
            }
            Kind::Eviction => {
                let pre = EvictionStrategyPre::new(pre).map_err(start)?;
                let timeout = limits.timeout(Kind::Eviction);
                let plugin = Arc::new(Synchronous { plugin, limits, timeout, engine, settings, log });
                let factory = PluginEvictionFactory { plugin, pre };
                let factory = blocking(move || factory.open(1).map(|_| factory)).await?;
                Ok(Self::Eviction(Arc::new(factory)))
            }
            Kind::Lifecycle => {
                let pre = LifecyclePolicyPre::new(pre).map_err(start)?;
                let timeout = limits.timeout(Kind::Lifecycle);
                let plugin = Synchronous { plugin, limits, timeout, engine, settings, log };
                let policy = PluginLifecyclePolicy { plugin, pre, idle: Mutex::default() };
                let policy = blocking(move || policy.probe().map(|()| policy)).await?;
                Ok(Self::Lifecycle(Arc::new(policy)))
            }
        }
    }
}

/// Starts a plugin of the synchronous kinds on a thread that it may keep busy.
async fn blocking<T: Send + 'static>(
    start: impl FnOnce() -> crate::error::Result<T> + Send + 'static,
) -> Result<T, PluginError> {
    let started = tokio::task::spawn_blocking(start).await;
    started.map_err(|error| PluginError::Start(error.to_string()))?.map_err(refused)
}

/// A plugin says `invalid-input` of settings that it does not take; any other failure is one of starting.
fn refused(error: Error) -> PluginError {
    match error {
        Error::InvalidInput { message } => PluginError::Settings(message),
        error => PluginError::Start(error.to_string()),
    }
}

fn linker(engine: &Engine, interface: &Interface) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    types::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    log::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    if interface.kind == Kind::Provider {
        inner_stores::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    }
    match interface.kind {
        _ if !interface.uses_wasi() => {}
        Kind::Provider => wasmtime_wasi::p2::add_to_linker_async(&mut linker)?,
        Kind::Eviction | Kind::Lifecycle => wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?,
    }
    Ok(linker)
}
