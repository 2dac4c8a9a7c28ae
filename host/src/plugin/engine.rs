//! The two wasmtime engines and the clock that interrupts their guests.

use std::thread;
use std::time::Duration;

use wasmtime::{Config, Engine, EngineWeak, InstanceAllocationStrategy, Strategy};

use super::{Kind, PluginError};

/// How often the epoch advances: how finely the time of a guest that never returns is measured.
pub(super) const TICK: Duration = Duration::from_millis(5);

/// Support for concurrent calls belongs to an engine as a whole and makes small synchronous calls 3 to 7 times slower;
/// so providers have an engine with it, and eviction strategies and lifecycle policies share one without.
#[derive(Debug)]
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
        let engine = |concurrent| {
            let mut config = Config::new();
            config
                .strategy(Strategy::Cranelift)
                .allocation_strategy(InstanceAllocationStrategy::OnDemand)
                .wasm_component_model(true)
                .wasm_component_model_async(concurrent)
                .concurrency_support(concurrent)
                .epoch_interruption(true)
                .max_wasm_stack(512 << 10);
            Engine::new(&config).map_err(|error| PluginError::Runtime(format!("{error:#}")))
        };
        let (concurrent, synchronous) = (engine(true)?, engine(false)?);
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

    /// The engine that plugins of this kind run on.
    pub(super) fn of(&self, kind: Kind) -> &Engine {
        match kind {
            Kind::Provider => &self.concurrent,
            Kind::Eviction | Kind::Lifecycle => &self.synchronous,
        }
    }
}

/// How many ticks a guest has for `time`. At least two: the epoch may advance right after the deadline is set.
pub(super) fn ticks(time: Duration) -> u64 {
    let ticks = time.as_millis().div_ceil(TICK.as_millis());
    u64::try_from(ticks).unwrap_or(u64::MAX / 2).max(1) + 1
}
