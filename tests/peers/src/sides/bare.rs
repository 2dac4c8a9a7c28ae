//! The components of larder, called through wasmtime directly: what the call itself costs.
//!
//! The engines are set up as larder's are, so that the guests are compiled to the same code. There are no limits, no
//! clock and no checks, and a record goes in and comes out as it is.

use std::cell::RefCell;
use std::hint::black_box;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use tokio::runtime::Runtime;
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::error::{ensure, format_err};
use wasmtime::{Config, Engine, Result, Store};

use crate::stopwatch::Work;
use crate::workload::{IDS, Objects, inserts, reads};

use self::bindings::eviction::exports::larder::plugin::eviction::Batch;
use self::bindings::eviction::{EvictionStrategy, EvictionStrategyPre};
use self::bindings::provider::exports::larder::plugin::provider::{Upload, WholeBody};
use self::bindings::provider::larder::plugin::types as wit;
use self::bindings::provider::{StorageProvider, StorageProviderPre};

#[allow(missing_debug_implementations, unreachable_pub, dead_code, clippy::all)]
mod bindings {
    pub(super) mod provider {
        wasmtime::component::bindgen!({ path: "../../wit", world: "storage-provider" });
    }

    pub(super) mod eviction {
        wasmtime::component::bindgen!({
            path: "../../wit",
            world: "eviction-strategy",
            ownership: Borrowing { duplicate_if_necessary: true },
            with: {
                "larder:plugin/types": super::provider::larder::plugin::types,
                "larder:plugin/log": super::provider::larder::plugin::log,
            },
        });
    }
}

/// Compiles a component for an engine set up as larder sets up its engine for components of this kind.
fn compile(concurrent: bool, path: &Path) -> Result<(Engine, InstancePre<()>)> {
    let mut config = Config::new();
    config.wasm_component_model_async(concurrent).concurrency_support(concurrent).epoch_interruption(true);
    let engine = Engine::new(&config)?;
    let component = Component::from_file(&engine, path)?;
    let mut linker = Linker::new(&engine);
    linker.define_unknown_imports_as_traps(&component)?;
    let pre = linker.instantiate_pre(&component)?;
    Ok((engine, pre))
}

/// wasmtime's errors are no standard errors.
fn plain(error: wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:?}")
}

fn work(mut run: impl FnMut(u64) -> Result<()> + 'static) -> Work {
    Box::new(move |times| run(times).map_err(plain))
}

fn new_store(engine: &Engine) -> Store<()> {
    let mut store = Store::new(engine, ());
    // Nothing advances the epoch here.
    store.set_epoch_deadline(1);
    store
}

/// The component of a provider, compiled.
#[derive(Clone)]
pub(super) struct BareProvider {
    engine: Engine,
    pre: StorageProviderPre<()>,
}

impl BareProvider {
    pub(super) fn load(path: &Path) -> anyhow::Result<Self> {
        let compile = || {
            let (engine, pre) = compile(true, path)?;
            Ok(Self { engine, pre: StorageProviderPre::new(pre)? })
        };
        compile().map_err(plain)
    }

    async fn instantiate(&self) -> Result<Instance> {
        let mut store = new_store(&self.engine);
        let provider = self.pre.instantiate_async(&mut store).await?;
        let guest = provider.larder_plugin_provider();
        let settings = "null".to_owned();
        let opened = store.run_concurrent(async |accessor| guest.call_open(accessor, settings).await).await??;
        opened.map_err(refused)?;
        Ok(Instance { store, provider })
    }

    /// An instance, opened.
    pub(super) fn open(&self, runtime: &Arc<Runtime>) -> anyhow::Result<BareInstance> {
        let instance = runtime.block_on(self.instantiate()).map_err(plain)?;
        Ok(BareInstance { runtime: Arc::clone(runtime), instance: Rc::new(RefCell::new(instance)) })
    }

    pub(super) fn start(&self, runtime: &Arc<Runtime>) -> Work {
        let (provider, runtime) = (self.clone(), Arc::clone(runtime));
        work(move |times| {
            runtime.block_on(async {
                for _ in 0..times {
                    provider.instantiate().await?.missing().await?;
                }
                Ok(())
            })
        })
    }
}

struct Instance {
    store: Store<()>,
    provider: StorageProvider,
}

impl Instance {
    async fn missing(&mut self) -> Result<()> {
        let Self { store, provider } = self;
        let (guest, key) = (provider.larder_plugin_provider(), "bench/missing".to_owned());
        let found = store.run_concurrent(async |accessor| guest.call_read_metadata(accessor, key).await).await??;
        ensure!(black_box(found).is_err(), "metadata of a missing key");
        Ok(())
    }

    async fn store(&mut self, key: String, body: WholeBody, options: wit::StoreOptions) -> Result<wit::Metadata> {
        let Self { store, provider } = self;
        let guest = provider.larder_plugin_provider();
        store
            .run_concurrent(async |accessor| guest.call_store_object(accessor, key, Upload::Whole(body), options).await)
            .await??
            .map_err(refused)
    }

    async fn retrieve(&mut self, key: String) -> Result<()> {
        let Self { store, provider } = self;
        let guest = provider.larder_plugin_provider();
        let object =
            store.run_concurrent(async |accessor| guest.call_retrieve_object(accessor, key, None).await).await??;
        black_box(object.map_err(refused)?);
        Ok(())
    }
}

fn refused(error: wit::Error) -> wasmtime::Error {
    format_err!("the guest answered {error:?}")
}

/// An instance that every operation on it shares.
pub(crate) struct BareInstance {
    runtime: Arc<Runtime>,
    instance: Rc<RefCell<Instance>>,
}

/// Every `Work` runs alone, on one thread.
#[allow(clippy::await_holding_refcell_ref)]
impl BareInstance {
    pub(super) fn missing(&self) -> Work {
        let (runtime, instance) = (Arc::clone(&self.runtime), Rc::clone(&self.instance));
        work(move |times| {
            runtime.block_on(async {
                let mut instance = instance.borrow_mut();
                for _ in 0..times {
                    instance.missing().await?;
                }
                Ok(())
            })
        })
    }

    /// The objects are there from the first warm-up on, which stores each at least once.
    pub(super) fn store(&self, objects: &Arc<Objects>) -> anyhow::Result<Work> {
        let (runtime, instance, objects) = (Arc::clone(&self.runtime), Rc::clone(&self.instance), Arc::clone(objects));
        let options = wit::StoreOptions {
            attributes: wit::Attributes { content_type: None, user_metadata: Vec::new(), tags: Vec::new() },
            stamp: wit::Stamp {
                etag: objects.options.stamp.etag.as_str().to_owned(),
                updated_at: objects.metadata(objects.key(0)).updated_at.timestamp_millis().try_into()?,
                created_at: None,
            },
            condition: None,
        };
        let checksum = objects.checksum.as_u64();
        let mut store = work(move |times| {
            runtime.block_on(async {
                let mut instance = instance.borrow_mut();
                for turn in 0..times {
                    let body = WholeBody { data: objects.body.to_vec(), checksum };
                    let key = objects.key(turn).as_str().to_owned();
                    let stored = instance.store(key, body, options.clone()).await?;
                    ensure!(black_box(stored).checksum == checksum, "the checksum of something else");
                }
                Ok(())
            })
        });
        store(1000)?;
        Ok(store)
    }

    pub(super) fn retrieve(&self, objects: &Arc<Objects>) -> Work {
        let (runtime, instance, objects) = (Arc::clone(&self.runtime), Rc::clone(&self.instance), Arc::clone(objects));
        work(move |times| {
            runtime.block_on(async {
                let mut instance = instance.borrow_mut();
                for turn in 0..times {
                    instance.retrieve(objects.key(turn).as_str().to_owned()).await?;
                }
                Ok(())
            })
        })
    }
}

/// The component of an eviction strategy, compiled.
#[derive(Clone)]
pub(super) struct BareEviction {
    engine: Engine,
    pre: EvictionStrategyPre<()>,
}

impl BareEviction {
    pub(super) fn load(path: &Path) -> anyhow::Result<Self> {
        let compile = || {
            let (engine, pre) = compile(false, path)?;
            Ok(Self { engine, pre: EvictionStrategyPre::new(pre)? })
        };
        compile().map_err(plain)
    }

    fn open(&self) -> Result<Strategy> {
        let mut store = new_store(&self.engine);
        let strategy = self.pre.instantiate(&mut store)?;
        let opened = strategy.larder_plugin_eviction().call_open(&mut store, "null", u64::from(IDS))?;
        opened.map_err(refused)?;
        Ok(Strategy { store, strategy })
    }

    /// An instance that answered a call.
    pub(super) fn used(&self) -> anyhow::Result<Strategy> {
        let mut strategy = self.open().map_err(plain)?;
        strategy.step(&larder::cache::Batch::default()).map_err(plain)?;
        Ok(strategy)
    }

    pub(super) fn step(&self) -> anyhow::Result<Work> {
        let mut strategy = self.open().map_err(plain)?;
        let batch = reads();
        strategy.step(&inserts()).map_err(plain)?;
        Ok(work(move |times| {
            for _ in 0..times {
                let victims = strategy.step(black_box(&batch))?;
                ensure!(victims.is_empty(), "victims that nobody wanted");
            }
            Ok(())
        }))
    }

    pub(super) fn start(&self) -> Work {
        let (component, batch) = (self.clone(), larder::cache::Batch::default());
        work(move |times| {
            for _ in 0..times {
                black_box(component.open()?.step(&batch)?);
            }
            Ok(())
        })
    }
}

/// An instance of a strategy, opened.
pub(crate) struct Strategy {
    store: Store<()>,
    strategy: EvictionStrategy,
}

impl Strategy {
    fn step(&mut self, batch: &larder::cache::Batch) -> Result<Vec<u64>> {
        let larder::cache::Batch { inserted, hashes, weights, accessed, removed } = batch;
        let events = Batch { inserted, hashes, weights, accessed, removed };
        self.strategy.larder_plugin_eviction().call_step(&mut self.store, events, 0, 0)
    }
}
