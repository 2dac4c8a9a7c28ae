//! The four sides, and what each of them is asked to do.

mod bare;
mod cached;
mod extism;
mod providers;
mod strategies;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use larder::cache::{Batch, EvictionStrategy, EvictionStrategyFactory};
use larder::object::{Digest, Key};
use larder::plugin::{Limits, PluginOptions, PluginRuntime};
use larder::provider::StorageProvider;
use larder::provider::memory::MemoryStorageProvider;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use self::bare::{BareEviction, BareProvider};
use self::extism::Extism;
use crate::guests::Guests;
use crate::stopwatch::Operation;
use crate::stopwatch::Side::{Extism as Peer, Larder, Native, Wasmtime};
use crate::workload::Objects;

/// All sides, ready to be called.
pub(crate) struct Sides {
    runtime: Arc<Runtime>,
    sieve: Arc<dyn EvictionStrategyFactory>,
    bare_memory: BareProvider,
    bare_sieve: BareEviction,
    extism: Extism,
    /// Larder's, on whose engines the plugins run, and the folder of its compiled code.
    plugins: Arc<PluginRuntime>,
    _compiled: TempDir,
    memory_component: PathBuf,
}

/// Memory of an instance, in bytes: room for all objects of all sizes, and for what is written over meanwhile.
const MEMORY: usize = 256 << 20;

fn native() -> Arc<dyn StorageProvider> {
    Arc::new(MemoryStorageProvider::new())
}

impl Sides {
    /// Loads every guest on every side.
    ///
    /// # Errors
    /// Why a guest does not load.
    pub(crate) fn new(guests: &Guests) -> Result<Self> {
        let runtime = Arc::new(Builder::new_multi_thread().worker_threads(1).enable_time().build()?);
        let folder = tempfile::tempdir()?;
        let plugins = PluginRuntime::new(folder.path().join("compiled"))?;
        let sieve = runtime.block_on(plugins.load(&guests.sieve, PluginOptions::new("sieve")))?.eviction()?;
        Ok(Self {
            sieve,
            bare_memory: BareProvider::load(&guests.memory)?,
            bare_sieve: BareEviction::load(&guests.sieve)?,
            extism: Extism::load(&guests.extism)?,
            plugins: Arc::new(plugins),
            _compiled: folder,
            memory_component: guests.memory.clone(),
            runtime,
        })
    }

    /// What is measured, in the order of the report.
    ///
    /// # Errors
    /// If a side does not do what it is asked to.
    pub(crate) fn operations(&self) -> Result<Vec<Operation>> {
        let mut operations = cached::operations(&self.runtime, &self.sieve)?;
        operations.push(self.missing()?);
        for (size, name) in [(100, "100 B"), (4 << 10, "4 KiB"), (1 << 20, "1 MiB")] {
            operations.extend(self.objects(Arc::new(Objects::new(size)?), name)?);
        }
        operations.push(self.step()?);
        operations.push(self.start_eviction());
        operations.push(self.start_provider());
        Ok(operations)
    }

    /// The plugin `memory`, empty, with an instance of its own: what is kept for one row slows down no other.
    fn memory(&self) -> Result<Arc<dyn StorageProvider>> {
        let options =
            PluginOptions { limits: Limits { memory: MEMORY, ..Limits::default() }, ..PluginOptions::new("memory") };
        Ok(self.runtime.block_on(self.plugins.load(&self.memory_component, options))?.provider()?)
    }

    fn missing(&self) -> Result<Operation> {
        let works = vec![
            (Native, providers::missing(&self.runtime, &native())?),
            (Wasmtime, self.bare_memory.open(&self.runtime)?.missing()),
            (Larder, providers::missing(&self.runtime, &self.memory()?)?),
            (Peer, self.extism.instance()?.missing()),
        ];
        Ok(Operation { name: "metadata of a missing key".to_owned(), works })
    }

    fn objects(&self, objects: Arc<Objects>, size: &str) -> Result<[Operation; 3]> {
        let (native, memory) = (native(), self.memory()?);
        for provider in [&native, &memory] {
            providers::fill(&self.runtime, provider, &objects)?;
        }
        let bare = self.bare_memory.open(&self.runtime)?;
        let peer = self.extism.instance()?;
        let (bare_store, peer_store) = (bare.store(&objects)?, peer.store(&objects)?);
        let store = vec![
            (Native, providers::store(&self.runtime, &native, &objects)),
            (Wasmtime, bare_store),
            (Larder, providers::store(&self.runtime, &memory, &objects)),
            (Peer, peer_store),
        ];
        let retrieve = vec![
            (Native, providers::retrieve(&self.runtime, &native, &objects)),
            (Wasmtime, bare.retrieve(&objects)),
            (Larder, providers::retrieve(&self.runtime, &memory, &objects)),
            (Peer, peer.retrieve(&objects)),
        ];
        Ok([
            Operation { name: format!("copy {size}"), works: vec![(Native, providers::copy(&objects))] },
            Operation { name: format!("store {size}"), works: store },
            Operation { name: format!("retrieve {size}"), works: retrieve },
        ])
    }

    fn step(&self) -> Result<Operation> {
        let works = vec![
            (Native, strategies::step(&strategies::BitsFactory)?),
            (Wasmtime, self.bare_sieve.step()?),
            (Larder, strategies::step(&*self.sieve)?),
            (Peer, self.extism.instance()?.step()?),
        ];
        Ok(Operation { name: "eviction step, 1,000 reads".to_owned(), works })
    }

    /// So many idle strategies of larder's, each of which answered a call.
    ///
    /// # Errors
    /// One can not be made.
    pub(crate) fn larder_strategies(&self, count: usize) -> Result<Vec<Box<dyn EvictionStrategy>>> {
        (0..count)
            .map(|_| {
                let mut strategy = self.sieve.open(1000)?;
                strategy.step(&Batch::default(), 0, 0, &mut Vec::new())?;
                Ok(strategy)
            })
            .collect()
    }

    /// A provider of larder's with so many idle instances, each of which stored an object.
    ///
    /// # Errors
    /// One can not be made.
    pub(crate) fn larder_providers(&self, count: usize) -> Result<Arc<dyn StorageProvider>> {
        let limits = Limits { instances: count, ..Limits::default() };
        let options = PluginOptions { limits, ..PluginOptions::new("idle") };
        let provider = self.runtime.block_on(self.plugins.load(&self.memory_component, options))?.provider()?;
        self.runtime.block_on(providers::at_once(&provider, count))?;
        Ok(provider)
    }

    /// So many idle strategies without larder around them, each of which answered a call.
    ///
    /// # Errors
    /// One can not be made.
    pub(crate) fn bare_strategies(&self, count: usize) -> Result<Vec<bare::Strategy>> {
        (0..count).map(|_| self.bare_sieve.used()).collect()
    }

    /// So many idle providers without larder around them, each of which answered a call.
    ///
    /// # Errors
    /// One can not be made.
    pub(crate) fn bare_providers(&self, count: usize) -> Result<Vec<bare::BareInstance>> {
        (0..count)
            .map(|_| {
                let instance = self.bare_memory.open(&self.runtime)?;
                instance.missing()(1)?;
                Ok(instance)
            })
            .collect()
    }

    /// So many idle instances of extism's, each of which answered a call for victims.
    ///
    /// # Errors
    /// One can not be made.
    pub(crate) fn peer_strategies(&self, count: usize) -> Result<Vec<extism::ExtismInstance>> {
        (0..count).map(|_| self.extism.used_strategy()).collect()
    }

    /// So many idle instances of extism's, each of which stored an object.
    ///
    /// # Errors
    /// One can not be made.
    pub(crate) fn peer_providers(&self, count: usize) -> Result<Vec<extism::ExtismInstance>> {
        (0..count).map(|number| self.extism.used_provider(number)).collect()
    }

    /// Loads the provider of larder's, whose digest is known beforehand or not, asks it for what is not there, and says
    /// how long that took.
    ///
    /// # Errors
    /// It does not load.
    pub(crate) fn load_and_ask(&self, digest: Option<Digest>) -> Result<Duration> {
        let (key, options) = (Key::new("missing")?, PluginOptions { digest, ..PluginOptions::new("loaded") });
        let begun = Instant::now();
        let (provider, found) = self.runtime.block_on(async {
            let provider = self.plugins.load(&self.memory_component, options).await?.provider()?;
            let found = provider.metadata(&key).await;
            anyhow::Ok((provider, found))
        })?;
        let took = begun.elapsed();
        drop(provider);
        ensure!(found.is_err(), "metadata of a missing key");
        Ok(took)
    }

    /// The digest of that provider's component.
    ///
    /// # Errors
    /// It can not be read.
    pub(crate) fn digest(&self) -> Result<Digest> {
        Ok(Digest::of(&std::fs::read(&self.memory_component)?))
    }

    fn start_eviction(&self) -> Operation {
        let works = vec![
            (Wasmtime, self.bare_sieve.start()),
            (Larder, strategies::start(&self.sieve)),
            (Peer, self.extism.start_eviction()),
        ];
        Operation { name: "eviction: instantiate, first call, drop".to_owned(), works }
    }

    fn start_provider(&self) -> Operation {
        let works = vec![(Wasmtime, self.bare_memory.start(&self.runtime)), (Peer, self.extism.start_provider())];
        Operation { name: "provider: instantiate, first call, drop".to_owned(), works }
    }
}
