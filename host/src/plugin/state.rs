//! What an instance carries on the host's side: its limits, its log, and what it was granted.

use std::sync::Arc;

use tracing::{debug, error, info, trace, warn};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::Grants;
use super::bindings::provider::larder::plugin::{log, types};
use super::clock::Clocks;
use super::http::HttpClient;
use super::imports::InFlight;
use super::limits::Limiter;
use super::operation::Operation;
use super::supervisor::Supervisor;
use super::wasi;

/// How many bytes the fields of a request or a response take in memory at most.
const MAX_FIELDS: usize = 64 << 10;
/// How many handles to what is the host's an instance may hold.
const MAX_HANDLES: usize = 4096;

/// The data of an instance's wasmtime store.
pub(super) struct State {
    pub(super) supervisor: Arc<Supervisor>,
    pub(super) limiter: Limiter,
    pub(super) grants: Arc<Grants>,
    pub(super) table: ResourceTable,
    pub(super) clocks: Clocks,
    pub(super) in_flight: InFlight,
    /// Made when it is first asked for: most guests import nothing of it.
    wasi: Option<Box<WasiCtx>>,
    http: WasiHttpCtx,
    http_client: HttpClient,
}

impl State {
    pub(super) fn new(supervisor: Arc<Supervisor>, grants: Arc<Grants>) -> Self {
        let (budget, gauge) = (Arc::clone(&supervisor.budget), supervisor.meter.memory().clone());
        supervisor.meter.instances().inc();
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(MAX_FIELDS);
        Self {
            wasi: None,
            http,
            http_client: HttpClient::new(Arc::clone(&supervisor), Arc::clone(&grants)),
            limiter: Limiter::new(&supervisor.limits, budget, gauge),
            supervisor,
            grants,
            table,
            clocks: Clocks::default(),
            in_flight: InFlight::default(),
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
        let context = || Box::new(wasi::context(&self.supervisor, &self.grants));
        WasiCtxView { ctx: self.wasi.get_or_insert_with(context), table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.http_client }
    }
}

impl types::Host for State {}

impl log::Host for State {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let message = self.grants.secrets.redact(&message);
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
