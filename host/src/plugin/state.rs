//! What an instance carries on the host's side: its limits, its log, and a WASI that reaches nothing.

use std::sync::Arc;

use tracing::{debug, error, info, trace, warn};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::Grants;
use super::bindings::provider::larder::plugin::{log, types};
use super::clock::Clocks;
use super::limits::{Limiter, Limits};
use super::log::RateLimit;
use super::wasi;

/// The data of an instance's wasmtime store.
pub(super) struct State {
    pub(super) plugin: Arc<str>,
    pub(super) limiter: Limiter,
    pub(super) grants: Arc<Grants>,
    pub(super) table: ResourceTable,
    pub(super) clocks: Clocks,
    wasi: WasiCtx,
    log: Arc<RateLimit>,
}

impl State {
    pub(super) fn new(plugin: Arc<str>, limits: &Limits, grants: Arc<Grants>, log: Arc<RateLimit>) -> Self {
        Self {
            wasi: wasi::inert(&plugin, &log),
            plugin,
            limiter: Limiter::new(limits),
            grants,
            table: ResourceTable::new(),
            clocks: Clocks::default(),
            log,
        }
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
        let Some(message) = self.log.admit(&self.plugin, &message) else { return Ok(()) };
        let plugin = &*self.plugin;
        match level {
            log::Level::Trace => trace!(plugin, "{message}"),
            log::Level::Debug => debug!(plugin, "{message}"),
            log::Level::Info => info!(plugin, "{message}"),
            log::Level::Warn => warn!(plugin, "{message}"),
            log::Level::Error => error!(plugin, "{message}"),
        }
        Ok(())
    }
}
