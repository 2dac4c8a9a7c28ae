//! The host interface `secrets`: what the operator granted by name.

use std::sync::Arc;

use wasmtime::component::{Accessor, HasSelf};

use super::super::bindings::provider::larder::plugin::secrets::{Host, HostWithStore};
use super::super::bindings::provider::larder::plugin::types as wit;
use super::super::convert::error_to_plugin;
use super::super::state::State;
use crate::error::{Error, Result};

impl Host for State {}

async fn get(accessor: &Accessor<State, HasSelf<State>>, name: String) -> Result<String> {
    let (plugin, secrets, _permit) = accessor.with(|mut access| {
        let State { supervisor, grants, in_flight, .. } = access.get();
        Ok::<_, Error>((Arc::clone(&supervisor.plugin), grants.secrets.clone(), in_flight.begin(name.len())?))
    })?;
    // The source may be a file.
    let reading = tokio::task::spawn_blocking(move || secrets.read(&plugin, &name));
    reading.await.unwrap_or_else(|failed| Err(Error::internal(format!("the secret could not be read: {failed}"))))
}

impl HostWithStore<State> for HasSelf<State> {
    async fn get(accessor: &Accessor<State, Self>, name: String) -> wasmtime::Result<Result<String, wit::Error>> {
        Ok(get(accessor, name).await.map_err(|error| error_to_plugin(&error)))
    }
}
