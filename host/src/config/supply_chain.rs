use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scalar::{Scalar, scalar_serde};
use crate::object::Digest;
use crate::oci::{Reference, RegistryHost};

/// What is asked of where plugins come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SupplyChain {
    /// Whether every plugin must be pinned to a digest.
    pub require_digest: bool,
    /// Registries that are spoken to without TLS, beside those on loopback.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub plain_http: Vec<RegistryHost>,
}

impl Scalar for Digest {
    const EXPECTED: &'static str = Digest::EXPECTED;
    const PATTERN: &'static str = Digest::PATTERN;
}

impl Scalar for Reference {
    const EXPECTED: &'static str = Reference::EXPECTED;
    const PATTERN: &'static str = Reference::PATTERN;
}

impl Scalar for RegistryHost {
    const EXPECTED: &'static str = RegistryHost::EXPECTED;
    const PATTERN: &'static str = RegistryHost::PATTERN;
}

scalar_serde!(Digest, Reference, RegistryHost);
