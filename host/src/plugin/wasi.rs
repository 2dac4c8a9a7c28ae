//! The WASI of guests built for `wasm32-wasip2`: their standard library imports it whether they use it or not. It is
//! there, and reaches nothing that was not granted: no environment, no arguments, no files, no network; the clock stands
//! still and the random numbers are always the same, so that decisions can be replayed; output goes to the plugin's log.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tracing::{info, warn};
use wasmtime::component::Linker;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::filesystem::FsPerms;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wasmtime_wasi::random::Deterministic;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx};

use super::state::State;
use super::supervisor::Supervisor;
use super::{GrantedFolder, Grants, Interface, Kind, wasi_sync};

/// The WASI of one instance.
pub(super) fn context(supervisor: &Arc<Supervisor>, grants: &Arc<Grants>) -> WasiCtx {
    let output = Output { supervisor: Arc::clone(supervisor), grants: Arc::clone(grants) };
    let mut context = WasiCtx::builder();
    context.stdout(output.clone()).stderr(output).max_random_size(1 << 20).allow_tcp(false).allow_udp(false);
    if !grants.clocks {
        context.wall_clock(Stopped).monotonic_clock(Stopped);
    }
    if !grants.random {
        let zeros = || Deterministic::new(vec![0]);
        context.secure_random(zeros()).insecure_random(zeros()).insecure_random_seed(0);
    }
    for (variable, value) in &grants.env {
        context.env(variable, value);
    }
    for (guest, GrantedFolder { path, write }) in &grants.files {
        let permissions = if *write { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
        // Whether it is there was found when the plugin was loaded; if it is gone since, so it is for the plugin.
        if let Err(error) = context.preopened_dir(path, guest, permissions) {
            warn!(
                plugin = &*supervisor.plugin,
                "the folder {} that is granted as {guest} can not be opened: {error}",
                path.display()
            );
        }
    }
    context.build()
}

/// Adds the WASI that a plugin of this kind may import.
pub(super) fn add_to_linker(linker: &mut Linker<State>, interface: &Interface) -> wasmtime::Result<()> {
    if interface.kind != Kind::Provider {
        return if interface.uses_wasi() { wasi_sync::add_to_linker(linker) } else { Ok(()) };
    }
    let imports = |version: &str| interface.imports.iter().any(|import| import.is_wasi(version));
    if imports("0.2.") {
        wasmtime_wasi::p2::add_to_linker_async(linker)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    }
    if imports("0.3.") {
        wasmtime_wasi::p3::add_to_linker(linker)?;
        wasmtime_wasi_http::p3::add_to_linker(linker)?;
    }
    Ok(())
}

struct Stopped;

impl HostWallClock for Stopped {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

impl HostMonotonicClock for Stopped {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        0
    }
}

/// Standard output and standard error, as lines of the log.
#[derive(Clone)]
struct Output {
    supervisor: Arc<Supervisor>,
    grants: Arc<Grants>,
}

impl Output {
    fn write_lines(&self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        for line in self.grants.secrets.redact(&text).lines().filter(|line| !line.trim().is_empty()) {
            if let Some(line) = self.supervisor.admit_line(line) {
                info!(plugin = &*self.supervisor.plugin, store = &*self.supervisor.store, "{line}");
            }
        }
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.write_lines(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[async_trait::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

#[async_trait::async_trait]
impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.write_lines(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}
