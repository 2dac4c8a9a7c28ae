//! What authors of larder plugins depend on.
//!
//! A plugin is an ordinary type that implements one of three traits, and one line that exports it:
//!
//! | trait | what it is | its line |
//! | --- | --- | --- |
//! | [`StorageProvider`] | keeps objects | `larder_sdk::export!(provider: MyType);` |
//! | [`EvictionStrategy`] | chooses what a cache drops | `larder_sdk::export!(eviction: MyType);` |
//! | [`LifecyclePolicy`] | says how objects age | `larder_sdk::export!(lifecycle: MyType);` |
//! | … with [`Foresight`] | and when it will say something else | `larder_sdk::export!(lifecycle with foresight: MyType);` |
//!
//! Each trait's documentation has a complete example. Built for wasm by `larder plugin build`, the type becomes a
//! component that larder loads; built for any other target, it stays what it is, and `cargo test` can call it: the module
//! [`testing`] holds twins of what the host provides.
//!
//! A plugin has neither clock nor randomness, files nor network: what it needs comes with each call. What the operator
//! grants a provider beyond that, it reaches through [`InnerStore`], [`state`], [`secrets`] and [`http`].
//!
//! In a component the SDK keeps small blocks of memory that were freed at hand, in front of the standard library's allocator.
//! A plugin that brings an allocator of its own turns off the SDK's default feature `allocator`.
#![deny(missing_docs, unsafe_code)]

mod abi;
#[cfg(any(test, all(target_arch = "wasm32", not(target_feature = "atomics"), feature = "allocator")))]
#[allow(unsafe_code, reason = "an allocator is unsafe by its nature")]
mod allocator;
mod body;
mod checksum;
pub mod config;
mod error;
pub mod eviction;
pub mod http;
mod inner;
mod lifecycle;
pub mod log;
mod object;
mod pairs;
mod provider;
mod range;
pub mod secrets;
pub mod state;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod timestamp;

pub use body::{Body, BodyStream, ByteSource, CHUNK_SIZE, Upload};
pub use checksum::Checksum;
pub use error::{Error, ErrorKind, Result};
pub use eviction::{EntryId, EvictionStrategy};
pub use inner::InnerStore;
pub use lifecycle::{Candidate, Foresight, LifecyclePolicy};
pub use object::{AttributeChanges, Attributes, ETag, Metadata, Object};
pub use pairs::Pairs;
pub use provider::{Condition, ListQuery, Page, Stamp, StorageProvider, StoreOptions};
pub use range::ByteRange;
pub use timestamp::Timestamp;

/// The guide for authors and the front page: their examples are tests.
#[cfg(doctest)]
#[doc = include_str!("../../host/docs/plugins.md")]
#[doc = include_str!("../../README.md")]
struct Guide;

/// What the expansion of [`export!`] names. No part of the interface.
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod __private {
    pub use crate::abi::exports::*;
}

/// Makes a type the plugin that its crate is: `export!(provider: MyType)` for a [`StorageProvider`],
/// `export!(eviction: MyType)` for an [`EvictionStrategy`], `export!(lifecycle: MyType)` for a [`LifecyclePolicy`] and
/// `export!(lifecycle with foresight: MyType)` for one that has [`Foresight`]. Once in a crate, which has the type `cdylib`.
///
/// For any target but wasm it only checks that the trait is there.
#[macro_export]
macro_rules! export {
    (provider: $type:ty) => {
        const _: () = {
            const fn implements<T: $crate::StorageProvider>() {}
            implements::<$type>();
            #[cfg(target_arch = "wasm32")]
            $crate::__export_provider!($type);
        };
    };
    (eviction: $type:ty) => {
        const _: () = {
            const fn implements<T: $crate::EvictionStrategy>() {}
            implements::<$type>();
            #[cfg(target_arch = "wasm32")]
            $crate::__export_eviction!($type);
        };
    };
    (lifecycle with foresight: $type:ty) => {
        const _: () = {
            const fn implements<T: $crate::Foresight>() {}
            implements::<$type>();
            #[cfg(target_arch = "wasm32")]
            $crate::__export_lifecycle!($type, foresight);
        };
    };
    (lifecycle: $type:ty) => {
        const _: () = {
            const fn implements<T: $crate::LifecyclePolicy>() {}
            implements::<$type>();
            #[cfg(target_arch = "wasm32")]
            $crate::__export_lifecycle!($type);
        };
    };
}
