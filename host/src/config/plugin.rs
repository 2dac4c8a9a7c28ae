use std::fmt;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::entries;
use super::grants::Grants;
use super::limits::{PluginLimits, PluginRestart};
use crate::object::Digest;
use crate::oci::Reference;

/// A plugin: which component, its settings, and what it may reach and use.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginConfig {
    /// Where the component comes from.
    pub component: ComponentSource,
    /// The digest that the component must have.
    pub digest: Option<Digest>,
    /// Who must have signed the component.
    pub verify: Option<Verify>,
    /// The settings that the plugin gets when it starts, `null` if there are none.
    pub config: serde_json::Value,
    /// What it may reach.
    pub grants: Grants,
    /// What it may use.
    pub limits: PluginLimits,
    /// When it is started again after it failed.
    pub restart: PluginRestart,
    /// Whether what it says is done.
    pub mode: PluginMode,
}

/// Whether what a strategy or a policy says is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PluginMode {
    /// It is.
    #[default]
    Enforce,
    /// It is not: the plugin runs beside the native strategy, or beside the other policies, and where it differs is counted.
    Monitor,
}

/// Where a component comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ComponentSource {
    /// A file that holds the component (`path` in YAML).
    Path(PathBuf),
    /// A folder with the crate that it is built from whenever that changed (`source` in YAML).
    Source(PathBuf),
    /// A registry that it is fetched from (`oci` in YAML).
    Oci(Reference),
}

/// What it is called in lines for people.
impl fmt::Display for ComponentSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Source(path) => write!(f, "built from {}", path.display()),
            Self::Oci(reference) => reference.fmt(f),
        }
    }
}

/// Who must have signed a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// A signature of Sigstore, checked by the program `cosign`.
    pub cosign: Cosign,
}

/// A signature that `cosign` checks: by a key, or by an identity and who vouches for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum Cosign {
    /// The holder of the key to this public one signed.
    Key {
        /// The file of the public key.
        key: PathBuf,
    },
    /// Someone whom an issuer of OpenID Connect vouched for signed.
    Identity {
        /// Who, as the certificate has it.
        identity: String,
        /// The issuer's URL.
        issuer: String,
    },
}

impl ComponentSource {
    /// Whether it is built from a crate.
    pub fn is_built(&self) -> bool {
        matches!(self, Self::Source(_))
    }
}

/// The mapping as it is written.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["path"] }, { "required": ["source"] }, { "required": ["oci"] }]))]
struct Written {
    /// A file that holds the component. Either this, `source` or `oci`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PathBuf")]
    path: Option<PathBuf>,
    /// A folder with the crate of the plugin; it is built when it is stale. Either this, `path` or `oci`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PathBuf")]
    source: Option<PathBuf>,
    /// A component in a registry: `ghcr.io/acme/sieve@sha256:…`. Either this, `path` or `source`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Reference")]
    oci: Option<Reference>,
    /// The digest that the component must have; `larder plugin inspect` tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Digest")]
    digest: Option<Digest>,
    /// Who must have signed the component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Verify")]
    verify: Option<Verify>,
    /// The settings of the plugin, whatever it takes; handed to it as JSON.
    #[serde(default, deserialize_with = "entries::json", skip_serializing_if = "serde_json::Value::is_null")]
    config: serde_json::Value,
    /// What it may reach beyond the log: nothing, unless it is said here.
    #[serde(default)]
    grants: Grants,
    /// What it may use.
    #[serde(default)]
    limits: PluginLimits,
    /// When it is started again after it failed.
    #[serde(default)]
    restart: PluginRestart,
    /// Whether what it says is done: `monitor` has it run beside the native strategy, or the other policies, and counts
    /// where it differs.
    #[serde(default)]
    mode: PluginMode,
}

impl PluginConfig {
    /// Whether what is loaded is pinned to a digest: the component's, or that of its manifest in a registry.
    pub fn is_pinned(&self) -> bool {
        let manifest = match &self.component {
            ComponentSource::Oci(reference) => reference.digest(),
            ComponentSource::Path(_) | ComponentSource::Source(_) => None,
        };
        self.digest.is_some() || manifest.is_some()
    }

    /// Reads relative file names: those of the component from `components` on, all others from `data` on.
    pub(super) fn rebase(&mut self, data: &Path, components: &Path) {
        if let ComponentSource::Path(path) | ComponentSource::Source(path) = &mut self.component {
            *path = components.join(&*path);
        }
        if let Some(Verify { cosign: Cosign::Key { key } }) = &mut self.verify {
            *key = data.join(&*key);
        }
        self.grants.rebase(data);
    }
}

impl<'de> Deserialize<'de> for PluginConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Mapping;

        impl<'de> Visitor<'de> for Mapping {
            type Value = PluginConfig;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a plugin: a mapping with `path`, `source` or `oci`")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PluginConfig, A::Error> {
                let Written { path, source, oci, digest, verify, config, grants, limits, restart, mode } =
                    Written::deserialize(MapAccessDeserializer::new(map))?;
                let component = match (path, source, oci) {
                    (Some(path), None, None) => ComponentSource::Path(path),
                    (None, Some(source), None) => ComponentSource::Source(source),
                    (None, None, Some(reference)) => ComponentSource::Oci(reference),
                    (None, None, None) => {
                        return Err(de::Error::custom(
                            "a plugin needs `path` (a .wasm file), `source` (the folder of its crate) or `oci` (a \
                             reference into a registry)",
                        ));
                    }
                    _ => {
                        return Err(de::Error::custom(
                            "a plugin has one of `path`, `source` and `oci`, and this one has more; remove all but one",
                        ));
                    }
                };
                Ok(PluginConfig { component, digest, verify, config, grants, limits, restart, mode })
            }
        }

        deserializer.deserialize_map(Mapping)
    }
}

impl Serialize for PluginConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { component, digest, verify, config, grants, limits, restart, mode } = self.clone();
        let (mut path, mut source, mut oci) = (None, None, None);
        match component {
            ComponentSource::Path(file) => path = Some(file),
            ComponentSource::Source(folder) => source = Some(folder),
            ComponentSource::Oci(reference) => oci = Some(reference),
        }
        Written { path, source, oci, digest, verify, config, grants, limits, restart, mode }.serialize(serializer)
    }
}

impl JsonSchema for PluginConfig {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PluginConfig".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Written::json_schema(generator);
        schema.insert(
            "description".to_owned(),
            "A plugin: which component, its settings, and what it may reach and use.".into(),
        );
        schema
    }
}
