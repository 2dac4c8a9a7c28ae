//! What the imports of plugins are linked with.

use std::fmt;
use std::sync::OnceLock;

use wasmtime::Engine;
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};

use super::bindings::provider::larder::plugin::{inner_stores, log, secrets, state, types};
use super::state::State;
use super::{Interface, Kind, wasi};

/// The linkers of a host: those of plugins without WASI are made once, and shared by all that load.
#[derive(Default)]
pub(super) struct Linkers {
    provider: OnceLock<Linker<State>>,
    synchronous: OnceLock<Linker<State>>,
}

impl fmt::Debug for Linkers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Linkers").finish_non_exhaustive()
    }
}

impl Linkers {
    /// Links a component, which is ready to be instantiated then. Components of one kind come from one engine.
    ///
    /// # Errors
    /// It imports what is not there, or something by that name of another type.
    pub(super) fn link(&self, component: &Component, interface: &Interface) -> wasmtime::Result<InstancePre<State>> {
        if interface.uses_wasi() {
            let mut linker = linker(component.engine(), interface.kind)?;
            wasi::add_to_linker(&mut linker, interface)?;
            return linker.instantiate_pre(component);
        }
        let shared = match interface.kind {
            Kind::Provider => &self.provider,
            Kind::Eviction | Kind::Lifecycle => &self.synchronous,
        };
        let linker = match shared.get() {
            Some(linker) => linker,
            None => {
                let made = linker(component.engine(), interface.kind)?;
                shared.get_or_init(|| made)
            }
        };
        linker.instantiate_pre(component)
    }
}

/// A linker with all that larder itself has for plugins of a kind.
fn linker(engine: &Engine, kind: Kind) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    types::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    log::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    if kind == Kind::Provider {
        inner_stores::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
        state::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
        secrets::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    }
    Ok(linker)
}
