//! Components from OCI registries, in the layout of WebAssembly artifacts that wkg writes: a manifest whose config has the
//! media type `application/vnd.wasm.config.v0+json`, and one layer, the component, of type `application/wasm`
//! (<https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/>).
//!
//! What is pulled is kept by its digest, and held against it whenever it is read; a host that has it needs no registry.

mod components;
mod credentials;
mod manifest;
mod reference;
mod registry;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub use components::{Components, Event, Pulled};
pub use reference::{Reference, RegistryHost};

use crate::object::Digest;

/// Why a component could not be had from a registry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OciError {
    /// The registry can not be reached, does not answer in time, or is not to be trusted.
    #[error("the registry {registry} can not be reached: {problem}")]
    Unreachable {
        /// The registry.
        registry: String,
        /// What went wrong, and what would mend it.
        problem: String,
    },
    /// The registry has no such thing.
    #[error("there is no {reference} in its registry, or none that may be read without credentials")]
    NotFound {
        /// What was asked for.
        reference: String,
    },
    /// The registry lets nobody in with these credentials.
    #[error(
        "the registry {registry} refuses: {problem}; log in with `docker login {registry}`, or set DOCKER_AUTH_CONFIG"
    )]
    Refused {
        /// The registry.
        registry: String,
        /// What it said.
        problem: String,
    },
    /// The registry answers what no registry should.
    #[error("the registry {registry} does not answer as a registry: {problem}")]
    Protocol {
        /// The registry.
        registry: String,
        /// What it answered.
        problem: String,
    },
    /// It is something else than a component in the layout of wkg.
    #[error("{reference} is no WebAssembly component: {problem}")]
    NotAComponent {
        /// What was asked for.
        reference: String,
        /// What it is.
        problem: String,
    },
    /// The component is larger than it may be.
    #[error("the component {reference} has {size} bytes, and its limit is {limit} (limits.component_size)")]
    TooLarge {
        /// What was asked for.
        reference: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// What came is not what was asked for.
    #[error("what came for {reference} has the digest {found}, and {wanted} is wanted")]
    Digest {
        /// What was asked for.
        reference: String,
        /// The digest that it should have.
        wanted: Digest,
        /// The digest that it has.
        found: Digest,
    },
    /// The credentials can not be read.
    #[error("the credentials for registries in {place} can not be used: {problem}")]
    Credentials {
        /// The file, or the variable.
        place: String,
        /// What is wrong with them.
        problem: String,
    },
    /// The folder of components can not be used.
    #[error("{}: {error}", path.display())]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// How long a registry may take to accept a connection, and then to send anything more.
const CONNECT: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(30);
