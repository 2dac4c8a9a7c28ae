//! What `generate!` makes of `wit/`: the exports of the three worlds, what a policy may export beside its own, and what a
//! provider may import.
//!
//! Streams are made with the intrinsics of the world that mentions them first. So the provider's world stands here
//! without `inner-stores`, or every provider would import it and have to be granted stores.

wit_bindgen::generate!({
    path: "../wit",
    inline: "
        package larder:sdk;

        world provider {
            import larder:plugin/log@0.1.0;
            import larder:plugin/state@0.1.0;
            import larder:plugin/secrets@0.1.0;
            export larder:plugin/provider@0.1.0;
        }
    ",
    generate_all,
    pub_export_macro: true,
    export_macro_name: "__export_storage_provider",
});

pub mod layer {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "
            package larder:sdk;

            world layer {
                import larder:plugin/inner-stores@0.1.0;
            }
        ",
        with: {
            "larder:plugin/types@0.1.0": super::larder::plugin::types,
            "larder:plugin/inner-stores@0.1.0": generate,
        },
    });
}

pub mod http {
    wit_bindgen::generate!({
        path: "wit",
        world: "larder:sdk/http",
        generate_all,
    });
}

pub mod eviction {
    wit_bindgen::generate!({
        path: "../wit",
        world: "eviction-strategy-with-memory",
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

pub mod foresight {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "
            package larder:sdk;

            world foresight {
                export larder:plugin/lifecycle-foresight@0.1.0;
            }
        ",
        with: { "larder:plugin/types@0.1.0": super::larder::plugin::types },
        pub_export_macro: true,
        export_macro_name: "__export_lifecycle_foresight",
    });
}
