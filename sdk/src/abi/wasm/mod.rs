#[allow(missing_docs, missing_debug_implementations, unreachable_pub, unsafe_code, dead_code, clippy::all)]
pub mod bindings;
mod convert;
#[allow(missing_docs, reason = "only what `export!` expands to names it")]
pub(crate) mod exports;
mod inner;
mod stream;

pub(crate) use inner::InnerStore;
pub(crate) use stream::HostStream;

use bindings::larder::plugin::log as host;

use crate::log::Level;

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
