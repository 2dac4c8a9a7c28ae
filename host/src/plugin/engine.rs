//! The two wasmtime engines and the clock that interrupts their guests.

use std::thread;
use std::time::Duration;

use tracing::debug;
use wasmtime::{Config, Engine, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig, Strategy};

use super::{Kind, PluginError};

/// How often the epoch advances: how finely the time of a guest that never returns is measured.
pub(super) const TICK: Duration = Duration::from_millis(5);

/// How many instances the pool has room for.
const INSTANCES: u32 = 2048;

/// Support for concurrent calls belongs to an engine as a whole and makes small synchronous calls 3 to 7 times slower;
/// so providers have an engine with it, and eviction strategies and lifecycle policies share one without.
#[derive(Clone, Debug)]
pub(super) struct Engines {
    concurrent: Engine,
    synchronous: Engine,
}

impl Engines {
    /// Sets both up, and starts the thread that advances their epochs.
    ///
    /// # Errors
    /// [`PluginError::Runtime`] on a platform that wasmtime does not support.
    pub(super) fn new() -> Result<Self, PluginError> {
        let config = |concurrent| {
            let mut config = Config::new();
            config
                .strategy(Strategy::Cranelift)
                .wasm_component_model(true)
                .wasm_component_model_async(concurrent)
                .concurrency_support(concurrent)
                .epoch_interruption(true)
                .max_wasm_stack(512 << 10);
            config
        };
        // A pool reserves address space for all instances that there may ever be, which a limit of the system (such as
        // `ulimit -v`) can rule out; without it an instance costs a few more system calls.
        let pooled = Engine::new(config(true).allocation_strategy(pool()));
        let concurrent = pooled.or_else(|error| {
            debug!("providers run without a pool: {error:#}");
            Engine::new(&config(true))
        });
        // Strategies and policies are few, and live long: there a pool would cost each a page for every table.
        let synchronous = Engine::new(&config(false));
        let made =
            |engine: wasmtime::Result<Engine>| engine.map_err(|error| PluginError::Runtime(format!("{error:#}")));
        let (concurrent, synchronous) = (made(concurrent)?, made(synchronous)?);
        // Plugins hold on to their engine, and may outlive the runtime that loaded them: the ticks end with the last.
        let engines = [concurrent.weak(), synchronous.weak()];
        thread::Builder::new()
            .name("larder-epoch".to_owned())
            .spawn(move || {
                loop {
                    thread::sleep(TICK);
                    let mut in_use = false;
                    for engine in engines.iter().filter_map(EngineWeak::upgrade) {
                        engine.increment_epoch();
                        in_use = true;
                    }
                    if !in_use {
                        break;
                    }
                }
            })
            .map_err(|error| PluginError::Runtime(format!("no thread for the epoch: {error}")))?;
        Ok(Self { concurrent, synchronous })
    }

    /// Both.
    pub(super) fn all(&self) -> [&Engine; 2] {
        [&self.concurrent, &self.synchronous]
    }

    /// The engine that plugins of this kind run on.
    pub(super) fn of(&self, kind: Kind) -> &Engine {
        match kind {
            Kind::Provider => &self.concurrent,
            Kind::Eviction | Kind::Lifecycle => &self.synchronous,
        }
    }
}

/// Room for the instances of all providers, at 4 GiB of address space for each memory: what a 32-bit memory can grow to, so
/// that limits are the plugins' own. It takes 8 TiB of the 128 that a process has on x86-64.
fn pool() -> InstanceAllocationStrategy {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(INSTANCES)
        .total_core_instances(4 * INSTANCES)
        .total_memories(INSTANCES)
        .total_tables(2 * INSTANCES)
        .total_stacks(INSTANCES)
        .max_memory_size(4 << 30)
        .max_core_instance_size(16 << 20)
        .max_component_instance_size(16 << 20)
        .table_elements(100_000)
        .max_unused_warm_slots(64)
        .async_stack_keep_resident(16 << 10);
    InstanceAllocationStrategy::Pooling(pool)
}

/// How many ticks a guest has for `time`. At least two: the epoch may advance right after the deadline is set.
pub(super) fn ticks(time: Duration) -> u64 {
    let ticks = time.as_millis().div_ceil(TICK.as_millis());
    u64::try_from(ticks).unwrap_or(u64::MAX / 2).max(1) + 1
}
