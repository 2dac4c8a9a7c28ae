//! Plugins.
#[allow(missing_docs, missing_debug_implementations, unreachable_pub, dead_code, clippy::all)]
mod bindings;
#[allow(unreachable_pub)]
mod inner {
    #[derive(Debug)]
    #[allow(missing_docs)]
    pub struct InnerStore;
}
