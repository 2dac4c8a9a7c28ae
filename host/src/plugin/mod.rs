//! Plugins: components behind the three seams.
//!
//! [`PluginRuntime::load`] makes of a component a [`Plugin`], and a plugin is one more implementation of
//! [`StorageProvider`](crate::provider::StorageProvider), [`EvictionStrategy`](crate::cache::EvictionStrategy) or
//! [`LifecyclePolicy`](crate::lifecycle::LifecyclePolicy). Nothing outside this module names wasmtime.
//!
//! What a plugin can do to the host: take its memory and its time, up to its [`Limits`], and fail. A trap, a timeout or a
//! limit ends the call with an error and drops the instance; the next call has a fresh one.

#[allow(missing_docs, missing_debug_implementations, unreachable_pub, dead_code, clippy::all)]
mod bindings;
pub mod build;
mod calls;
mod clock;
mod compiled;
mod convert;
mod detached;
mod engine;
mod error;
mod eviction;
mod exports;
mod fault;
mod grant;
mod granted_secrets;
mod grants;
mod http;
mod imports;
mod inner;
mod instance;
mod instances;
mod interface;
mod lifecycle;
mod limits;
mod linkers;
mod loader;
mod log;
mod metrics;
mod open_states;
mod operation;
mod producers;
mod provider;
mod restart;
mod running;
mod runtime;
mod state;
mod state_store;
mod stream;
mod supervisor;
mod synchronous;
mod wasi;
mod wasi_sync;
mod work;

pub use error::PluginError;
pub use grant::Grant;
pub use granted_secrets::{GrantedSecrets, SecretSource};
pub use grants::{GrantedFolder, GrantedStores, Grants};
pub use http::AllowedHost;
pub use interface::{Import, Interface, Kind, Needs, VERSION};
pub use limits::Limits;
pub use metrics::Calls;
pub use producers::Producers;
pub use prometheus::Registry;
pub use restart::Restart;
pub use runtime::{Plugin, PluginOptions, PluginRuntime};
pub use state_store::StateStore;
pub use supervisor::{Failure, PluginState, PluginStatus};
