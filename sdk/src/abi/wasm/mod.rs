#[allow(missing_docs, missing_debug_implementations, unreachable_pub, unsafe_code, dead_code, clippy::all)]
pub mod bindings;
mod convert;
#[allow(missing_docs, reason = "only what `export!` expands to names it")]
pub(crate) mod exports;
pub(crate) mod http;
mod inner;
pub(crate) mod state;
mod stream;
#[allow(unsafe_code, reason = "a section of its own is asked for by an unsafe attribute")]
mod version;

pub(crate) use inner::InnerStore;
pub(crate) use stream::HostStream;

use bindings::larder::plugin::{log as host, secrets};

use crate::error::Result;
use crate::log::Level;

pub(crate) async fn secret(name: &str) -> Result<String> {
    secrets::get(name.to_owned()).await.map_err(convert::error)
}

pub(crate) fn log(level: Level, message: &str) {
    let level = match level {
        Level::Trace => host::Level::Trace,
        Level::Debug => host::Level::Debug,
        Level::Info => host::Level::Info,
        Level::Warn => host::Level::Warn,
        Level::Error => host::Level::Error,
    };
    host::write(level, message);
}
