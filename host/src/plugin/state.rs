//! What an instance carries on the host's side: its limits, its log, and a WASI that reaches nothing.

use std::sync::Arc;

use tracing::{debug, error, info, trace, warn};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::Grants;
use super::bindings::provider::larder::plugin::{log, types};
use super::clock::Clocks;
use super::limits::Limiter;
use super::operation::Operation;
use super::supervisor::Supervisor;
use super::wasi;

/// The data of an instance's wasmtime store.
pub(super) struct State {
    pub(super) supervisor: Arc<Supervisor>,
    pub(super) limiter: Limiter,
    pub(super) grants: Arc<Grants>,
    pub(super) table: ResourceTable,
    pub(super) clocks: Clocks,
    wasi: WasiCtx,
}

impl State {
    pub(super) fn new(supervisor: Arc<Supervisor>, grants: Arc<Grants>) -> Self {
        let (budget, gauge) = (Arc::clone(&supervisor.budget), supervisor.meter.memory().clone());
        supervisor.meter.instances().inc();
        Self {
            wasi: wasi::inert(&supervisor),
            limiter: Limiter::new(&supervisor.limits, budget, gauge),
            supervisor,
            grants,
            table: ResourceTable::new(),
            clocks: Clocks::default(),
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.supervisor.meter.instances().dec();
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl types::Host for State {}

impl log::Host for State {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let Some(message) = self.supervisor.admit_line(&message) else { return Ok(()) };
        let (plugin, store) = (&*self.supervisor.plugin, &*self.supervisor.store);
        // Absent where several calls share the instance, and it can not be told which of them wrote it.
        let operation = self.clocks.only_operation().map(Operation::as_str);
        match level {
            log::Level::Trace => trace!(plugin, store, operation, "{message}"),
            log::Level::Debug => debug!(plugin, store, operation, "{message}"),
            log::Level::Info => info!(plugin, store, operation, "{message}"),
            log::Level::Warn => warn!(plugin, store, operation, "{message}"),
            log::Level::Error => error!(plugin, store, operation, "{message}"),
        }
        Ok(())
    }
}
