//! What an instance carries on the host's side: its limits, its log, and what it was granted.

use std::sync::Arc;

use tracing::{debug, error, info, trace, warn};
use wasmtime::AsContextMut;
use wasmtime::component::{Access, HasSelf, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::Grants;
use super::bindings::provider::larder::plugin::{log, types};
use super::clock::Clocks;
use super::http::HttpClient;
use super::imports::InFlight;
use super::limits::Limiter;
use super::operation::Operation;
use super::running::RunningCalls;
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
    pub(super) running: RunningCalls,
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
            running: RunningCalls::default(),
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

impl log::Host for State {}

impl log::HostWithStore<State> for HasSelf<State> {
    fn write(mut host: Access<'_, State, Self>, level: log::Level, message: String) -> wasmtime::Result<()> {
        // The task that a call began comes last: those before it are what it began in turn.
        let task = host.as_context_mut().async_call_stack()?.last();
        let State { supervisor, grants, clocks, running, .. } = host.get();
        let message = grants.secrets.redact(&message);
        let Some(message) = supervisor.admit_line(&message) else { return Ok(()) };
        let (plugin, store) = (&*supervisor.plugin, &*supervisor.store);
        let running = task.and_then(|task| running.of(task));
        let call = running.map(|running| running.number);
        let operation = running.map(|running| running.operation).or_else(|| clocks.only_operation());
        let operation = operation.map(Operation::as_str);
        match level {
            log::Level::Trace => trace!(plugin, store, operation, call, "{message}"),
            log::Level::Debug => debug!(plugin, store, operation, call, "{message}"),
            log::Level::Info => info!(plugin, store, operation, call, "{message}"),
            log::Level::Warn => warn!(plugin, store, operation, call, "{message}"),
            log::Level::Error => error!(plugin, store, operation, call, "{message}"),
        }
        Ok(())
    }
}
