//! What `generate!` makes of `wit/`: the imports and the provider's exports here, the other two worlds' exports in
//! modules of their own.

wit_bindgen::generate!({
    path: "../wit",
    world: "storage-provider",
    pub_export_macro: true,
    export_macro_name: "__export_storage_provider",
});

pub mod eviction {
    wit_bindgen::generate!({
        path: "../wit",
        world: "eviction-strategy",
        with: {
            "larder:plugin/types@0.1.0": super::larder::plugin::types,
            "larder:plugin/log@0.1.0": super::larder::plugin::log,
        },
        pub_export_macro: true,
        export_macro_name: "__export_eviction_strategy",
    });
}

pub mod lifecycle {
    wit_bindgen::generate!({
        path: "../wit",
        world: "lifecycle-policy",
        with: {
            "larder:plugin/types@0.1.0": super::larder::plugin::types,
            "larder:plugin/log@0.1.0": super::larder::plugin::log,
        },
        pub_export_macro: true,
        export_macro_name: "__export_lifecycle_policy",
    });
}
