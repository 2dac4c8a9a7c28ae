use std::fmt;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::entries;
use super::grants::Grants;
use super::limits::{PluginLimits, PluginRestart};

/// A plugin: which component, its settings, and what it may reach and use.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginConfig {
    /// Where the component comes from.
    pub component: ComponentSource,
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
#[schemars(extend("oneOf" = [{ "required": ["path"] }, { "required": ["source"] }]))]
struct Written {
    /// A file that holds the component. Either this or `source`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PathBuf")]
    path: Option<PathBuf>,
    /// A folder with the crate of the plugin; it is built when it is stale. Either this or `path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PathBuf")]
    source: Option<PathBuf>,
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

impl<'de> Deserialize<'de> for PluginConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Mapping;

        impl<'de> Visitor<'de> for Mapping {
            type Value = PluginConfig;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a plugin: a mapping with `path` or `source`")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PluginConfig, A::Error> {
                let Written { path, source, config, grants, limits, restart, mode } =
                    Written::deserialize(MapAccessDeserializer::new(map))?;
                let component = match (path, source) {
                    (Some(path), None) => ComponentSource::Path(path),
                    (None, Some(source)) => ComponentSource::Source(source),
                    (None, None) => {
                        return Err(de::Error::custom(
                            "a plugin needs `path` (a .wasm file) or `source` (the folder of its crate)",
                        ));
                    }
                    (Some(_), Some(_)) => {
                        return Err(de::Error::custom(
                            "a plugin has `path` or `source`, and this one has both; remove one of them",
                        ));
                    }
                };
                Ok(PluginConfig { component, config, grants, limits, restart, mode })
            }
        }

        deserializer.deserialize_map(Mapping)
    }
}

impl Serialize for PluginConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { component, config, grants, limits, restart, mode } = self.clone();
        let (path, source) = match component {
            ComponentSource::Path(path) => (Some(path), None),
            ComponentSource::Source(source) => (None, Some(source)),
        };
        Written { path, source, config, grants, limits, restart, mode }.serialize(serializer)
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
