//! What `bindgen!` makes of `wit/`, one module a world. Nothing outside this folder names these types.

/// What a provider may import. What it exports is in `exports.rs`.
pub(super) mod provider {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package larder:host;

            world provider-imports {
                import larder:plugin/log@0.1.0;
                import larder:plugin/inner-stores@0.1.0;
                import larder:plugin/state@0.1.0;
                import larder:plugin/secrets@0.1.0;
            }
        ",
        world: "larder:host/provider-imports",
        imports: { "larder:plugin/log.write": store | trappable, default: trappable },
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

/// What an eviction strategy may export beside its world.
pub(super) mod eviction_memory {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package larder:host;

            world eviction-memory {
                export larder:plugin/eviction-memory@0.1.0;
            }
        ",
        world: "larder:host/eviction-memory",
        ownership: Borrowing { duplicate_if_necessary: true },
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

/// What a lifecycle policy may export beside its world.
pub(super) mod lifecycle_foresight {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package larder:host;

            world lifecycle-foresight {
                export larder:plugin/lifecycle-foresight@0.1.0;
            }
        ",
        world: "larder:host/lifecycle-foresight",
        with: { "larder:plugin/types": super::provider::larder::plugin::types },
    });
}
