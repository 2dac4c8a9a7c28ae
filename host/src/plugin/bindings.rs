//! What `bindgen!` makes of `wit/`, one module a world. Nothing outside this folder names these types.

/// The world of a provider: exports are called concurrently, on the engine with concurrency support.
pub(super) mod provider {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "storage-provider",
        imports: { default: trappable },
        with: { "larder:plugin/inner-stores.inner-store": crate::plugin::inner::InnerStore },
    });
}

/// The world of an eviction strategy: plain calls.
pub(super) mod eviction {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "eviction-strategy",
        ownership: Borrowing { duplicate_if_necessary: true },
        imports: { default: trappable },
        with: {
            "larder:plugin/types": super::provider::larder::plugin::types,
            "larder:plugin/log": super::provider::larder::plugin::log,
        },
    });
}

/// The world of a lifecycle policy: plain calls.
pub(super) mod lifecycle {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "lifecycle-policy",
        imports: { default: trappable },
        with: {
            "larder:plugin/types": super::provider::larder::plugin::types,
            "larder:plugin/log": super::provider::larder::plugin::log,
        },
    });
}
